// Event buses and who may send to them.
#include "base/error.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::Bus;
using events::Kind;
using events::Registry;

constexpr size_t kBusesMax = 100;

json::object create_event_bus(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  if (call.registry.find_bus(name))
    events_error("ResourceAlreadyExistsException", fmt::format("Event bus {} already exists.", name));
  if (name.find('/') != std::string::npos)
    events_invalid("Event bus name must not contain '/'; only buses of partners do.");
  if (call.registry.buses.size() >= kBusesMax) limit_exceeded();
  json::object tags;
  add_tags(tags, call.input);
  Bus& bus = call.registry.buses[name];
  bus.name = name;
  copy_members(call.input, bus.body, {"Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig"});
  bus.tags = std::move(tags);
  bus.created = bus.modified = call.now;
  call.registry.touch(Kind::kBus, name);
  json::object out = bus.body;
  out["EventBusArn"] = call.registry.bus_arn(name);
  return out;
}

json::object update_event_bus(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "Name"));
  copy_members(call.input, bus.body, {"Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig"});
  bus.modified = call.now;
  call.registry.touch(Kind::kBus, bus.name);
  json::object out = bus.body;
  out["Arn"] = call.registry.bus_arn(bus.name);
  out["Name"] = bus.name;
  return out;
}

json::object delete_event_bus(EventsWrite& call) {
  const std::string name = Registry::bus_name(text_of(call.input, "Name"));
  if (name == events::kDefaultBus) events_invalid("Cannot delete event bus default.");
  Bus* bus = call.registry.find_bus(name);
  if (!bus) return {};
  if (!bus->rules.empty())
    events_invalid(fmt::format("Event bus {} can't be deleted since it has rules.", name));
  call.registry.buses.erase(name);
  call.registry.touch(Kind::kBus, name);
  return {};
}

json::object show_bus(const Registry& registry, const Bus& bus) {
  json::object out{{"Name", bus.name}, {"Arn", registry.bus_arn(bus.name)}};
  copy_members(bus.body, out, {"Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig"});
  if (!bus.policy.empty()) {
    json::array statements;
    for (const auto& [sid, statement] : bus.policy) statements.push_back(statement);
    out["Policy"] =
        json::serialize(json::object{{"Version", "2012-10-17"}, {"Statement", std::move(statements)}});
  }
  out["CreationTime"] = bus.created;
  out["LastModifiedTime"] = bus.modified;
  return out;
}

json::object describe_event_bus(EventsRead& call) {
  return show_bus(call.registry, required_bus(call.registry, text_of(call.input, "Name")));
}

json::object list_event_buses(EventsRead& call) {
  return page_of(call.input, call.registry.buses, "EventBuses",
                 [&](const std::string&, const Bus& bus) { return show_bus(call.registry, bus); });
}

// One account lives here, so policies are kept and shown, and nobody is refused by them.
json::object put_permission(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  json::object policy = bus.policy;
  if (auto whole = base::find_string(call.input, "Policy")) {
    policy.clear();
    json::value parsed;
    try {
      parsed = base::parse_json(*whole);
    } catch (const base::CorruptError&) {
      events_invalid("Parameter Policy is not valid. Reason: Policy is not valid JSON.");
    }
    const json::object* document = parsed.if_object();
    const json::array* statements = document ? base::find_array(*document, "Statement") : nullptr;
    if (!statements) events_invalid("Parameter Policy is not valid. Reason: Policy has no Statement.");
    for (const json::value& statement : *statements) {
      if (!statement.is_object())
        events_invalid("Parameter Policy is not valid. Reason: a Statement is no object.");
      std::string sid = text_of(statement.as_object(), "Sid");
      if (sid.empty()) sid = "statement-" + std::to_string(policy.size() + 1);
      policy[sid] = statement;
    }
  } else {
    const std::string sid = text_of(call.input, "StatementId"), principal = text_of(call.input, "Principal"),
                      action = text_of(call.input, "Action");
    for (const auto& [name, value] :
         {std::pair("StatementId", &sid), std::pair("Principal", &principal), std::pair("Action", &action)})
      if (value->empty()) events_invalid(fmt::format("Parameter {} must be specified.", name));
    json::object statement{{"Sid", sid}, {"Effect", "Allow"}};
    if (principal == "*") {
      statement["Principal"] = "*";
    } else {
      statement["Principal"] = json::object{{"AWS", fmt::format("arn:aws:iam::{}:root", principal)}};
    }
    statement["Action"] = action;
    statement["Resource"] = call.registry.bus_arn(bus.name);
    if (const json::object* condition = base::find_object(call.input, "Condition"))
      statement["Condition"] =
          json::object{{condition->at("Type").as_string(),
                        json::object{{condition->at("Key").as_string(), condition->at("Value")}}}};
    policy[sid] = std::move(statement);
  }
  bus.policy = std::move(policy);
  bus.modified = call.now;
  call.registry.touch(Kind::kBus, bus.name);
  return {};
}

json::object remove_permission(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  if (base::find_bool(call.input, "RemoveAllPermissions").value_or(false)) {
    bus.policy.clear();
  } else if (bus.policy.erase(text_of(call.input, "StatementId")) == 0) {
    events_error("ResourceNotFoundException", "Statement with the provided id does not exist.");
  }
  bus.modified = call.now;
  call.registry.touch(Kind::kBus, bus.name);
  return {};
}

constexpr EventsWriteOperation kWrites[] = {
    {"CreateEventBus", create_event_bus},    {"UpdateEventBus", update_event_bus},
    {"DeleteEventBus", delete_event_bus},    {"PutPermission", put_permission},
    {"RemovePermission", remove_permission},
};
constexpr EventsReadOperation kReads[] = {
    {"DescribeEventBus", describe_event_bus},
    {"ListEventBuses", list_event_buses},
};

}  // namespace

OperationList<EventsWriteOperation> bus_writes() { return {kWrites, std::size(kWrites)}; }
OperationList<EventsReadOperation> bus_reads() { return {kReads, std::size(kReads)}; }

}  // namespace millrace::services
