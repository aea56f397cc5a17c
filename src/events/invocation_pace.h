// How often API destinations are called: InvocationRateLimitPerSecond, counted by the second of the clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "base/time.h"

namespace millrace::events {

// Gives out turns. Not thread-safe.
class InvocationPace {
 public:
  // The next turn of `destination`, `rate` of them a second: `now`, or the beginning of the first second that
  // is not taken up. Turns are not given back.
  base::TimeMs reserve(const std::string& destination, int64_t rate, base::TimeMs now) {
    Second& second = seconds_[destination];
    const int64_t current = now / kSecondMs;
    if (second.number < current) second = {current, 0};
    if (second.taken >= std::max<int64_t>(1, rate)) second = {second.number + 1, 0};
    ++second.taken;
    return std::max(now, second.number * kSecondMs);
  }
  // Every turn up to the second of `last` is taken: a process that died gave them out.
  void restore(const std::string& destination, base::TimeMs last) {
    seconds_[destination] = {last / kSecondMs, INT64_MAX};
  }

 private:
  static constexpr int64_t kSecondMs = 1000;
  struct Second {
    int64_t number = 0, taken = 0;
  };
  std::map<std::string, Second> seconds_;
};

}  // namespace millrace::events
