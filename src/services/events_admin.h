// What Millrace's own commands ask about events, beyond AWS's APIs: which rules matched and why not, what was
// delivered, how often.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "events/hub.h"

namespace millrace::services {

// Thread-safe.
class EventsAdmin {
 public:
  using Reply = std::function<void(base::json::object, std::exception_ptr)>;

  explicit EventsAdmin(events::Hub& hub) : hub_(hub) {}
  // `operation` is one of
  //   tail   {after, limit}: events in the order of their arrival, with their deliveries
  //   rules  {}: rules and schedules with their counts
  //   describe {rule}: one of them, also schedule:GROUP/NAME, with its targets and latest deliveries
  //   why    {event, rule}: whether and why (not) the rule matches the event with that id
  //   test   {event (JSON text), rule}: the same for an event that never was, and what would be asked of
  //   targets
  //   cursor {feed}: how far a feed of changes was taken
  //   changes {feed, changes}: what happened to objects elsewhere, each {sequence, kind, reason, bucket, key
  //           (percent-encoded), size, etag, time}, as events of both of S3's forms; committed with them is
  //           the last sequence. One sender a feed, who asks for the cursor first.
  // A rule is NAME on the default bus, or BUS/NAME. Errors are ApiError.
  void call(std::string_view operation, base::json::object input, Reply reply);
  // The counts of every rule and schedule as Prometheus' text (exposition format 0.0.4).
  void metrics(std::function<void(std::string text, std::exception_ptr)> reply);

 private:
  base::json::object tail(const base::json::object& input, events::EventStore& store);
  base::json::object rules(events::Registry& registry, events::EventStore& store);
  base::json::object describe(const base::json::object& input, events::Registry& registry,
                              events::EventStore& store);
  base::json::object show_rule(const events::Rule& rule, events::Registry& registry,
                               events::EventStore& store);
  base::json::object show_schedule(const events::ScheduledCall& call, events::Registry& registry,
                                   events::EventStore& store);
  base::json::object with_counts(base::json::object entry, const std::string& owner,
                                 events::Registry& registry, events::EventStore& store);
  base::json::object why(const base::json::object& input, events::Registry& registry,
                         events::EventStore& store);
  base::json::object test(const base::json::object& input, events::Registry& registry);
  void take_changes(const base::json::object& input, Reply reply);
  events::Hub& hub_;
};

}  // namespace millrace::services
