// Events on their way in: which rules match, and what is to be delivered therefore.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/error.h"
#include "events/hub.h"
#include "events/target_request.h"

namespace millrace::events {
namespace {

constexpr TimeMs kWatchMs = 30'000;  // after a look at recent events
constexpr size_t kRecentMax = 1000;
constexpr size_t kRecentBytesMax = 8 << 20;
constexpr size_t kReplayPage = 100;  // events of a replay in one commit
constexpr std::string_view kArchivePrefix = "archive:";

std::string text(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

// What stands in the event's text.
Event parse_event(std::string body, std::string bus) {
  Event event;
  json::value parsed = base::parse_json(body, kEventDepthMax);
  const json::object& object = parsed.as_object();
  event.id = text(object, "id");
  event.source = text(object, "source");
  event.detail_type = text(object, "detail-type");
  event.time = base::parse_iso8601(text(object, "time")).value_or(0);
  event.bus = std::move(bus);
  event.body = std::move(body);
  return event;
}

}  // namespace

// False when there is no such bus.
bool Hub::take_event(Event event, EventChanges& changes, TimeMs now) {
  Bus* bus = registry_->find_bus(event.bus);
  if (!bus) return false;
  EventRow row;
  row.seq = ++last_event_;
  row.received = now;
  const auto snapshot = bus->patterns->snapshot();
  std::vector<std::string> matched;
  if (snapshot->size() > 0) matched = snapshot->match(event.body, &scratch_);
  if (scratch_.gave_up())
    spdlog::warn("events: the search for rules that match event {} was given up; see docs/events.md",
                 event.id);
  auto archive = [&](const std::string& name) {
    if (!event.replay) changes.archived.push_back({name, event.time, event.body});
  };
  for (const std::string& name : bus->archives) archive(name);
  for (const std::string& name : matched) {
    if (name.starts_with(kArchivePrefix)) {
      archive(name.substr(kArchivePrefix.size()));
      continue;
    }
    Rule& rule = bus->rules.at(name);
    if (!event.only_rules.empty() && std::find(event.only_rules.begin(), event.only_rules.end(),
                                               registry_->rule_arn(rule)) == event.only_rules.end())
      continue;
    row.rules.push_back(name);
  }
  row.event = event;
  seen_.push_back(row);
  if (!row.rules.empty() || !event.passing) changes.events.push_back(row);
  for (const std::string& name : row.rules) match_rule(bus->rules.at(name), event, row.seq, changes, now);
  return true;
}

void Hub::match_rule(Rule& rule, const Event& event, int64_t seq, EventChanges& changes, TimeMs now) {
  const std::string owner = "rule:" + rule.key();
  count(owner, &Counts::matched, changes);
  for (const auto& [id, target] : rule.targets) {
    Delivery delivery;
    delivery.event = seq;
    delivery.owner = owner;
    delivery.target = id;
    try {
      delivery.request = rule_request(*registry_, rule, target, event, now);
    } catch (const std::exception& error) {
      delivery.request = {{"to", "none"}, {"problem", error.what()}};
    }
    delivery.born = delivery.next_at = now;
    delivery.policy = RetryPolicy::of(target.body);
    if (const json::object* letters = base::find_object(target.body, "DeadLetterConfig"))
      delivery.dead_letter = text(*letters, "Arn");
    if (text(delivery.request, "to") == "events") {
      deliver_to_bus(delivery, &event, changes, now);
    } else {
      make_delivery(std::move(delivery), changes, now);
    }
  }
}

void Hub::remember(EventRow row) {
  recent_bytes_ += row.event.body.size();
  recent_.push_back(std::move(row));
  while (recent_.size() > kRecentMax || (recent_bytes_ > kRecentBytesMax && recent_.size() > 1)) {
    recent_bytes_ -= recent_.front().event.body.size();
    recent_.pop_front();
  }
}

std::vector<EventRow> Hub::recent(int64_t after, size_t limit) const {
  watched_until_ = clock_.now_ms() + kWatchMs;
  auto from = std::partition_point(recent_.begin(), recent_.end(),
                                   [&](const EventRow& row) { return row.seq <= after; });
  auto count = std::min(limit, static_cast<size_t>(recent_.end() - from));
  return {from, from + static_cast<std::ptrdiff_t>(count)};
}

std::optional<EventRow> Hub::find_recent(std::string_view id) const {
  auto found =
      std::find_if(recent_.rbegin(), recent_.rend(), [&](const EventRow& row) { return row.event.id == id; });
  return found == recent_.rend() ? std::nullopt : std::optional(*found);
}

// A page of every replay under way. Where it stands is committed with what it sends.
void Hub::continue_replays(EventChanges& changes, TimeMs now) {
  replaying_ = false;
  for (auto& [name, replay] : registry_->replays) {
    const std::string state = text(replay, "State");
    if (state != "STARTING" && state != "RUNNING") continue;
    replaying_ = true;
    try {
      const bool more = replay_page(name, replay, changes, now);
      replay["State"] = more ? "RUNNING" : "COMPLETED";
      if (!more) replay["ReplayEndTime"] = now;
    } catch (const base::Error& error) {
      replay["State"] = "FAILED";
      replay["StateReason"] = error.what();
      replay["ReplayEndTime"] = now;
    }
    registry_->touch(Kind::kReplay, name);
  }
}

// False when it was the last page.
bool Hub::replay_page(const std::string& name, json::object& replay, EventChanges& changes, TimeMs now) {
  const std::string source = text(replay, "EventSourceArn");
  const std::string archive = source.substr(source.rfind('/') + 1);
  const json::object destination = replay.at("Destination").as_object();  // `replay` gets new members below
  const TimeMs from = base::find_int(replay, "position").value_or(replay.at("EventStartTime").as_int64());
  const int64_t after = base::find_int(replay, "after").value_or(-1);
  auto page = store_.archived(archive, from, replay.at("EventEndTime").as_int64(), after, kReplayPage);
  for (EventStore::ArchivedEvent& archived : page) {
    Event event =
        replayed(parse_event(std::move(archived.body), Registry::bus_name(text(destination, "Arn"))), name);
    if (const json::array* filter = base::find_array(destination, "FilterArns"))
      for (const json::value& arn : *filter) event.only_rules.emplace_back(base::view(arn.as_string()));
    take_event(std::move(event), changes, now);
    replay["position"] = archived.time;
    replay["after"] = archived.seq;
    replay["EventLastReplayedTime"] = archived.time;
  }
  return page.size() == kReplayPage;
}

}  // namespace millrace::events
