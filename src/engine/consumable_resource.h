// Consumable resources: licences, slots, budgets that jobs take before they start (Batch reference,
// "Consumable resources").
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/json.h"
#include "base/time.h"
#include "engine/config.h"
#include "engine/job_id.h"

namespace millrace::engine {

namespace json = base::json;
using base::TimeMs;

struct ConsumableResource {
  int64_t number = 0;
  std::string name;
  bool replenishable = true;  // comes back when a job ends
  int64_t total = 0;
  int64_t used_up = 0;  // of one that is not replenishable
  TimeMs created_at = 0;
  std::map<std::string, TimeMs> tokens;  // clientTokens of updates, and when they came
  json::object tags;

  int64_t held = 0;       // by jobs under way; derived
  std::set<JobSeq> jobs;  // live ones that name it; derived

  int64_t in_use() const { return replenishable ? held : used_up; }
  int64_t available() const { return total > in_use() ? total - in_use() : 0; }
  std::string arn(const Config& config) const { return config.arn("consumable-resource/" + name); }
};

// Checks a CreateConsumableResource request. Throws Reject.
ConsumableResource make_consumable_resource(const json::object& input, TimeMs now);

// SET, ADD or REMOVE of UpdateConsumableResource. A clientToken that came in the last 8 hours changes
// nothing. Throws Reject and then changes nothing.
void update_consumable_resource(ConsumableResource& resource, const json::object& input, TimeMs now);

// Throws Reject for a consumableResourceProperties that no job may have.
void check_consumable_properties(const json::object& properties);

json::object describe(const ConsumableResource& resource, const Config& config);

}  // namespace millrace::engine
