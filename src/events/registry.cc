#include "events/registry.h"

#include "base/error.h"
#include "events/pattern.h"

namespace millrace::events {
namespace {

constexpr std::pair<Kind, std::string_view> kKinds[] = {{Kind::kBus, "bus"},
                                                        {Kind::kRule, "rule"},
                                                        {Kind::kArchive, "archive"},
                                                        {Kind::kReplay, "replay"},
                                                        {Kind::kConnection, "connection"},
                                                        {Kind::kDestination, "destination"},
                                                        {Kind::kGroup, "group"},
                                                        {Kind::kSchedule, "schedule"}};

std::optional<std::string> text_of(const json::object& object, std::string_view name) {
  auto found = base::find_string(object, name);
  return found ? std::optional(std::string(*found)) : std::nullopt;
}

json::object object_of(const json::object& object, std::string_view name) {
  const json::object* found = base::find_object(object, name);
  return found ? *found : json::object();
}

std::optional<std::string> row_of(const std::map<std::string, json::object>& things, const std::string& key) {
  auto found = things.find(key);
  if (found == things.end()) return std::nullopt;
  return json::serialize(found->second);
}

}  // namespace

std::string_view to_string(Kind kind) {
  for (const auto& [known, name] : kKinds)
    if (known == kind) return name;
  return "";
}

std::optional<Kind> parse_kind(std::string_view name) {
  for (const auto& [kind, known] : kKinds)
    if (known == name) return kind;
  return std::nullopt;
}

void Registry::make_defaults(TimeMs now) {
  if (!buses.contains(std::string(kDefaultBus))) {
    Bus& bus = buses[std::string(kDefaultBus)];
    bus.name = kDefaultBus;
    bus.created = bus.modified = now;
    touch(Kind::kBus, bus.name);
  }
  if (!groups.contains("default")) {
    groups["default"] = {{"CreationDate", now}, {"LastModificationDate", now}};
    touch(Kind::kGroup, "default");
  }
}

Bus* Registry::find_bus(std::string_view name) {
  auto found = buses.find(std::string(name));
  return found == buses.end() ? nullptr : &found->second;
}

const Rule* Registry::find_rule(std::string_view key) const {
  const size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return nullptr;
  auto bus = buses.find(std::string(key.substr(0, slash)));
  if (bus == buses.end()) return nullptr;
  auto found = bus->second.rules.find(std::string(key.substr(slash + 1)));
  return found == bus->second.rules.end() ? nullptr : &found->second;
}

Rule* Registry::find_rule(std::string_view key) {
  return const_cast<Rule*>(std::as_const(*this).find_rule(key));
}

std::string Registry::bus_arn(std::string_view bus) const {
  return place.arn("events", "event-bus/" + std::string(bus));
}

std::string Registry::rule_arn(const Rule& rule) const {
  return place.arn("events", "rule/" + (rule.bus == kDefaultBus ? rule.name : rule.key()));
}

std::string Registry::bus_name(std::string_view name_or_arn) {
  if (name_or_arn.empty()) return std::string(kDefaultBus);
  const size_t at = name_or_arn.find(":event-bus/");
  return std::string(at == std::string_view::npos ? name_or_arn : name_or_arn.substr(at + 11));
}

void Registry::apply_pattern(const Rule& rule) {
  Bus* bus = find_bus(rule.bus);
  auto pattern = base::find_string(rule.body, "EventPattern");
  if (pattern && rule.enabled) {
    bus->patterns->put(rule.name, *pattern);
  } else {
    if (pattern) parse_pattern(*pattern);
    bus->patterns->remove(rule.name);
  }
}

void Registry::apply_archive(const std::string& name) {
  const json::object& archive = archives.at(name);
  Bus* bus = find_bus(bus_name(base::find_string(archive, "EventSourceArn").value_or("")));
  if (!bus) return;
  if (auto pattern = base::find_string(archive, "EventPattern")) {
    bus->patterns->put("archive:" + name, *pattern);
    bus->archives.erase(name);
  } else {
    bus->archives.insert(name);
  }
}

void Registry::drop_archive(const std::string& name) {
  for (auto& [bus_name, bus] : buses) {
    bus.archives.erase(name);
    bus.patterns->remove("archive:" + name);
  }
}

std::optional<std::string> Registry::serialise(Kind kind, const std::string& key) const {
  switch (kind) {
    case Kind::kBus: {
      auto found = buses.find(key);
      if (found == buses.end()) return std::nullopt;
      const Bus& bus = found->second;
      return json::serialize(json::object{{"body", bus.body},
                                          {"tags", bus.tags},
                                          {"policy", bus.policy},
                                          {"created", bus.created},
                                          {"modified", bus.modified}});
    }
    case Kind::kRule: {
      const Rule* rule = find_rule(key);
      if (!rule) return std::nullopt;
      json::array targets;
      for (const auto& [id, target] : rule->targets) targets.push_back(target.body);
      return json::serialize(json::object{{"body", rule->body},
                                          {"tags", rule->tags},
                                          {"enabled", rule->enabled},
                                          {"since", rule->since},
                                          {"targets", std::move(targets)}});
    }
    case Kind::kSchedule: {
      auto found = schedules.find(key);
      if (found == schedules.end()) return std::nullopt;
      const ScheduledCall& call = found->second;
      return json::serialize(json::object{{"body", call.body},
                                          {"created", call.created},
                                          {"modified", call.modified},
                                          {"enabled", call.enabled}});
    }
    case Kind::kArchive:
      return row_of(archives, key);
    case Kind::kReplay:
      return row_of(replays, key);
    case Kind::kConnection:
      return row_of(connections, key);
    case Kind::kDestination:
      return row_of(destinations, key);
    case Kind::kGroup:
      return row_of(groups, key);
  }
  return std::nullopt;
}

// Rows come in the order of Kind: buses before their rules and archives.
void Registry::restore(Kind kind, const std::string& key, std::string_view text) {
  json::value parsed = base::parse_json(text);
  json::object& row = parsed.as_object();
  switch (kind) {
    case Kind::kBus: {
      Bus& bus = buses[key];
      bus.name = key;
      bus.body = object_of(row, "body");
      bus.tags = object_of(row, "tags");
      bus.policy = object_of(row, "policy");
      bus.created = row.at("created").to_number<int64_t>();
      bus.modified = row.at("modified").to_number<int64_t>();
      return;
    }
    case Kind::kRule: {
      const size_t slash = key.rfind('/');
      Bus* bus = find_bus(key.substr(0, slash));
      if (!bus) throw base::CorruptError("rule " + key + " of events.db has no event bus");
      Rule& rule = bus->rules[key.substr(slash + 1)];
      rule.bus = bus->name;
      rule.name = key.substr(slash + 1);
      rule.body = object_of(row, "body");
      rule.tags = object_of(row, "tags");
      rule.enabled = row.at("enabled").as_bool();
      rule.since = row.at("since").to_number<int64_t>();
      if (auto expression = base::find_string(rule.body, "ScheduleExpression"))
        rule.schedule = Schedule::parse(*expression, Schedule::Service::kRules);
      for (json::value& value : row.at("targets").as_array()) {
        json::object& target = value.as_object();
        std::string id = text_of(target, "Id").value_or("");
        auto input = parse_target_input(target);
        rule.targets[id] = {std::move(target), std::move(input)};
      }
      apply_pattern(rule);
      return;
    }
    case Kind::kSchedule: {
      ScheduledCall& call = schedules[key];
      const size_t slash = key.find('/');  // names have none
      call.group = key.substr(0, slash);
      call.name = key.substr(slash + 1);
      call.body = object_of(row, "body");
      call.created = row.at("created").to_number<int64_t>();
      call.modified = row.at("modified").to_number<int64_t>();
      call.enabled = row.at("enabled").as_bool();
      call.schedule = parse_schedule(call.body);
      return;
    }
    case Kind::kArchive:
      archives[key] = std::move(row);
      return apply_archive(key);
    case Kind::kReplay:
      replays[key] = std::move(row);
      return;
    case Kind::kConnection:
      connections[key] = std::move(row);
      return;
    case Kind::kDestination:
      destinations[key] = std::move(row);
      return;
    case Kind::kGroup:
      groups[key] = std::move(row);
      return;
  }
}

Schedule parse_schedule(const json::object& input) {
  std::shared_ptr<const TimeZone> zone = TimeZone::utc();
  if (auto name = text_of(input, "ScheduleExpressionTimezone")) zone = TimeZone::load(*name);
  return Schedule::parse(base::find_string(input, "ScheduleExpression").value_or(""),
                         Schedule::Service::kScheduler, std::move(zone));
}

std::shared_ptr<const TargetInput> parse_target_input(const json::object& target) {
  std::optional<TargetInput::Transformer> transformer;
  if (const json::object* given = base::find_object(target, "InputTransformer")) {
    transformer.emplace();
    transformer->input_template = text_of(*given, "InputTemplate").value_or("");
    if (const json::object* paths = base::find_object(*given, "InputPathsMap"))
      for (const auto& [name, path] : *paths)
        transformer->paths[std::string(name)] = std::string(base::view(path.as_string()));
  }
  return std::make_shared<const TargetInput>(text_of(target, "Input"), text_of(target, "InputPath"),
                                             std::move(transformer), text_of(target, "Id").value_or(""));
}

}  // namespace millrace::events
