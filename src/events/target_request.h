// What a target is to be asked: from a rule's target and an event, or from a schedule's target.
#pragma once

#include <string>
#include <string_view>

#include "events/delivery.h"
#include "events/event.h"
#include "events/registry.h"

namespace millrace::events {

// Requests ("to" and what else is in them):
//   batch   submit: the input of SubmitJob
//   logs    group, stream, text
//   http    destination (name), text, parameters (HttpParameters of the target)
//   events  bus; event (from a schedule) or nothing (the matched event as it is)
//   s3      bucket, key, text
//   none    problem: why nothing can be delivered

// Throws UsageError with what PutTargets answers when the target cannot be delivered to; `kind` tells what
// it is: one of the words above.
std::string target_kind(const json::object& target);

// `text` is the target's input, rendered.
json::object rule_request(const Registry& registry, const Rule& rule, const Target& target,
                          const Event& event, TimeMs received);

// Throws UsageError with what CreateSchedule answers.
void check_schedule_target(const json::object& target);
struct Firing {
  TimeMs scheduled = 0;
  std::string execution_id;
};
// <aws.scheduler.attempt-number> stays as it is: see name_attempt.
json::object schedule_request(const Registry& registry, const ScheduledCall& call, const Firing& firing);
// Puts the number of the attempt, from 1, where the request asks for it.
void name_attempt(json::object& request, int attempt);

// Throws UsageError unless dead letters can go to `arn`; empty: to nobody.
void check_dead_letter(const std::string& arn);

// A dead letter for `arn` (a log group, a bucket with a prefix, or a queue, whose letters go to the log group
// /millrace/dead-letters/QUEUE), about a delivery that was given up, with the `event` where there is one.
json::object dead_letter_request(const std::string& arn, const Delivery& delivery, const Registry& registry,
                                 std::string_view event, const std::string& error_code,
                                 const std::string& exhausted, TimeMs now);

}  // namespace millrace::events
