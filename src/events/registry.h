// What event buses and the scheduler were told: buses, rules, targets, schedules and the rest, in memory.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/time.h"
#include "events/event.h"
#include "events/rule_set.h"
#include "events/schedule.h"
#include "events/target_input.h"

namespace millrace::events {

namespace json = base::json;
using base::TimeMs;

constexpr int64_t kInvocationRateDefault = 300;  // of an API destination, per second

// Of a rule or schedule. Events matched; deliveries made; attempts that failed; deliveries given up.
struct Counts {
  int64_t matched = 0, delivered = 0, failed = 0, dead = 0;
};

struct Target {
  json::object body;  // as PutTargets got it
  std::shared_ptr<const TargetInput> input;
};

struct Rule {
  std::string bus, name;
  json::object body;  // as PutRule got it, without name, bus, state and tags
  json::object tags;
  bool enabled = true;
  TimeMs since = 0;  // enabled, or given this schedule: rates count from here
  std::optional<Schedule> schedule;
  std::map<std::string, Target> targets;
  std::string key() const { return bus + "/" + name; }
};

struct Bus {
  std::string name;
  json::object body;  // Description, KmsKeyIdentifier, DeadLetterConfig, LogConfig
  json::object tags;
  json::object policy;  // statements by Sid
  TimeMs created = 0, modified = 0;
  std::map<std::string, Rule> rules;
  // The patterns of enabled rules, and of archives as "archive:NAME".
  std::unique_ptr<RuleSet> patterns = std::make_unique<RuleSet>();
  std::set<std::string> archives;  // that take everything
};

struct ScheduledCall {
  std::string group, name;
  json::object body;  // as CreateSchedule got it
  TimeMs created = 0, modified = 0;
  bool enabled = true;
  std::optional<Schedule> schedule;
  std::string key() const { return group + "/" + name; }
};

enum class Kind { kBus, kRule, kArchive, kReplay, kConnection, kDestination, kGroup, kSchedule };
std::string_view to_string(Kind kind);
std::optional<Kind> parse_kind(std::string_view name);

// Owned by one thread. Who changes something says so with touch(), and the store writes it.
class Registry {
 public:
  explicit Registry(Place place) : place(std::move(place)) {}

  const Place place;
  std::map<std::string, Bus> buses;
  std::map<std::string, ScheduledCall> schedules;  // by key()
  // The rest are what the API said and what was made of it, by name.
  std::map<std::string, json::object> archives, replays, connections, destinations, groups;

  // "default" and the default schedule group, when they are not there.
  void make_defaults(TimeMs now);
  Bus* find_bus(std::string_view name);
  Rule* find_rule(std::string_view key);  // "BUS/NAME"
  const Rule* find_rule(std::string_view key) const;
  std::string bus_arn(std::string_view bus) const;
  std::string rule_arn(const Rule& rule) const;
  std::string archive_arn(std::string_view name) const {
    return place.arn("events", "archive/" + std::string(name));
  }
  std::string schedule_arn(const ScheduledCall& call) const {
    return place.arn("scheduler", "schedule/" + call.key());
  }
  // The name in an ARN of a bus, or the name itself; "default" for "".
  static std::string bus_name(std::string_view name_or_arn);

  // Puts the rule's or archive's pattern into its bus's, or takes it out. Throws InvalidPatternError and
  // changes nothing.
  void apply_pattern(const Rule& rule);
  void apply_archive(const std::string& name);
  void drop_archive(const std::string& name);

  void touch(Kind kind, std::string key) { touched_.emplace(kind, std::move(key)); }
  std::set<std::pair<Kind, std::string>> take_touched() { return std::exchange(touched_, {}); }
  // The row of a thing; nothing when it is gone.
  std::optional<std::string> serialise(Kind kind, const std::string& key) const;
  void restore(Kind kind, const std::string& key, std::string_view body);

  // "rule:BUS/NAME" or "schedule:GROUP/NAME".
  std::map<std::string, Counts> counts;
  // When they fired last, or were due last when they are new: the scheduled time.
  std::map<std::string, TimeMs> fired;

 private:
  std::set<std::pair<Kind, std::string>> touched_;
};

// The Schedule of a CreateSchedule input. Throws UsageError with Scheduler's text.
Schedule parse_schedule(const json::object& input);

// What a target's Input… members make. Throws UsageError with EventBridge's text.
std::shared_ptr<const TargetInput> parse_target_input(const json::object& target);

}  // namespace millrace::events
