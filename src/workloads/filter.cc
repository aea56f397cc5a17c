#include "workloads/filter.h"

#include <cstdint>

namespace millrace::workloads {
namespace {

// Bytes of the character at the start of `text`; a byte that begins no UTF-8 character is one itself.
size_t character_bytes(std::string_view text) {
  auto first = static_cast<unsigned char>(text[0]);
  size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return length <= text.size() ? length : 1;
}

uint32_t character(std::string_view text, size_t length) {
  uint32_t value = 0;
  for (size_t i = 0; i < length; ++i) value = value << 8 | static_cast<unsigned char>(text[i]);
  return value;  // compares as the code points do
}

// The set at the start of `pattern` ("[…]"): its bytes, and whether it has the character. 0: it is none.
size_t match_set(std::string_view pattern, uint32_t wanted, bool& found) {
  size_t at = 1;
  bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  found = false;
  for (bool first = true; at < pattern.size(); first = false) {
    if (pattern[at] == ']' && !first) {
      found = found != negated;
      return at + 1;
    }
    size_t length = character_bytes(pattern.substr(at));
    uint32_t low = character(pattern.substr(at), length), high = low;
    at += length;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      length = character_bytes(pattern.substr(at + 1));
      high = character(pattern.substr(at + 1), length);
      at += 1 + length;
    }
    if (low <= wanted && wanted <= high) found = true;
  }
  return 0;
}

}  // namespace

bool pattern_match(std::string_view pattern, std::string_view text) {
  // A later '*' can stand for whatever an earlier one could: going back to the last one is enough.
  size_t p = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    size_t length = character_bytes(text.substr(t));
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = ++p;
        star_text = t;
        continue;
      }
      if (pattern[p] == '?') {
        ++p;
        t += length;
        continue;
      }
      bool found = false;
      size_t set =
          pattern[p] == '[' ? match_set(pattern.substr(p), character(text.substr(t), length), found) : 0;
      if (set > 0 && found) {
        p += set;
        t += length;
        continue;
      }
      if (set == 0 && pattern[p] == text[t]) {
        ++p;
        ++t;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool takes(const std::vector<FilterRule>& rules, std::string_view key) {
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule)
    if (pattern_match(rule->pattern, key)) return rule->include;
  return true;
}

}  // namespace millrace::workloads
