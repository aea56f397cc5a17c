// What is thrown for an event pattern that EventBridge would refuse.
#pragma once

#include <string>

#include "base/error.h"

namespace millrace::events {

// what() is the message of AWS's InvalidEventPatternException, complete.
struct InvalidPatternError : base::UsageError {
  explicit InvalidPatternError(const std::string& why)
      : base::UsageError("Event pattern is not valid. Reason: " + why, "InvalidEventPatternException"),
        reason(why) {}
  std::string reason;  // with the place in the pattern, where AWS tells one
};

}  // namespace millrace::events
