// Rules and schedules that fire by the clock.
#include <algorithm>

#include "base/hash.h"
#include "base/random.h"
#include "events/hub.h"
#include "events/target_request.h"

namespace millrace::events {
namespace {

constexpr size_t kFiringsMax = 1000;  // in one commit
constexpr TimeMs kMinuteMs = 60'000;

// The firing that is due next, after `last`. Of those that were missed only the latest counts, and only when
// it is within `window`.
std::optional<TimeMs> next_firing(const Schedule& schedule, TimeMs last, TimeMs start, TimeMs now,
                                  TimeMs window) {
  std::optional<TimeMs> next = schedule.next(last, start);
  if (!next || *next > now) return next;
  TimeMs from = std::max(last, now - window - 1);
  std::optional<TimeMs> missed;
  while ((next = schedule.next(from, start)) && *next <= now) {
    missed = next;
    from = *next;
  }
  return missed ? missed : next;
}

TimeMs window_of(const ScheduledCall& call) {
  const json::object* window = base::find_object(call.body, "FlexibleTimeWindow");
  if (!window || base::find_string(*window, "Mode").value_or("OFF") != "FLEXIBLE") return 0;
  return base::find_int(*window, "MaximumWindowInMinutes").value_or(0) * kMinuteMs;
}

}  // namespace

std::optional<TimeMs> Hub::fires_at(const std::string& owner) const {
  auto entry = timetable_.find(owner);
  return entry ? std::optional(entry->due) : std::nullopt;
}

void Hub::plan_all(TimeMs now) {
  for (const auto& [bus_name, bus] : registry_->buses)
    for (const auto& [name, rule] : bus.rules) plan_rule("rule:" + rule.key(), rule, now);
  for (const auto& [key, call] : registry_->schedules) plan_schedule("schedule:" + key, call, now);
}

void Hub::plan_rule(const std::string& owner, const Rule& rule, TimeMs now) {
  if (!rule.enabled || !rule.schedule) return;
  auto fired = registry_->fired.find(owner);
  TimeMs last = rule.since;
  if (fired != registry_->fired.end()) last = std::max(last, fired->second);
  if (auto next = next_firing(*rule.schedule, last, rule.since, now, options_.missed_window_ms))
    timetable_.set(owner, {*next, *next});
}

void Hub::plan_schedule(const std::string& owner, const ScheduledCall& call, TimeMs now) {
  if (!call.enabled || !call.schedule) return;
  const bool once = call.schedule->once();
  const TimeMs start = once ? call.created : base::find_int(call.body, "StartDate").value_or(call.created);
  auto fired = registry_->fired.find(owner);
  if (once && fired != registry_->fired.end() && fired->second >= call.modified) return;
  TimeMs last = once ? call.modified - kMinuteMs : std::max(start, call.modified) - 1;
  if (fired != registry_->fired.end()) last = std::max(last, fired->second);
  const RetryPolicy policy = RetryPolicy::of(call.body.at("Target").as_object());
  auto next = next_firing(*call.schedule, last, start, now, policy.age_max_ms);
  auto end = base::find_int(call.body, "EndDate");
  if (!next || (end && !once && *next > *end)) return;
  TimeMs due = *next;
  if (const TimeMs window = window_of(call); window > 0)
    due += static_cast<TimeMs>(base::xxh3(owner + std::to_string(*next)) % static_cast<uint64_t>(window));
  timetable_.set(owner, {due, *next});
}

// After a change of the rule or schedule, or a firing.
void Hub::plan(const std::string& owner, EventChanges& changes, TimeMs now) {
  timetable_.remove(owner);
  const std::string key = owner.substr(owner.find(':') + 1);
  bool gone = false;
  if (owner.starts_with("rule:")) {
    const Rule* rule = registry_->find_rule(key);
    gone = !rule;
    if (rule) plan_rule(owner, *rule, now);
  } else {
    auto found = registry_->schedules.find(key);
    gone = found == registry_->schedules.end();
    if (!gone) plan_schedule(owner, found->second, now);
  }
  if (!gone) return;
  if (registry_->fired.erase(owner) > 0) changes.fired.insert(owner);
  if (registry_->counts.erase(owner) > 0) changes.counted.insert(owner);
}

void Hub::fire_due(EventChanges& changes, TimeMs now) {
  for (const auto& [owner, entry] : timetable_.take_due(now, kFiringsMax)) {
    const std::string key = owner.substr(owner.find(':') + 1);
    registry_->fired[owner] = entry.scheduled;
    changes.fired.insert(owner);
    plan(owner, changes, now);  // first: a delivery that ends at once asks whether this was the last firing
    if (owner.starts_with("rule:")) {
      if (Rule* rule = registry_->find_rule(key)) fire_rule(*rule, entry.scheduled, changes, now);
    } else if (auto call = registry_->schedules.find(key); call != registry_->schedules.end()) {
      fire_schedule(call->second, entry, changes, now);
    }
  }
}

// The event goes to this rule alone.
void Hub::fire_rule(Rule& rule, TimeMs scheduled, EventChanges& changes, TimeMs now) {
  EventFields fields;
  fields.source = "aws.events";
  fields.detail_type = "Scheduled Event";
  fields.time = scheduled;
  fields.resources = {registry_->rule_arn(rule)};
  EventRow row;
  row.event = make_event(fields, place_, rule.bus);
  row.seq = ++last_event_;
  row.received = now;
  row.rules = {rule.name};
  seen_.push_back(row);
  changes.events.push_back(row);
  match_rule(rule, row.event, row.seq, changes, now);
}

void Hub::fire_schedule(ScheduledCall& call, const Timetable::Entry& entry, EventChanges& changes,
                        TimeMs now) {
  const json::object& target = call.body.at("Target").as_object();
  Delivery delivery;
  delivery.owner = "schedule:" + call.key();
  delivery.target = "target";
  count(delivery.owner, &Counts::matched, changes);
  try {
    delivery.request = schedule_request(*registry_, call, {entry.scheduled, base::uuid4()});
  } catch (const std::exception& error) {
    delivery.request = {{"to", "none"}, {"problem", error.what()}};
  }
  delivery.born = entry.due;
  delivery.next_at = now;
  delivery.policy = RetryPolicy::of(target);
  if (const json::object* letters = base::find_object(target, "DeadLetterConfig"))
    delivery.dead_letter = base::find_string(*letters, "Arn").value_or("");
  if (base::find_string(delivery.request, "to") == "events") {
    name_attempt(delivery.request, 1);
    deliver_to_bus(delivery, nullptr, changes, now);
  } else {
    make_delivery(std::move(delivery), changes, now);
  }
}

// A delivery has ended: a schedule that was to be deleted after its last one goes.
void Hub::complete(const std::string& owner, EventChanges&) {
  if (!owner.starts_with("schedule:") || timetable_.find(owner)) return;
  auto found = registry_->schedules.find(owner.substr(9));
  if (found == registry_->schedules.end() || !found->second.enabled) return;
  if (base::find_string(found->second.body, "ActionAfterCompletion").value_or("NONE") != "DELETE") return;
  registry_->touch(Kind::kSchedule, found->first);
  registry_->schedules.erase(found);
}

}  // namespace millrace::events
