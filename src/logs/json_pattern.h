// Filter patterns for JSON messages: { $.user.id = 1 && ($.n > 5 || $.state IS NULL) }.
#pragma once

#include <memory>
#include <string_view>

#include "logs/message_matcher.h"

namespace millrace::logs {

// `text` begins with '{' and ends with '}'. Throws UsageError with CloudWatch Logs' words.
//
// Messages that are no JSON object never match. A comparison holds for strings and numbers only; where a
// selector points at nothing, an object or an array, it does not hold, "!=" neither. With a wildcard one
// value is enough. At most three wildcards.
std::unique_ptr<MessageMatcher> parse_json_pattern(std::string_view text);

}  // namespace millrace::logs
