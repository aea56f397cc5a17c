#include "engine/scheduling_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "engine/reject.h"
#include "engine/resource_name.h"

namespace millrace::engine {
namespace {

constexpr size_t kIdentifierMax = 255;
constexpr size_t kDistributionMax = 500;
constexpr int64_t kDecayMax = 604'800, kDecayMin = 600;  // seconds
constexpr int64_t kReservationMax = 99;
constexpr double kWeightMin = 0.0001, kWeightMax = 999.9999;

ShareWeight read_weight(const json::object& entry) {
  ShareWeight out;
  out.identifier = base::find_string(entry, "shareIdentifier").value_or("");
  out.prefix = out.identifier.ends_with('*');
  if (out.prefix) out.identifier.pop_back();
  if (const json::value* weight = base::find(entry, "weightFactor")) out.weight = weight->to_number<double>();
  return out;
}

std::string shown(const ShareWeight& entry) { return entry.identifier + (entry.prefix ? "*" : ""); }

void check_weights(const std::vector<ShareWeight>& weights) {
  if (weights.size() > kDistributionMax) throw Reject("ShareDistribution size cannot be greater than 500.");
  for (const ShareWeight& entry : weights) {
    if (!is_share_identifier(entry.identifier) && !(entry.prefix && entry.identifier.empty()))
      throw Reject("ShareIdentifier name should match a valid pattern.");
    if (entry.weight < kWeightMin || entry.weight > kWeightMax)
      throw Reject("Weight factor should be between 0.0001 and 999.9999.");
  }
  // Sorted, an entry that another one covers stands behind it with nothing uncovered in between.
  std::vector<const ShareWeight*> sorted;
  for (const ShareWeight& entry : weights) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const ShareWeight* a, const ShareWeight* b) {
    return std::tie(a->identifier, b->prefix) < std::tie(b->identifier, a->prefix);
  });
  for (size_t i = 1; i < sorted.size(); ++i) {
    const ShareWeight &one = *sorted[i - 1], &two = *sorted[i];
    if (one.identifier == two.identifier && one.prefix == two.prefix)
      throw Reject("Cannot have two or more identical shareIdentifiers.");
    if (one.prefix && one.covers(two.identifier))
      throw Reject(
          fmt::format("Share identifier {} matches another share identifier {}", shown(two), shown(one)));
  }
}

json::object read_fairshare(const json::object& input) {
  const json::object* given = base::find_object(input, "fairsharePolicy");
  if (base::find_object(input, "quotaSharePolicy")) {
    if (given) throw Reject("A scheduling policy can have either fairsharePolicy or quotaSharePolicy");
    throw Reject("Quota Management feature is only supported for SageMaker Training job queues.");
  }
  json::object policy = given ? *given : json::object();
  int64_t decay = base::find_int(policy, "shareDecaySeconds").value_or(0);
  if (decay < 0 || decay > kDecayMax)
    throw Reject(fmt::format("shareDecaySeconds should be between 0 and {}, got {}.", kDecayMax, decay));
  int64_t reservation = base::find_int(policy, "computeReservation").value_or(0);
  if (reservation < 0 || reservation > kReservationMax)
    throw Reject(
        fmt::format("computeReservation should be between 0 and {}, got {}.", kReservationMax, reservation));
  std::vector<ShareWeight> weights;
  if (const json::array* entries = base::find_array(policy, "shareDistribution"))
    for (const json::value& entry : *entries) weights.push_back(read_weight(entry.as_object()));
  check_weights(weights);
  return policy;
}

}  // namespace

int64_t SchedulingPolicy::window_ms() const {
  return std::max(base::find_int(fairshare, "shareDecaySeconds").value_or(0), kDecayMin) * 1000;
}

std::vector<ShareWeight> SchedulingPolicy::weights() const {
  std::vector<ShareWeight> out;
  if (const json::array* entries = base::find_array(fairshare, "shareDistribution"))
    for (const json::value& entry : *entries) out.push_back(read_weight(entry.as_object()));
  return out;
}

SchedulingPolicy make_scheduling_policy(const json::object& input) {
  SchedulingPolicy policy;
  policy.name = base::find_string(input, "name").value_or("");
  if (!is_resource_name(policy.name)) throw Reject("Scheduling policy name should match a valid pattern.");
  policy.fairshare = read_fairshare(input);
  return policy;
}

void update_scheduling_policy(SchedulingPolicy& policy, const json::object& input) {
  json::object fairshare = read_fairshare(input);
  if (base::find_object(input, "fairsharePolicy")) policy.fairshare = std::move(fairshare);
}

json::object describe(const SchedulingPolicy& policy, const Config& config) {
  return {{"name", policy.name},
          {"arn", policy.arn(config)},
          {"fairsharePolicy", policy.fairshare},
          {"tags", policy.tags}};
}

bool is_share_identifier(std::string_view text) {
  return !text.empty() && text.size() <= kIdentifierMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
}

}  // namespace millrace::engine
