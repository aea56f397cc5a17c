#include "events/delivery.h"

#include <algorithm>

#include "base/hash.h"

namespace millrace::events {

RetryPolicy RetryPolicy::of(const json::object& target) {
  RetryPolicy policy;
  const json::object* given = base::find_object(target, "RetryPolicy");
  if (!given) return policy;
  policy.retries_max =
      static_cast<int>(base::find_int(*given, "MaximumRetryAttempts").value_or(policy.retries_max));
  if (auto seconds = base::find_int(*given, "MaximumEventAgeInSeconds")) policy.age_max_ms = *seconds * 1000;
  return policy;
}

TimeMs RetryPolicy::wait_ms(int attempts, uint64_t seed) {
  constexpr TimeMs kFirst = 1000, kMost = 480'000;
  const TimeMs full = std::min(kMost, kFirst << std::clamp(attempts - 1, 0, 20));
  const uint64_t noise = base::xxh3(std::to_string(seed) + ":" + std::to_string(attempts));
  return full / 2 + static_cast<TimeMs>(noise % static_cast<uint64_t>(full / 2 + 1));
}

}  // namespace millrace::events
