#include "engine/node_properties.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "engine/container_rules.h"
#include "engine/ecs_task.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

constexpr int64_t kNodesMax = 1000;
constexpr size_t kRangesMax = 5;

struct Range {
  int64_t first, last;  // both included
};

// One end of a range; `open` where nothing is written.
int64_t node_index(std::string_view text, int64_t open) {
  if (text.empty()) return open;
  auto index = text[0] == '-' ? std::nullopt : base::parse_number<int64_t>(text);
  if (!index) throw Reject("targetNodes should contain only digits.");
  return *index;
}

// "n", "a:b", ":b", "a:".
Range read_target_nodes(std::string_view text, int64_t nodes) {
  auto parts = base::split(text, ':');
  if (parts.size() > 2 || text.empty() || text == ":")
    throw Reject("targetNodes should contain only digits.");
  Range range{};
  range.first = node_index(parts[0], 0);
  range.last = parts.size() == 1 ? range.first : node_index(parts[1], nodes - 1);
  if (range.first > range.last || range.last >= nodes)
    throw Reject(
        fmt::format("targetNodes {} is out of range, node indexes go from 0 to {}.", text, nodes - 1));
  return range;
}

void check_range(const json::object& range) {
  std::string_view nodes = base::find_string(range, "targetNodes").value_or("");
  const json::object* container = base::find_object(range, "container");
  const json::object* ecs = base::find_object(range, "ecsProperties");
  if (container && ecs)
    throw Reject("NodeRangeProperties can not use both ecsProperties and container fields");
  if (!container && !ecs && !base::find(range, "eksProperties"))
    throw Reject(fmt::format("Must specify container for node range {}", nodes));
  const json::array* types = base::find_array(range, "instanceTypes");
  if (types && !types->empty() && !ecs)
    throw Reject("Using instanceTypes with nodeRangeProperty is only allowed for ecsProperties jobs.");
  if (container) check_container(*container, false);
  if (ecs) check_ecs_properties(*ecs, false);
}

}  // namespace

void check_node_properties(const json::object& nodes) {
  int64_t count = base::find_int(nodes, "numNodes").value_or(0);
  if (count < 1 || count > kNodesMax) throw Reject("Number of nodes must be between 1 and 1000.");
  int64_t main = base::find_int(nodes, "mainNode").value_or(-1);
  if (main < 0 || main >= count) throw Reject("Main node index is out of range, must be less than numNodes.");
  const json::array* ranges = base::find_array(nodes, "nodeRangeProperties");
  if (!ranges || ranges->empty()) throw Reject("Node range properties are required.");
  if (ranges->size() > kRangesMax) throw Reject("Maximum allowed size of node range properties is 5");
  std::vector<bool> covered(static_cast<size_t>(count));
  for (const json::value& value : *ranges) {
    const json::object& range = value.as_object();
    auto [first, last] = read_target_nodes(base::find_string(range, "targetNodes").value_or(""), count);
    std::fill(covered.begin() + first, covered.begin() + last + 1, true);
    check_range(range);
  }
  auto gap = std::find(covered.begin(), covered.end(), false);
  if (gap != covered.end())
    throw Reject(fmt::format("Node range properties must cover all nodes, node {} is in none.",
                             gap - covered.begin()));
}

}  // namespace millrace::engine
