// Filter patterns for unstructured messages: terms, "phrases", %regular expressions%, ?any, -none.
#pragma once

#include <memory>
#include <string_view>

#include "logs/message_matcher.h"

namespace millrace::logs {

// Throws UsageError with CloudWatch Logs' words. All plain terms must be in the message, and none of the '-'
// ones; of the '?' ones at least one, unless there are others beside them: then '?' terms mean nothing (user
// guide, "Match optional terms").
std::unique_ptr<MessageMatcher> parse_term_pattern(std::string_view text);

}  // namespace millrace::logs
