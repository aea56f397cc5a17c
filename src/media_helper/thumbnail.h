// Small JPEGs of pictures and of the first frames of videos.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::media {

// The first picture of the file, turned clockwise by `degrees`, its longest side at most `side` pixels. Never
// larger than it is. Throws MediaError.
std::string thumbnail(uint64_t size, const std::string& name, int side, int degrees);

// The same of RGBA pixels, four bytes each, rows from the bottom up.
std::string thumbnail_of_pixels(std::string_view rgba, int width, int height, int side);

}  // namespace millrace::media
