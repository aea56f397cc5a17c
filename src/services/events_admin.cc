#include "services/events_admin.h"

#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/url.h"
#include "events/explain.h"
#include "events/s3_event.h"
#include "events/target_request.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::Delivery;
using events::DeliveryState;
using events::EventRow;
using events::EventStore;
using events::Registry;
using events::Rule;

constexpr int64_t kTailMax = 1000;
constexpr size_t kLatest = 20;  // deliveries of a rule that are looked through for problems

std::string rule_key(const std::string& name) {
  return name.find('/') == std::string::npos ? std::string(events::kDefaultBus) + "/" + name : name;
}

const Rule& required_rule(Registry& registry, const json::object& input) {
  const std::string name = text_of(input, "rule");
  const Rule* rule = registry.find_rule(rule_key(name));
  if (rule) return *rule;
  std::string known;
  for (const auto& [bus_name, bus] : registry.buses)
    for (const auto& [rule_name, other] : bus.rules)
      known += (known.empty() ? "" : ", ") + (bus_name == events::kDefaultBus ? rule_name : other.key());
  throw aws::ApiError(404, "ResourceNotFoundException",
                      fmt::format("there is no rule {}; {}", name,
                                  known.empty() ? "there are no rules" : "there are " + known));
}

const char* state_name(DeliveryState state) {
  switch (state) {
    case DeliveryState::kOpen:
      return "open";
    case DeliveryState::kDelivered:
      return "delivered";
    case DeliveryState::kDead:
      return "dead";
  }
  return "";
}

json::object show(const Delivery& delivery) {
  json::object out{{"owner", delivery.owner},
                   {"target", delivery.target},
                   {"state", state_name(delivery.state)},
                   {"attempts", delivery.attempts},
                   {"outcome", delivery.outcome}};
  if (delivery.state == DeliveryState::kOpen) out["next"] = delivery.next_at;
  return out;
}

json::object show(const EventRow& row, EventStore& store) {
  json::array rules(row.rules.begin(), row.rules.end()), deliveries;
  if (!row.rules.empty())
    for (const Delivery& delivery : store.deliveries_of(row.seq)) deliveries.push_back(show(delivery));
  return {{"number", row.seq},          {"id", row.event.id},
          {"bus", row.event.bus},       {"received", row.received},
          {"source", row.event.source}, {"detail-type", row.event.detail_type},
          {"rules", std::move(rules)},  {"deliveries", std::move(deliveries)},
          {"event", row.event.body}};
}

// Why `rule` matches `event` or does not.
json::object explain_rule(const Rule& rule, std::string_view event) {
  json::object out;
  auto pattern = base::find_string(rule.body, "EventPattern");
  if (!pattern) {
    out["matches"] = false;
    out["reason"] = "the rule has no event pattern: it fires by its schedule only";
    return out;
  }
  const events::Explanation explanation = events::explain(events::parse_pattern(*pattern), event);
  out["matches"] = explanation.matches;
  out["reason"] = explanation.reason;
  json::array mismatches;
  for (const events::Mismatch& mismatch : explanation.mismatches)
    mismatches.push_back(json::object{{"path", mismatch.path},
                                      {"seen", json::array(mismatch.seen.begin(), mismatch.seen.end())},
                                      {"wanted", json::array(mismatch.wanted.begin(), mismatch.wanted.end())},
                                      {"reason", mismatch.reason}});
  out["mismatches"] = std::move(mismatches);
  if (!rule.enabled) out["disabled"] = true;
  return out;
}

// The latest thing that went wrong and has not gone right since.
std::string latest_problem(EventStore& store, const std::string& owner) {
  for (const Delivery& delivery : store.latest(owner, kLatest)) {
    if (delivery.state == DeliveryState::kDelivered) return "";
    if (delivery.state == DeliveryState::kDead || delivery.attempts > 0) return delivery.outcome;
  }
  return "";
}

}  // namespace

void EventsAdmin::call(std::string_view operation, json::object input, Reply reply) {
  auto done = [reply = std::move(reply)](json::object answer, std::exception_ptr error) {
    reply(std::move(answer), events_api_error(error, "InternalException"));
  };
  if (operation == "changes") {
    try {
      return take_changes(input, done);
    } catch (...) {
      return done({}, std::current_exception());
    }
  }
  auto shared = std::make_shared<const json::object>(std::move(input));
  std::string name(operation);
  hub_.read(
      [this, name, shared](Registry& registry, EventStore& store) -> json::object {
        if (name == "tail") return tail(*shared, store);
        if (name == "rules") return rules(registry, store);
        if (name == "describe") return describe(*shared, registry, store);
        if (name == "why") return why(*shared, registry, store);
        if (name == "test") return test(*shared, registry);
        if (name == "cursor") return {{"cursor", store.cursor(text_of(*shared, "feed"))}};
        throw aws::ApiError(404, "UnknownOperationException", "there is no operation " + name);
      },
      std::move(done));
}

void EventsAdmin::metrics(std::function<void(std::string, std::exception_ptr)> reply) {
  auto text = std::make_shared<std::string>();
  hub_.read(
      [text](Registry& registry, EventStore&) {
        struct Metric {
          const char *name, *help;
          int64_t events::Counts::* value;
        };
        constexpr Metric kMetrics[] = {
            {"millrace_events_matched_total", "Events that a rule matched, or firings.",
             &events::Counts::matched},
            {"millrace_events_delivered_total", "Deliveries that arrived.", &events::Counts::delivered},
            {"millrace_events_failed_total", "Attempts of deliveries that failed.", &events::Counts::failed},
            {"millrace_events_dead_total", "Deliveries that were given up.", &events::Counts::dead},
        };
        for (const Metric& metric : kMetrics) {
          *text += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n", metric.name, metric.help);
          // Names have no quotes and backslashes in them.
          for (const auto& [owner, counts] : registry.counts)
            *text += fmt::format("{}{{owner=\"{}\"}} {}\n", metric.name, owner, counts.*metric.value);
        }
        return json::object();
      },
      [text, reply = std::move(reply)](json::object, std::exception_ptr error) {
        reply(std::move(*text), error);
      });
}

void EventsAdmin::take_changes(const json::object& input, Reply reply) {
  const std::string feed = text_of(input, "feed");
  const json::array* changes = base::find_array(input, "changes");
  if (!feed.starts_with("watch:") || !changes || changes->empty())
    events_invalid("feed (watch:…) and changes are needed");
  std::vector<events::Event> taken;
  int64_t last = 0;
  for (const json::value& value : *changes) {
    if (!value.is_object()) events_invalid("changes are objects");
    const json::object& given = value.get_object();
    objects::ObjectEvent change;
    change.sequence = last = base::find_int(given, "sequence").value_or(0);
    change.kind = text_of(given, "kind") == "deleted" ? objects::ObjectEvent::Kind::kDeleted
                                                      : objects::ObjectEvent::Kind::kCreated;
    change.reason = text_of(given, "reason");
    change.bucket = text_of(given, "bucket");
    change.key = base::percent_decode(text_of(given, "key"));
    change.size = static_cast<uint64_t>(base::find_int(given, "size").value_or(0));
    change.etag = text_of(given, "etag");
    change.time = base::find_int(given, "time").value_or(hub_.clock().now_ms());
    change.requester = hub_.place().account;
    change.source_address = "watch";
    change.request_id = base::uuid4();
    for (auto make : {events::native_s3_event, events::trail_s3_event}) {
      taken.push_back(make(change, hub_.place()));
      taken.back().passing = true;
    }
  }
  hub_.accept_from(feed, last, std::move(taken), std::move(reply));
}

json::object EventsAdmin::tail(const json::object& input, EventStore& store) {
  const int64_t after = base::find_int(input, "after").value_or(0);
  const auto limit =
      static_cast<size_t>(std::clamp<int64_t>(base::find_int(input, "limit").value_or(100), 1, kTailMax));
  std::vector<EventRow> rows = hub_.recent(after, kTailMax);
  if (after == 0 && rows.size() < limit) {
    // Since the start too few came: what is on the disk of earlier ones goes in front.
    std::vector<EventRow> earlier = store.latest_events(limit);
    const int64_t first = rows.empty() ? INT64_MAX : rows.front().seq;
    std::erase_if(earlier, [&](const EventRow& row) { return row.seq >= first; });
    rows.insert(rows.begin(), earlier.begin(), earlier.end());
  }
  if (after == 0 && rows.size() > limit)
    rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(limit));
  if (rows.size() > limit) rows.resize(limit);
  json::array events;
  int64_t last = after;
  for (const EventRow& row : rows) {
    events.push_back(show(row, store));
    last = row.seq;
  }
  return {{"events", std::move(events)}, {"last", last}};
}

// What `millrace rules` shows of every rule and schedule.
json::object EventsAdmin::with_counts(json::object entry, const std::string& owner, Registry& registry,
                                      EventStore& store) {
  const events::Counts& counts = registry.counts[owner];
  entry["matched"] = counts.matched;
  entry["delivered"] = counts.delivered;
  entry["failed"] = counts.failed;
  entry["dead"] = counts.dead;
  if (auto next = hub_.fires_at(owner)) entry["next"] = *next;
  entry["problem"] = latest_problem(store, owner);
  return entry;
}

json::object EventsAdmin::show_rule(const Rule& rule, Registry& registry, EventStore& store) {
  json::object entry{{"kind", "rule"},
                     {"name", rule.bus == events::kDefaultBus ? rule.name : rule.key()},
                     {"enabled", rule.enabled},
                     {"targets", rule.targets.size()}};
  copy_members(rule.body, entry, {"EventPattern", "ScheduleExpression"});
  return with_counts(std::move(entry), "rule:" + rule.key(), registry, store);
}

json::object EventsAdmin::show_schedule(const events::ScheduledCall& call, Registry& registry,
                                        EventStore& store) {
  json::object entry{{"kind", "schedule"}, {"name", call.key()}, {"enabled", call.enabled}, {"targets", 1}};
  copy_members(call.body, entry, {"ScheduleExpression", "ScheduleExpressionTimezone"});
  return with_counts(std::move(entry), "schedule:" + call.key(), registry, store);
}

json::object EventsAdmin::rules(Registry& registry, EventStore& store) {
  json::array out;
  for (const auto& [bus_name, bus] : registry.buses)
    for (const auto& [name, rule] : bus.rules) out.push_back(show_rule(rule, registry, store));
  for (const auto& [key, call] : registry.schedules) out.push_back(show_schedule(call, registry, store));
  return {{"rules", std::move(out)}};
}

json::object EventsAdmin::describe(const json::object& input, Registry& registry, EventStore& store) {
  std::string name = text_of(input, "rule");
  auto latest = [&](const std::string& owner) {
    json::array out;
    for (const Delivery& delivery : store.latest(owner, kLatest)) {
      json::object entry = show(delivery);
      entry["born"] = delivery.born;
      if (auto event = store.event(delivery.event)) entry["event"] = event->event.id;
      out.push_back(std::move(entry));
    }
    return out;
  };
  constexpr std::string_view kSchedule = "schedule:";
  const bool is_schedule = name.starts_with(kSchedule);
  if (is_schedule) name = name.substr(kSchedule.size());
  auto call = registry.schedules.find(name.find('/') == std::string::npos ? "default/" + name : name);
  if (call != registry.schedules.end() && (is_schedule || !registry.find_rule(rule_key(name)))) {
    json::object out = show_schedule(call->second, registry, store);
    out["targets"] = json::array{call->second.body.at("Target")};
    copy_members(call->second.body, out, {"Description", "FlexibleTimeWindow", "StartDate", "EndDate"});
    out["deliveries"] = latest("schedule:" + call->first);
    return out;
  }
  const Rule& rule = required_rule(registry, input);
  json::object out = show_rule(rule, registry, store);
  json::array targets;
  for (const auto& [id, target] : rule.targets) targets.push_back(target.body);
  out["targets"] = std::move(targets);
  copy_members(rule.body, out, {"Description"});
  out["deliveries"] = latest("rule:" + rule.key());
  return out;
}

json::object EventsAdmin::why(const json::object& input, Registry& registry, EventStore& store) {
  const Rule& rule = required_rule(registry, input);
  const std::string id = text_of(input, "event");
  std::optional<EventRow> row = hub_.find_recent(id);
  if (!row) row = store.find_event(id);
  if (!row)
    throw aws::ApiError(
        404, "ResourceNotFoundException",
        fmt::format("there is no event {}: it is not one of the latest, or no rule matched it", id));
  json::object out = explain_rule(rule, row->event.body);
  json::array deliveries;
  for (const Delivery& delivery : store.deliveries_of(row->seq))
    if (delivery.owner == "rule:" + rule.key()) deliveries.push_back(show(delivery));
  out["deliveries"] = std::move(deliveries);
  if (row->event.bus != rule.bus) {
    out["matches"] = false;
    out["reason"] =
        fmt::format("the event came to event bus {}, the rule is on {}", row->event.bus, rule.bus);
  }
  out["event"] = row->event.body;
  return out;
}

json::object EventsAdmin::test(const json::object& input, Registry& registry) {
  const Rule& rule = required_rule(registry, input);
  events::Event event;
  event.body = text_of(input, "event");
  event.bus = rule.bus;
  try {
    if (!base::parse_json(event.body, events::kEventDepthMax).is_object())
      throw base::CorruptError("it is not an object");
  } catch (const base::CorruptError& error) {
    events_invalid(fmt::format("the event is not a JSON object: {}", error.what()));
  }
  json::object out = explain_rule(rule, event.body);
  json::array requests;
  for (const auto& [id, target] : rule.targets)
    requests.push_back(json::object{
        {"target", id}, {"request", rule_request(registry, rule, target, event, hub_.clock().now_ms())}});
  out["requests"] = std::move(requests);
  return out;
}

}  // namespace millrace::services
