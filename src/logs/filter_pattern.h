// CloudWatch Logs filter patterns: which messages are wanted.
#pragma once

#include <memory>
#include <string_view>

#include "logs/message_matcher.h"

namespace millrace::logs {

// The whole syntax of the user guide's "Filter pattern syntax": terms (term_pattern.h), { JSON conditions }
// (json_pattern.h), [space-delimited fields] (field_pattern.h). Blank patterns, "" and " " match everything.
// Immutable, thread-safe, cheap to copy.
class FilterPattern {
 public:
  FilterPattern() = default;  // matches everything
  // Throws UsageError with CloudWatch Logs' words when `text` is no pattern. At most 1024 bytes.
  static FilterPattern parse(std::string_view text);

  bool matches(std::string_view message) const { return !matcher_ || matcher_->matches(message); }
  // False when no message inside `bytes` (messages and what stands between them) can match: one search
  // instead of one per message.
  bool may_match(std::string_view bytes) const { return !matcher_ || matcher_->may_match(bytes); }
  bool matches_all() const { return !matcher_; }
  // What TestMetricFilter tells of a message that matches.
  ExtractedValues extract(std::string_view message) const {
    return matcher_ ? matcher_->extract(message) : ExtractedValues();
  }

 private:
  std::shared_ptr<const MessageMatcher> matcher_;  // null: everything
};

}  // namespace millrace::logs
