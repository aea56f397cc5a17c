// '*' and '?' patterns, in linear space and O(pattern * text) time at worst.
#pragma once

#include <string_view>

namespace millrace::base {

// True when the whole of `text` matches: '*' any run of bytes (also none), '?' exactly one byte.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace millrace::base
