// Small text helpers. ASCII only where letters matter: protocols, names, flags.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::base {

std::string to_lower(std::string_view text);
bool equals_ignore_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);                                // blanks and tabs, CR and LF
std::vector<std::string_view> split(std::string_view text, char separator);  // "" gives one empty part
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string replace_all(std::string text, std::string_view from, std::string_view to);

// True when `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// The text with U+FFFD for each byte that is not part of well-formed UTF-8.
std::string to_utf8(std::string_view text);

// Code points of valid UTF-8.
size_t utf8_length(std::string_view text);

// The whole of `text` as a number; nothing when it is not one or does not fit.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// 1536 -> "1.5 KiB".
std::string human_bytes(uint64_t bytes);

}  // namespace millrace::base
