// Deliveries: made with the event, tried until they arrive or are given up.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/error.h"
#include "events/http_call.h"
#include "events/hub.h"
#include "events/target_request.h"

namespace millrace::events {
namespace {

constexpr int kHopsMax = 5;  // from bus to bus: beyond it is a loop
// A last try may be this much late.
constexpr TimeMs kLateMs = 2000;

std::string text(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

}  // namespace

void Hub::count(const std::string& owner, int64_t Counts::* which, EventChanges& changes) {
  ++(registry_->counts[owner].*which);
  changes.counted.insert(owner);
}

void Hub::make_delivery(Delivery delivery, EventChanges& changes, TimeMs now) {
  delivery.seq = ++last_delivery_;
  if (text(delivery.request, "to") == "none") {
    delivery.outcome = text(delivery.request, "problem");
    give_up(delivery, "INVALID_INPUT", "", changes, now);
    changes.made.push_back(std::move(delivery));
    return;
  }
  to_queue_.push_back(delivery);
  changes.made.push_back(std::move(delivery));
}

// Another bus is at hand: the event is there in the commit in which it is here.
void Hub::deliver_to_bus(Delivery& delivery, const Event* matched, EventChanges& changes, TimeMs now) {
  delivery.seq = ++last_delivery_;
  delivery.attempts = 1;
  Event event;
  if (matched) {
    event = *matched;
    ++event.hops;
    event.only_rules.clear();
  } else {
    event.id = text(delivery.request, "id");
    event.source = text(delivery.request, "source");
    event.detail_type = text(delivery.request, "detail-type");
    event.time = base::find_int(delivery.request, "time").value_or(now);
    event.body = text(delivery.request, "event");
  }
  event.bus = text(delivery.request, "bus");
  if (!registry_->find_bus(event.bus)) {
    delivery.outcome = fmt::format("Event bus {} does not exist.", event.bus);
    give_up(delivery, "NO_RESOURCE", "", changes, now);
  } else if (event.hops > kHopsMax) {
    delivery.outcome =
        fmt::format("the event has been through {} event buses: their rules are a loop", kHopsMax);
    give_up(delivery, "LOOP", "", changes, now);
  } else {
    delivery.state = DeliveryState::kDelivered;
    delivery.outcome = "event " + event.id;
    count(delivery.owner, &Counts::delivered, changes);
    complete(delivery.owner, changes);
  }
  const bool on = delivery.state == DeliveryState::kDelivered;
  changes.made.push_back(delivery);
  if (on) take_event(std::move(event), changes, now);
}

void Hub::finish_attempt(Result result, EventChanges& changes, TimeMs now) {
  Delivery& delivery = result.delivery;
  const DeliveryResult& came = result.result;
  ++delivery.attempts;
  delivery.outcome = came.outcome;
  if (came.delivered) {
    delivery.state = DeliveryState::kDelivered;
    count(delivery.owner, &Counts::delivered, changes);
    complete(delivery.owner, changes);
  } else {
    count(delivery.owner, &Counts::failed, changes);
    const TimeMs end = delivery.born + delivery.policy.age_max_ms;
    if (came.permanent) {
      give_up(delivery, came.error_code, "", changes, now);
    } else if (delivery.attempts > delivery.policy.retries_max) {
      give_up(delivery, came.error_code, "MaximumRetryAttempts", changes, now);
    } else if (now >= end) {
      give_up(delivery, came.error_code, "MaximumEventAgeInSeconds", changes, now);
    } else {
      const TimeMs wait = std::max(
          came.wait_ms, RetryPolicy::wait_ms(delivery.attempts, static_cast<uint64_t>(delivery.seq)));
      delivery.next_at = std::min(now + wait, end);
      delivery.paced = false;
      to_queue_.push_back(delivery);
    }
  }
  changes.changed.push_back(std::move(delivery));
}

// The caller writes the delivery.
void Hub::give_up(Delivery& delivery, const std::string& error_code, const std::string& exhausted,
                  EventChanges& changes, TimeMs now) {
  delivery.state = DeliveryState::kDead;
  count(delivery.owner, &Counts::dead, changes);
  spdlog::warn("events: {} target {}: given up after {} attempts: {}", delivery.owner, delivery.target,
               delivery.attempts, delivery.outcome);
  complete(delivery.owner, changes);
  if (delivery.dead_letter.empty()) return;
  std::string event;
  for (const EventRow& row : seen_)
    if (row.seq == delivery.event) event = row.event.body;
  if (event.empty() && delivery.event != 0) try {
      if (auto row = store_.event(delivery.event)) event = row->event.body;
    } catch (const base::Error& error) {
      spdlog::error("events: a dead letter goes without its event: {}", error.what());
    }
  Delivery letter;
  letter.event = delivery.event;
  letter.owner = "letter:" + delivery.owner;
  letter.target = delivery.target;
  letter.request =
      dead_letter_request(delivery.dead_letter, delivery, *registry_, event, error_code, exhausted, now);
  letter.born = letter.next_at = now;
  make_delivery(std::move(letter), changes, now);
}

// Whether an API destination may be called now; else the delivery gets a later time, which is its own: who
// comes late for it (nothing ran then) has lost it.
bool Hub::is_its_turn(Delivery& delivery, TimeMs now) {
  if (delivery.paced && now - delivery.next_at <= kLateMs) return true;
  const std::string name = text(delivery.request, "destination");
  auto destination = registry_->destinations.find(name);
  if (destination == registry_->destinations.end()) return true;  // and fails, which costs the target nothing
  const int64_t rate =
      base::find_int(destination->second, "InvocationRateLimitPerSecond").value_or(kInvocationRateDefault);
  const TimeMs turn = pace_.reserve(name, rate, now);
  if (turn <= now) return true;
  delivery.next_at = turn;
  delivery.paced = true;
  return false;
}

void Hub::send_due(TimeMs now) {
  Postponed postponed;
  while (std::optional<Delivery> delivery = queue_.take(now)) {
    const std::string token = fmt::format("{}-{}", store_.id(), delivery->seq);
    const bool expired = now > delivery->born + delivery->policy.age_max_ms + kLateMs;
    if (!expired && text(delivery->request, "to") == "http" && !is_its_turn(*delivery, now)) {
      postponed.push_back(std::move(*delivery));
      continue;
    }
    auto done = [gate = gate_, delivery = *delivery](DeliveryResult result) {
      std::lock_guard lock(gate->mutex);
      if (gate->hub) gate->hub->push({Result{delivery, std::move(result)}, nullptr}, true);
    };
    if (text(delivery->request, "to") == "http") {
      json::object call = http_call(*registry_, delivery->request);
      if (std::string why = text(call, "problem"); !why.empty()) {
        done({false, std::move(why), "NO_RESOURCE", true, 0});
        continue;
      }
      delivery->request["call"] = std::move(call);
    }
    if (delivery->owner.starts_with("schedule:")) name_attempt(delivery->request, delivery->attempts + 1);
    outlet_.send(*delivery, token, expired, std::move(done));
  }
  if (!postponed.empty()) push({std::move(postponed), nullptr}, true);
}

}  // namespace millrace::events
