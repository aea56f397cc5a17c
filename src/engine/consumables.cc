// Engine commands on consumable resources, and how jobs take and return them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/engine.h"
#include "engine/name_once.h"
#include "engine/reject.h"
#include "engine/resource_name.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

constexpr size_t kConsumablesMax = 50'000;  // AWS Batch service quotas

std::string_view named(const json::object& input) {
  return base::find_string(input, "consumableResource").value_or("");
}

}  // namespace

json::object Engine::create_consumable_resource(const json::object& input, TimeMs now) {
  ConsumableResource made = make_consumable_resource(input, now);
  if (consumables_.contains(made.name)) throw Reject("Object already exists");
  if (consumables_.size() >= kConsumablesMax)
    throw Reject("Limit of 50000 consumable resources is reached; delete one that is not needed.");
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(made.tags, *tags);
  made.number = ++last_number_;
  auto owned = std::make_unique<ConsumableResource>(std::move(made));
  ConsumableResource& resource = *owned;
  consumables_[resource.name] = std::move(owned);
  name_once(changes_.consumables, resource);
  return {{"consumableResourceName", resource.name}, {"consumableResourceArn", resource.arn(config_)}};
}

json::object Engine::update_consumable_resource(const json::object& input, TimeMs now) {
  ConsumableResource* resource = find_consumable(resource_name(named(input), "consumable-resource"));
  if (!resource) throw Reject(fmt::format("ConsumableResource {} not found.", named(input)));
  engine::update_consumable_resource(*resource, input, now);
  name_once(changes_.consumables, *resource);
  schedule_needed_ = true;
  return {{"consumableResourceName", resource->name},
          {"consumableResourceArn", resource->arn(config_)},
          {"totalQuantity", resource->total}};
}

json::object Engine::delete_consumable_resource(const json::object& input) {
  ConsumableResource* resource = find_consumable(resource_name(named(input), "consumable-resource"));
  if (!resource) return {};
  if (!resource->jobs.empty())
    throw Reject(fmt::format("Cannot delete, {} jobs that have not ended need consumable resource {}.",
                             resource->jobs.size(), resource->name));
  std::erase(changes_.consumables, resource);
  changes_.deleted_consumables.push_back(resource->number);
  consumables_.erase(resource->name);
  return {};
}

// Null when it is nothing. Throws Reject for a resource that is not there.
std::shared_ptr<const ConsumableNeeds> Engine::needs_of(const json::object& properties) const {
  check_consumable_properties(properties);
  const json::array* list = base::find_array(properties, "consumableResourceList");
  if (!list || list->empty()) return nullptr;
  auto needs = std::make_shared<ConsumableNeeds>();
  for (const json::value& value : *list) {
    const json::object& entry = value.as_object();
    ConsumableResource* resource = find_consumable(resource_name(named(entry), "consumable-resource"));
    if (!resource) throw Reject(fmt::format("ConsumableResource {} not found.", named(entry)));
    // Once by name and once by ARN it would be counted as free for each of them.
    if (std::any_of(needs->begin(), needs->end(), [&](const auto& need) { return need.first == resource; }))
      throw Reject("Cannot have duplicate consumableResource in consumableResourceProperties");
    needs->emplace_back(resource, base::find_int(entry, "quantity").value_or(1));
  }
  return needs;
}

bool Engine::has_what_it_needs(const Job& job) const {
  return !job.needs || job.holds || std::all_of(job.needs->begin(), job.needs->end(), [](const auto& need) {
    return need.second <= need.first->available();
  });
}

void Engine::take_consumables(Job& job) {
  if (!job.needs || job.holds) return;
  job.holds = true;
  for (const auto& [resource, quantity] : *job.needs) {
    if (resource->replenishable) {
      resource->held += quantity;
    } else {
      resource->used_up += quantity;
      name_once(changes_.consumables, *resource);
    }
  }
}

// A live job names its resources, so that they are not deleted.
void Engine::name_consumables(const Job& job) {
  if (!job.needs) return;
  for (const auto& [resource, quantity] : *job.needs) {
    resource->jobs.insert(job.seq);
    if (job.holds && resource->replenishable) resource->held += quantity;
  }
}

// `job` has ended.
void Engine::return_consumables(Job& job) {
  if (!job.needs) return;
  for (const auto& [resource, quantity] : *job.needs) {
    resource->jobs.erase(job.seq);
    if (job.holds && resource->replenishable) resource->held -= quantity;
  }
  job.holds = false;
  job.needs.reset();  // from now on they may be deleted, even before the job is written
}

}  // namespace millrace::engine
