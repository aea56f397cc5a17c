// Filter patterns for space-delimited messages: [ip, user, ..., status = 4* && status != 404, bytes > 1000].
#pragma once

#include <memory>
#include <string_view>

#include "logs/message_matcher.h"

namespace millrace::logs {

// `text` begins with '[' and ends with ']'. Throws UsageError with CloudWatch Logs' words.
//
// Fields of a message stand between blanks; "…" and […] are one field each, without the signs around. There
// must be as many fields as names; "..." (once) stands for any number of fields. Where the pattern has a
// condition, a last name without one takes the rest of the message: "[w1=ERROR, w2]" is the user guide's way
// to ask for a first word. "[]" matches everything.
std::unique_ptr<MessageMatcher> parse_field_pattern(std::string_view text);

}  // namespace millrace::logs
