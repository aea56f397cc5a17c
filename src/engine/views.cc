#include "engine/views.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "engine/ecs_task.h"
#include "engine/log_place.h"
#include "engine/submission.h"

namespace millrace::engine {
namespace {

// What the container of an attempt shows of its run.
void add_run(json::object& container, const Attempt& attempt, const Job& job, const Engine& engine,
             const json::object& definition_container) {
  const Config& config = engine.config();
  std::string task = engine.ids().task_id(attempt.token);
  std::string prefix = "arn:" + config.partition + ":ecs:" + config.region + ":" + config.account + ":";
  if (!job.definition->fargate())
    container["containerInstanceArn"] = prefix + "container-instance/" + attempt.cluster + "/" +
                                        base::sha256_hex(attempt.instance).substr(0, 32);
  container["taskArn"] = prefix + "task/" + attempt.cluster + "/" + task;
  if (attempt.exit_code) container["exitCode"] = *attempt.exit_code;
  if (!attempt.reason.empty()) container["reason"] = attempt.reason;
  if (attempt.started_at > 0)
    container["logStreamName"] = log_place(*job.definition, definition_container, task).second;
  container["networkInterfaces"] = json::array();
}

// Of a job that waits: why it does.
std::string status_reason(const Job& job, const Engine& engine) {
  if (job.status == JobStatus::kRunnable) return engine.why_waiting(job);
  if (job.status == JobStatus::kPending) return engine.why_pending(job);
  return job.status_reason;
}

json::object array_properties(const Job& job) {
  if (!job.array) return {{"index", job.index()}, {"statusSummary", json::object()}};
  const ArrayState& array = *job.array;
  std::array<int32_t, kJobStatusCount> counts = array.counts;
  int32_t unmade = array.size;
  for (int32_t count : counts) unmade -= count;
  int32_t cut = is_finished(job.status) ? unmade : 0;
  if (!is_finished(job.status))
    for (int32_t index = array.limit; index < array.size; ++index)
      cut += array.made[static_cast<size_t>(index)] == ArrayState::kUnmade;
  counts[static_cast<size_t>(JobStatus::kFailed)] += cut;
  counts[static_cast<size_t>(job.waits_for || array.sequential ? JobStatus::kPending
                                                               : JobStatus::kRunnable)] += unmade - cut;
  json::object summary;
  for (size_t i = 0; i < counts.size(); ++i) summary[kJobStatusNames[i]] = counts[i];
  return {{"size", array.size},
          {"statusSummary", std::move(summary)},
          {"statusSummaryLastUpdatedAt", std::max(array.changed_at, job.created_at)}};
}

const Attempt* latest(const Job& job) {
  if (job.current) return job.current.get();
  return job.attempts.empty() ? nullptr : &job.attempts.back();
}

}  // namespace

std::string share_identifier(const Job& job) {
  if (job.share) return job.share->identifier;
  // It has ended; what it said is most often that it has none.
  if (job.submission.find("\"shareIdentifier\"") == std::string::npos) return "";
  json::value submission = base::parse_json(job.submission);
  return std::string(base::find_string(submission.as_object(), "shareIdentifier").value_or(""));
}

json::object describe(const Job& job, const Engine& engine) {
  const Config& config = engine.config();
  EffectiveJob effective = effective_job(job);
  std::string id = engine.job_id(job);
  json::object out;
  out["jobArn"] = config.arn("job/" + id);
  out["jobName"] = job.name;
  out["jobId"] = id;
  out["jobQueue"] = job.queue->arn(config);
  out["status"] = name(job.status);
  if (!effective.share.empty()) {
    out["shareIdentifier"] = effective.share;
    out["schedulingPriority"] = effective.priority;
  }
  if (!effective.consumables.empty()) out["consumableResourceProperties"] = effective.consumables;
  json::array attempts;
  for (const Attempt& attempt : job.attempts) {
    json::object container;
    add_run(container, attempt, job, engine, effective.container);
    json::object shown{{"container", std::move(container)}};
    if (attempt.started_at > 0) shown["startedAt"] = attempt.started_at;
    shown["stoppedAt"] = attempt.stopped_at;
    shown["statusReason"] = attempt.status_reason;
    attempts.push_back(std::move(shown));
  }
  out["attempts"] = std::move(attempts);
  std::string reason = status_reason(job, engine);
  if (!reason.empty()) out["statusReason"] = reason;
  out["createdAt"] = job.created_at;
  if (effective.retry_strategy) {
    out["retryStrategy"] = *effective.retry_strategy;
  } else {
    out["retryStrategy"] = {{"attempts", 1}, {"evaluateOnExit", json::array()}};
  }
  if (job.started_at > 0) out["startedAt"] = job.started_at;
  if (job.stopped_at > 0) out["stoppedAt"] = job.stopped_at;
  if (job.array || job.parent != 0) out["arrayProperties"] = array_properties(job);
  out["dependsOn"] = effective.depends_on;
  out["jobDefinition"] = job.definition->arn(config);
  out["parameters"] = effective.parameters;
  json::object container = effective.container;
  container["networkInterfaces"] = json::array();
  if (const Attempt* attempt = latest(job)) add_run(container, *attempt, job, engine, effective.container);
  out["container"] = std::move(container);
  if (effective.timeout_s) out["timeout"] = {{"attemptDurationSeconds", *effective.timeout_s}};
  out["tags"] = job.tags ? *job.tags : json::object();
  out["propagateTags"] = effective.propagate_tags;
  const json::array* capabilities = base::find_array(job.definition->body, "platformCapabilities");
  out["platformCapabilities"] = capabilities ? *capabilities : json::array();
  out["eksAttempts"] = json::array();
  out["isCancelled"] = job.cancelled;
  out["isTerminated"] = job.terminated;
  if (const json::object* ecs = job.definition->ecs()) show_as_task(out, *ecs);
  return out;
}

json::object summarize(const Job& job, const Engine& engine) {
  const Config& config = engine.config();
  std::string id = engine.job_id(job);
  json::object out;
  out["jobArn"] = config.arn("job/" + id);
  out["jobId"] = id;
  out["jobName"] = job.name;
  out["createdAt"] = job.created_at;
  out["status"] = name(job.status);
  std::string reason = status_reason(job, engine);
  if (!reason.empty()) out["statusReason"] = reason;
  if (job.started_at > 0) out["startedAt"] = job.started_at;
  if (job.stopped_at > 0) out["stoppedAt"] = job.stopped_at;
  if (const Attempt* attempt = latest(job); attempt && (attempt->exit_code || !attempt->reason.empty())) {
    json::object container;
    if (attempt->exit_code) container["exitCode"] = *attempt->exit_code;
    if (!attempt->reason.empty()) container["reason"] = attempt->reason;
    out["container"] = std::move(container);
  }
  if (job.array) out["arrayProperties"] = {{"size", job.array->size}};
  if (job.parent != 0) out["arrayProperties"] = {{"index", job.index()}};
  out["jobDefinition"] = job.definition->arn(config);
  if (std::string share = share_identifier(job); !share.empty()) out["shareIdentifier"] = share;
  if (job.cancelled) out["isCancelled"] = true;
  if (job.terminated) out["isTerminated"] = true;
  return out;
}

}  // namespace millrace::engine
