// One event (or firing of a schedule) on its way to one target, and who takes it there.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"

namespace millrace::events {

namespace json = base::json;
using base::TimeMs;

// What is left of a delivery's time and tries (RetryPolicy of a target).
struct RetryPolicy {
  int retries_max = 185;
  TimeMs age_max_ms = TimeMs{24} * 3600 * 1000;

  // Of a target's RetryPolicy; absent members have AWS's defaults.
  static RetryPolicy of(const json::object& target);
  // How long to wait after `attempts` of them have failed: doubles from one second to eight minutes, with
  // jitter that depends on `seed` only. 185 of them take about a day.
  static TimeMs wait_ms(int attempts, uint64_t seed);
};

enum class DeliveryState : int { kOpen = 0, kDelivered = 1, kDead = 2 };

struct Delivery {
  int64_t seq = 0;
  int64_t event = 0;   // row of the event; 0: of a schedule
  std::string owner;   // "rule:BUS/NAME" or "schedule:GROUP/NAME"
  std::string target;  // its id
  // What to do. "to" is batch, logs, http, events, s3 or none (then "problem" says why); see
  // target_request.h.
  json::object request;
  DeliveryState state = DeliveryState::kOpen;
  int attempts = 0;  // made so far
  TimeMs born = 0;   // of the event: the age counts from here
  TimeMs next_at = 0;
  bool paced = false;  // next_at is its turn at a target that is called so often and no more
  RetryPolicy policy;
  std::string dead_letter;  // ARN, may be empty
  std::string outcome;      // what came of it: the job id, or why it failed last
};

// How an attempt went.
struct DeliveryResult {
  bool delivered = false;
  std::string outcome;     // for people: the id of the job, or the error
  std::string error_code;  // for dead letters: NO_RESOURCE, THROTTLING, …
  bool permanent = false;  // trying again makes no sense
  TimeMs wait_ms = 0;      // the target asked for at least that
};

// Takes deliveries to their targets. Thread-safe; must not block.
class Outlet {
 public:
  using Done = std::function<void(DeliveryResult)>;
  virtual ~Outlet() = default;
  // `token` is the same for every attempt of a delivery, and of no other: a target that can, does nothing
  // when it saw it before. `expired`: the time is over; only say whether an attempt before a crash reached
  // the target (delivered), else that it did not (permanent). `done` is called once, from any thread.
  virtual void send(const Delivery& delivery, const std::string& token, bool expired, Done done) = 0;
};

}  // namespace millrace::events
