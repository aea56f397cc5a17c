// What a production's files say by their names: the show, the version, what a texture is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/scan/media_type.h"
#include "workloads/scan/row_buffer.h"

namespace millrace::scan {

// The folder below ".../shows/", in lower case; empty when the path has none.
std::string show_of(std::string_view path);
// The last "v003" or "v-3", "v_03" of the name that does not stand within a word.
std::optional<int64_t> version_of_name(std::string_view name);
// "normal", "roughness" …, by the words of the name.
std::vector<std::string_view> texture_tags(std::string_view name);

// The columns show, version_number and tags.
void add_name_facts(RowBuffer& row, std::string_view path, FileType type);

}  // namespace millrace::scan
