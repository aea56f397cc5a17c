// Names and numbers as they stand in the HTML report; numbers in the summary, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::scan {

// 1234567 as "1,234,567".
std::string grouped(int64_t number);

// "1.2 MiB"; less than nothing is nothing.
std::string bytes(int64_t count);

// The folder dimmed, the name not; without `root`, the whole path where the pointer rests.
std::string path_cell(std::string_view whole, std::string_view root);

// The name of the colour of a type in the style sheet.
std::string_view color_of(std::string_view type);

}  // namespace millrace::scan
