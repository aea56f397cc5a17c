// Letters without regard to case, as equals-ignore-case in event patterns sees them: character by character,
// by Unicode's simple mappings. "ß" is not "SS".
#pragma once

#include <string>
#include <string_view>

namespace millrace::events {

char32_t to_lower(char32_t c);
char32_t to_upper(char32_t c);

// True when every character of `text` is the lower or the upper form of the same character of `pattern`.
// Not symmetric: the Kelvin sign in a pattern matches "k", a "k" in a pattern does not match the Kelvin sign.
bool equals_ignoring_case(std::string_view pattern, std::string_view text);
bool starts_with_ignoring_case(std::string_view pattern, std::string_view text);
bool ends_with_ignoring_case(std::string_view pattern, std::string_view text);

// A form in which all texts that match a pattern equal the pattern's form. The reverse holds for ASCII only.
void fold_case(std::string_view text, std::string* out);

bool is_ascii(std::string_view text);

}  // namespace millrace::events
