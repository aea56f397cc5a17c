// What the forms of filter patterns have in common.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::logs {

// Names ("$1", "$status", "$.latency") and values, as TestMetricFilter tells them.
using ExtractedValues = std::vector<std::pair<std::string, std::string>>;

// Decides about single messages. Immutable, thread-safe.
class MessageMatcher {
 public:
  virtual ~MessageMatcher() = default;
  virtual bool matches(std::string_view message) const = 0;
  // False when no message inside `bytes` can match; true when that takes looking at each.
  virtual bool may_match(std::string_view) const { return true; }
  // What a message that matches gives.
  virtual ExtractedValues extract(std::string_view) const { return {}; }
};

}  // namespace millrace::logs
