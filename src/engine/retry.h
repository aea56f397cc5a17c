// Whether a failed attempt is tried again (RetryStrategy, EvaluateOnExit).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace millrace::engine {

namespace json = base::json;

// What a finished attempt looked like to the rules.
struct AttemptResult {
  std::optional<int> exit_code;  // absent: host lost, not started
  std::string_view reason;       // the container's
  std::string_view status_reason;
};

// Throws Reject when `strategy` breaks a rule: attempts 1..10, at most 5 entries, attempts given, patterns of
// the documented form.
void check_retry_strategy(const json::object& strategy);

// True when the attempt `attempts_made` (counted from 1) that ended with `result` is to be followed by
// another. `strategy` may be null: one attempt. Entries are tried in order, all conditions of an entry must
// match, the first entry that matches decides; when none matches the job is retried.
bool retries(const json::object* strategy, int attempts_made, const AttemptResult& result);

}  // namespace millrace::engine
