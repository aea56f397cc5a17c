// Scheduling policies: how a queue divides its room among share identifiers (Batch reference, "Fair share").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "engine/config.h"

namespace millrace::engine {

namespace json = base::json;

// One entry of shareDistribution.
struct ShareWeight {
  std::string identifier;  // without the "*" of a prefix
  bool prefix = false;
  double weight = 1;  // lower gets more

  bool covers(std::string_view share) const {
    return prefix ? share.starts_with(identifier) : share == identifier;
  }
};

struct SchedulingPolicy {
  int64_t number = 0;
  std::string name;
  json::object fairshare;  // as it was given
  json::object tags;

  // Usage older than this does not count; AWS takes at least 600 s.
  int64_t window_ms() const;
  // Kept for shares that are not active, in percent.
  int64_t reservation() const { return base::find_int(fairshare, "computeReservation").value_or(0); }
  std::vector<ShareWeight> weights() const;
  std::string arn(const Config& config) const { return config.arn("scheduling-policy/" + name); }
};

// Checks a CreateSchedulingPolicy request. Throws Reject.
SchedulingPolicy make_scheduling_policy(const json::object& input);

// The fairsharePolicy of an UpdateSchedulingPolicy request replaces the old one. Throws Reject and then
// changes nothing.
void update_scheduling_policy(SchedulingPolicy& policy, const json::object& input);

json::object describe(const SchedulingPolicy& policy, const Config& config);

// Up to 255 letters, digits, hyphens and underscores.
bool is_share_identifier(std::string_view text);

}  // namespace millrace::engine
