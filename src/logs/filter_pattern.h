// CloudWatch Logs filter patterns: which messages are wanted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::logs {

// Terms (case-sensitive substrings): all plain ones must be there, one of the '?' ones (when there are no
// plain ones: AWS's behaviour for a mix is not documented; plain terms decide), none of the '-' ones. Quoted
// phrases may hold any character, with \" for a quote. Blank patterns match everything. JSON, space-delimited
// and %regex% patterns are refused. Immutable, thread-safe.
class FilterPattern {
 public:
  FilterPattern() = default;  // matches everything
  // Throws UsageError when `text` is not such a pattern.
  static FilterPattern parse(std::string_view text);

  bool matches(std::string_view message) const;
  // False when no message inside `bytes` (messages and what stands between them) can match: one search
  // instead of one per message.
  bool may_match(std::string_view bytes) const;
  bool matches_all() const { return all_.empty() && any_.empty() && none_.empty(); }

 private:
  std::vector<std::string> all_, any_, none_;
};

}  // namespace millrace::logs
