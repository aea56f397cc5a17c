// The operations of EventBridge and Scheduler on the registry, one function each; and what they share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <map>
#include <string>
#include <string_view>

#include "aws/api_error.h"
#include "base/hash.h"
#include "base/json.h"
#include "events/event_store.h"
#include "events/registry.h"

namespace millrace::services {

// In the hub's thread; throw ApiError, or UsageError with a code, before they change anything.
struct EventsWrite {
  const base::json::object& input;
  events::Registry& registry;
  events::EventChanges& changes;
  base::TimeMs now;
};
struct EventsRead {
  const base::json::object& input;
  events::Registry& registry;
  events::EventStore& store;
};
struct EventsWriteOperation {
  std::string_view name;
  base::json::object (*run)(EventsWrite& call);
};
struct EventsReadOperation {
  std::string_view name;
  base::json::object (*run)(EventsRead& call);
};
template <typename Operation>
struct OperationList {
  const Operation* first;
  size_t count;
  const Operation* begin() const { return first; }
  const Operation* end() const { return first + count; }
};

OperationList<EventsWriteOperation> bus_writes();
OperationList<EventsReadOperation> bus_reads();
OperationList<EventsWriteOperation> rule_writes();
OperationList<EventsReadOperation> rule_reads();
OperationList<EventsWriteOperation> archive_writes();
OperationList<EventsReadOperation> archive_reads();
OperationList<EventsWriteOperation> connection_writes();
OperationList<EventsReadOperation> connection_reads();
OperationList<EventsReadOperation> absent_reads();

// ---- helpers

inline std::string text_of(const base::json::object& input, std::string_view name) {
  return std::string(base::find_string(input, name).value_or(""));
}
[[noreturn]] inline void events_error(const char* code, const std::string& message) {
  throw aws::ApiError(400, code, message);
}
[[noreturn]] inline void events_invalid(const std::string& message) {
  events_error("ValidationException", message);
}
[[noreturn]] inline void limit_exceeded() {
  events_error("LimitExceededException", "The requested resource exceeds the maximum number allowed.");
}
// Copies members that are there.
inline void copy_members(const base::json::object& from, base::json::object& to,
                         std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const base::json::value* value = base::find(from, name)) to[name] = *value;
}

inline events::Bus& required_bus(events::Registry& registry, std::string_view name_or_arn) {
  const std::string name = events::Registry::bus_name(name_or_arn);
  events::Bus* bus = registry.find_bus(name);
  if (!bus) events_error("ResourceNotFoundException", fmt::format("Event bus {} does not exist.", name));
  return *bus;
}
inline events::Rule& required_rule(events::Bus& bus, std::string_view name) {
  auto found = bus.rules.find(std::string(name));
  if (found == bus.rules.end())
    events_error("ResourceNotFoundException",
                 fmt::format("Rule {} does not exist on EventBus {}.", name, bus.name));
  return found->second;
}

// Errors of the domain as ApiError; others as they are, null too.
std::exception_ptr events_api_error(std::exception_ptr error, const char* internal_code);

// Tags as the APIs list them, [{Key, Value}], to and from an object.
base::json::array tag_list(const base::json::object& tags);
void add_tags(base::json::object& tags, const base::json::object& input);     // its Tags
void remove_tags(base::json::object& tags, const base::json::object& input);  // its TagKeys

// A page of a map whose keys begin with NamePrefix: Limit (or MaxResults) and NextToken of `input`. `show`
// gives the entry, or an empty object for what is filtered out.
template <typename Map, typename Show>
base::json::object page_of(const base::json::object& input, const Map& things, const char* member,
                           const Show& show) {
  const std::string prefix = text_of(input, "NamePrefix");
  const auto limit = static_cast<size_t>(
      base::find_int(input, "Limit").value_or(base::find_int(input, "MaxResults").value_or(100)));
  auto from = things.lower_bound(prefix);
  if (auto token = base::find_string(input, "NextToken")) {
    auto key = base::unbase64(*token);
    if (!key) events_invalid("Parameter NextToken is not valid.");
    from = things.upper_bound(std::max(*key, prefix));
    if (*key < prefix) from = things.lower_bound(prefix);
  }
  base::json::array out;
  base::json::object answer;
  std::string last;
  for (; from != things.end() && std::string_view(from->first).starts_with(prefix); ++from) {
    base::json::object entry = show(from->first, from->second);
    if (entry.empty()) continue;
    if (out.size() == limit) {
      answer["NextToken"] = base::base64(last);
      break;
    }
    last = from->first;
    out.push_back(std::move(entry));
  }
  answer[member] = std::move(out);
  return answer;
}

}  // namespace millrace::services
