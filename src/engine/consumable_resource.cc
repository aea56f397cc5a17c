#include "engine/consumable_resource.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "engine/reject.h"

namespace millrace::engine {
namespace {

constexpr TimeMs kTokenMs = TimeMs{8} * 3600 * 1000;
constexpr size_t kOfJobMax = 5;
constexpr int64_t kQuantityMax = int64_t{1} << 53;  // what JSON numbers carry exactly

}  // namespace

ConsumableResource make_consumable_resource(const json::object& input, TimeMs now) {
  ConsumableResource made;
  made.name = base::find_string(input, "consumableResourceName").value_or("");
  if (!is_resource_name(made.name)) throw Reject("ConsumableResource name should match a valid pattern.");
  auto type = base::find_string(input, "resourceType").value_or("REPLENISHABLE");
  if (type != "REPLENISHABLE" && type != "NON_REPLENISHABLE")
    throw Reject("resourceType must be one of [REPLENISHABLE, NON_REPLENISHABLE].");
  made.replenishable = type == "REPLENISHABLE";
  made.total = base::find_int(input, "totalQuantity").value_or(0);
  if (made.total < 0) throw Reject("totalQuantity cannot be a negative number.");
  if (made.total > kQuantityMax) throw Reject(fmt::format("totalQuantity must be at most {}.", kQuantityMax));
  made.created_at = now;
  return made;
}

void update_consumable_resource(ConsumableResource& resource, const json::object& input, TimeMs now) {
  auto operation = base::find_string(input, "operation").value_or("");
  int64_t quantity = base::find_int(input, "quantity").value_or(0);
  if (quantity < 0) throw Reject("quantity cannot be a negative number.");
  if (quantity > kQuantityMax) throw Reject(fmt::format("quantity must be at most {}.", kQuantityMax));
  int64_t total = 0;
  if (operation == "SET") {
    total = quantity;
  } else if (operation == "ADD") {
    total = resource.total + quantity;
  } else if (operation == "REMOVE") {
    total = resource.total - quantity;
  } else {
    throw Reject("operation must be one of [SET, ADD, REMOVE].");
  }
  std::erase_if(resource.tokens, [&](const auto& entry) { return entry.second + kTokenMs <= now; });
  std::string token(base::find_string(input, "clientToken").value_or(""));
  if (!token.empty() && resource.tokens.contains(token)) return;
  if (total < 0)
    throw Reject(
        fmt::format("totalQuantity cannot be a negative number: {} has {}.", resource.name, resource.total));
  if (total > kQuantityMax) throw Reject(fmt::format("totalQuantity must be at most {}.", kQuantityMax));
  if (!token.empty()) resource.tokens[token] = now;
  resource.total = total;
}

void check_consumable_properties(const json::object& properties) {
  const json::array* list = base::find_array(properties, "consumableResourceList");
  if (!list) return;
  if (list->size() > kOfJobMax)
    throw Reject("Each ConsumableResourceProperty can have at most 5 consumableResources");
  std::set<std::string_view> seen;
  for (const json::value& value : *list) {
    const json::object& entry = value.as_object();
    auto name = base::find_string(entry, "consumableResource").value_or("");
    if (name.empty()) throw Reject("consumableResource is required in consumableResourceProperties.");
    if (!seen.insert(name).second)
      throw Reject("Cannot have duplicate consumableResource in consumableResourceProperties");
    int64_t quantity = base::find_int(entry, "quantity").value_or(1);
    if (quantity < 1 || quantity > kQuantityMax)
      throw Reject(fmt::format("quantity of consumableResource {} must be between 1 and {}, got {}.", name,
                               kQuantityMax, quantity));
  }
}

json::object describe(const ConsumableResource& resource, const Config& config) {
  return {{"consumableResourceName", resource.name},
          {"consumableResourceArn", resource.arn(config)},
          {"totalQuantity", resource.total},
          {"inUseQuantity", resource.in_use()},
          {"availableQuantity", resource.available()},
          {"resourceType", resource.replenishable ? "REPLENISHABLE" : "NON_REPLENISHABLE"},
          {"createdAt", resource.created_at},
          {"tags", resource.tags}};
}

}  // namespace millrace::engine
