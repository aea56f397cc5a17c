// Rules, their targets and their tags.
#include <optional>

#include "base/error.h"
#include "events/pattern.h"
#include "events/target_request.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::Bus;
using events::Kind;
using events::Registry;
using events::Rule;
using events::Target;

constexpr size_t kRulesMax = 300;  // of a bus
constexpr size_t kTargetsMax = 5;  // of a rule

json::object put_rule(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  const std::string name = text_of(call.input, "Name");
  auto pattern = base::find_string(call.input, "EventPattern");
  auto expression = base::find_string(call.input, "ScheduleExpression");
  if (pattern && pattern->empty()) pattern.reset();
  if (expression && expression->empty()) expression.reset();
  if (!pattern && !expression)
    events_invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.");
  std::optional<events::Schedule> schedule;
  if (expression) {
    if (bus.name != events::kDefaultBus)
      events_invalid("ScheduleExpression is supported only on the default event bus.");
    schedule = events::Schedule::parse(*expression, events::Schedule::Service::kRules);
  }
  if (pattern) events::parse_pattern(*pattern);
  auto old = bus.rules.find(name);
  if (old == bus.rules.end() && bus.rules.size() >= kRulesMax) limit_exceeded();
  json::object tags;
  if (old == bus.rules.end()) add_tags(tags, call.input);

  Rule& rule = bus.rules[name];
  const bool enabled = text_of(call.input, "State") != "DISABLED";
  if (rule.name.empty()) {
    rule.name = name;
    rule.bus = bus.name;
    rule.tags = std::move(tags);
  }
  if (text_of(rule.body, "ScheduleExpression") != expression.value_or("") || enabled != rule.enabled ||
      rule.since == 0)
    rule.since = call.now;
  rule.body.clear();
  copy_members(call.input, rule.body, {"Description", "RoleArn"});
  if (pattern) rule.body["EventPattern"] = *pattern;
  if (expression) rule.body["ScheduleExpression"] = *expression;
  const std::string state = text_of(call.input, "State");
  if (!state.empty() && state != "DISABLED") rule.body["State"] = state;
  rule.enabled = enabled;
  rule.schedule = std::move(schedule);
  call.registry.apply_pattern(rule);
  call.registry.touch(Kind::kRule, rule.key());
  return {{"RuleArn", call.registry.rule_arn(rule)}};
}

json::object delete_rule(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  auto found = bus.rules.find(text_of(call.input, "Name"));
  if (found == bus.rules.end()) return {};
  if (!found->second.targets.empty()) events_invalid("Rule can't be deleted since it has targets.");
  call.registry.touch(Kind::kRule, found->second.key());
  bus.patterns->remove(found->first);
  bus.rules.erase(found);
  return {};
}

json::object set_enabled(EventsWrite& call, bool enabled) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  Rule& rule = required_rule(bus, text_of(call.input, "Name"));
  if (rule.enabled == enabled) return {};
  rule.enabled = enabled;
  rule.since = call.now;
  call.registry.apply_pattern(rule);
  call.registry.touch(Kind::kRule, rule.key());
  return {};
}
json::object enable_rule(EventsWrite& call) { return set_enabled(call, true); }
json::object disable_rule(EventsWrite& call) { return set_enabled(call, false); }

json::object put_targets(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  Rule& rule = required_rule(bus, text_of(call.input, "Rule"));
  std::map<std::string, Target> targets = rule.targets;
  for (const json::value& value : call.input.at("Targets").as_array()) {
    const json::object& body = value.as_object();
    events::target_kind(body);
    if (const json::object* letters = base::find_object(body, "DeadLetterConfig"))
      events::check_dead_letter(text_of(*letters, "Arn"));
    targets[text_of(body, "Id")] = {body, events::parse_target_input(body)};
  }
  if (targets.size() > kTargetsMax) limit_exceeded();
  rule.targets = std::move(targets);
  call.registry.touch(Kind::kRule, rule.key());
  return {{"FailedEntryCount", 0}, {"FailedEntries", json::array()}};
}

json::object remove_targets(EventsWrite& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  Rule& rule = required_rule(bus, text_of(call.input, "Rule"));
  for (const json::value& id : call.input.at("Ids").as_array())
    rule.targets.erase(std::string(base::view(id.as_string())));
  call.registry.touch(Kind::kRule, rule.key());
  return {{"FailedEntryCount", 0}, {"FailedEntries", json::array()}};
}

json::object show_rule(const Registry& registry, const Rule& rule) {
  json::object out{{"Name", rule.name}, {"Arn", registry.rule_arn(rule)}};
  copy_members(rule.body, out, {"EventPattern", "ScheduleExpression", "Description", "RoleArn"});
  const std::string enabled = text_of(rule.body, "State");
  out["State"] = !rule.enabled ? "DISABLED" : enabled.empty() ? "ENABLED" : enabled;
  out["EventBusName"] = rule.bus;
  return out;
}

json::object describe_rule(EventsRead& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  json::object out = show_rule(call.registry, required_rule(bus, text_of(call.input, "Name")));
  out["CreatedBy"] = call.registry.place.account;
  return out;
}

json::object list_rules(EventsRead& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  return page_of(call.input, bus.rules, "Rules",
                 [&](const std::string&, const Rule& rule) { return show_rule(call.registry, rule); });
}

json::object list_targets_by_rule(EventsRead& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  Rule& rule = required_rule(bus, text_of(call.input, "Rule"));
  return page_of(call.input, rule.targets, "Targets",
                 [](const std::string&, const Target& target) { return target.body; });
}

json::object list_rule_names_by_target(EventsRead& call) {
  Bus& bus = required_bus(call.registry, text_of(call.input, "EventBusName"));
  const std::string arn = text_of(call.input, "TargetArn");
  json::object answer = page_of(call.input, bus.rules, "RuleNames",
                                [&](const std::string& name, const Rule& rule) -> json::object {
                                  for (const auto& [id, target] : rule.targets)
                                    if (text_of(target.body, "Arn") == arn) return {{"Name", name}};
                                  return {};
                                });
  for (json::value& entry : answer["RuleNames"].as_array()) {
    json::value name = entry.at("Name");
    entry = std::move(name);
  }
  return answer;
}

// The tags of the rule or bus that ResourceARN names.
struct Tagged {
  json::object& tags;
  Kind kind;
  std::string key;
};
Tagged find_tagged(Registry& registry, const json::object& input) {
  const std::string arn = text_of(input, "ResourceARN");
  if (arn.find(":event-bus/") != std::string::npos) {
    Bus& bus = required_bus(registry, arn);
    return {bus.tags, Kind::kBus, bus.name};
  }
  const size_t at = arn.find(":rule/");
  if (at == std::string::npos) events_invalid(fmt::format("Parameter ResourceARN {} is not valid.", arn));
  std::string_view name = std::string_view(arn).substr(at + 6);
  const size_t slash = name.rfind('/');
  Bus& bus = required_bus(registry, slash == std::string_view::npos ? "" : name.substr(0, slash));
  Rule& rule = required_rule(bus, slash == std::string_view::npos ? name : name.substr(slash + 1));
  return {rule.tags, Kind::kRule, rule.key()};
}

json::object tag_resource(EventsWrite& call) {
  Tagged tagged = find_tagged(call.registry, call.input);
  add_tags(tagged.tags, call.input);
  call.registry.touch(tagged.kind, tagged.key);
  return {};
}

json::object untag_resource(EventsWrite& call) {
  Tagged tagged = find_tagged(call.registry, call.input);
  remove_tags(tagged.tags, call.input);
  call.registry.touch(tagged.kind, tagged.key);
  return {};
}

json::object list_tags(EventsRead& call) {
  return {{"Tags", tag_list(find_tagged(call.registry, call.input).tags)}};
}

constexpr EventsWriteOperation kWrites[] = {
    {"PutRule", put_rule},         {"DeleteRule", delete_rule},       {"EnableRule", enable_rule},
    {"DisableRule", disable_rule}, {"PutTargets", put_targets},       {"RemoveTargets", remove_targets},
    {"TagResource", tag_resource}, {"UntagResource", untag_resource},
};
constexpr EventsReadOperation kReads[] = {
    {"DescribeRule", describe_rule},
    {"ListRules", list_rules},
    {"ListTargetsByRule", list_targets_by_rule},
    {"ListRuleNamesByTarget", list_rule_names_by_target},
    {"ListTagsForResource", list_tags},
};

}  // namespace

OperationList<EventsWriteOperation> rule_writes() { return {kWrites, std::size(kWrites)}; }
OperationList<EventsReadOperation> rule_reads() { return {kReads, std::size(kReads)}; }

}  // namespace millrace::services
