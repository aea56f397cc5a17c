// TestEventPattern: one pattern against one event, both as text.
#pragma once

#include <string_view>

#include "base/error.h"

namespace millrace::events {

inline constexpr size_t kPatternBytesMax = 4096;

// "Parameter Event is not valid."
struct InvalidEventError : base::UsageError {
  InvalidEventError() : base::UsageError("Parameter Event is not valid.", "ValidationException") {}
};

// Throws InvalidEventError when `event` is not a JSON object with id, source, detail-type, account, time and
// region, InvalidPatternError when the pattern is refused. The length of the pattern is not looked at.
bool test_event_pattern(std::string_view pattern, std::string_view event);

}  // namespace millrace::events
