#include "objects/records.h"

#include <charconv>

namespace millrace::objects {

std::string ObjectRecord::version_id() const {
  if (null_version) return "null";
  char digits[17] = {};
  std::to_chars(digits, digits + 16, static_cast<uint64_t>(sequence), 16);
  std::string text(digits);
  return std::string(16 - text.size(), '0') + text;
}

std::optional<VersionRef> parse_version_id(std::string_view text) {
  if (text == "null") return VersionRef{true, 0};
  uint64_t sequence = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return VersionRef{false, static_cast<int64_t>(sequence)};
}

}  // namespace millrace::objects
