// Property selectors of filter patterns ($.a.b[0], $.users[*].id, $.['cluster.name']) and the values they
// point at in a message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "logs/pattern_reader.h"

namespace millrace::logs {

struct JsonSelector {
  struct Step {
    enum class Kind : uint8_t { kKey, kIndex, kAny } kind;
    std::string key;
    size_t index = 0;
  };
  std::vector<Step> steps;
  std::string text;  // as it stood in the pattern
  bool has_wildcard = false;

  // Throws UsageError. At most one wildcard.
  static JsonSelector read(PatternReader& reader);
};

// A value that a selector points at.
struct JsonValue {
  enum class Kind : uint8_t { kString, kNumber, kTrue, kFalse, kNull, kContainer } kind;
  std::string text;        // a string's characters, a number as it is written
  long double number = 0;  // a number's value
};

// For each selector what it points at in `message` (several values where there is a wildcard or a key stands
// twice); nothing when the message is no JSON object, or deeper than 64 levels. One pass, without building a
// document; memory for what is found.
std::optional<std::vector<std::vector<JsonValue>>> select_json(const std::vector<JsonSelector>& selectors,
                                                               std::string_view message);

}  // namespace millrace::logs
