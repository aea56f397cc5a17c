// Engine commands on jobs: submit, cancel, terminate; and what becomes of their attempts.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "engine/engine.h"
#include "engine/reasons.h"
#include "engine/reject.h"
#include "engine/resource_name.h"
#include "engine/retry.h"
#include "engine/submission.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

constexpr size_t kSubmissionBytesMax = 30 * 1024;
constexpr size_t kReasonMax = 1024;
constexpr int64_t kStopGraceMs = 30'000;  // SIGTERM to SIGKILL (ECS stopTimeout)

constexpr size_t kStopJobsMax = 50;

constexpr int64_t kArraySizeMin = 2;

// 0: no array job.
int32_t read_array_size(const json::object& submission, int32_t most) {
  const json::object* properties = base::find_object(submission, "arrayProperties");
  auto size = properties ? base::find_int(*properties, "size") : std::nullopt;
  if (!size) return 0;
  if (*size < kArraySizeMin || *size > most)
    throw Reject(fmt::format("The size of an array job must be between {} and {}, got {}.", kArraySizeMin,
                             most, *size));
  return static_cast<int32_t>(*size);
}

// A dependency of type SEQUENTIAL without jobId: each child waits for the one before.
bool runs_one_by_one(const json::object& submission) {
  const json::array* dependencies = base::find_array(submission, "dependsOn");
  return dependencies &&
         std::any_of(dependencies->begin(), dependencies->end(), [](const json::value& value) {
           return base::find_string(value.as_object(), "jobId").value_or("").empty();
         });
}

std::string stop_reason(const json::object& input) {
  auto reason = base::find_string(input, "reason").value_or("");
  if (reason.empty()) throw Reject("reason cannot be empty.");
  if (base::utf8_length(reason) > kReasonMax) throw Reject("reason must be at most 1024 characters long.");
  return std::string(reason);
}

}  // namespace

json::object Engine::submit_job(const json::object& input, TimeMs now) {
  auto name = base::find_string(input, "jobName").value_or("");
  auto queue_name = base::find_string(input, "jobQueue").value_or("");
  auto definition_name = base::find_string(input, "jobDefinition").value_or("");
  if (!is_job_name(name))
    throw Reject(
        "Job name should match valid pattern: up to 128 letters (uppercase and lowercase), numbers, hyphens, "
        "and underscores, the first character alphanumeric.");
  JobQueue* queue = find_queue(resource_name(queue_name, "job-queue"));
  if (!queue) throw Reject(fmt::format("JobQueue {} not found.", queue_name));
  if (!queue->enabled || queue->deleting)
    throw Reject(fmt::format("JobQueue {} is not in ENABLED state.", queue_name));
  const JobDefinition* definition = find_definition(resource_name(definition_name, "job-definition"));
  if (!definition || !definition->active)
    throw Reject(
        fmt::format("JobDefinition name {} does not exist or is not in ACTIVE status", definition_name));
  bool fargate_queue = queue->environments.front()->fargate();
  if (definition->fargate() != fargate_queue)
    throw Reject(
        fmt::format("Job Queue is attached to Compute Environment that can not run Jobs with capability {}.",
                    definition->fargate() ? "FARGATE" : "EC2"));
  for (const char* later : {"nodeOverrides", "eksPropertiesOverride"})
    if (const json::value* value = base::find(input, later)) {
      bool empty = (value->is_array() && value->get_array().empty()) ||
                   (value->is_object() && value->get_object().empty());
      if (!empty) throw Reject(fmt::format("{} is not supported by this version of Millrace.", later));
    }

  if (json::serialize(input).size() > kSubmissionBytesMax)
    throw Reject("The size of the SubmitJob request must be at most 30 KiB.");
  json::object kept;
  for (const json::object::value_type& member : input)
    if (member.key() != "jobName" && member.key() != "jobQueue" && member.key() != "jobDefinition" &&
        member.key() != "tags")
      kept.insert(member);
  EffectiveJob effective = merge(*definition, kept);
  check_submission(*definition, kept, effective);
  int32_t array_size = read_array_size(kept, config_.array_size_max);
  Dependencies dependencies = check_dependencies(kept, array_size);

  std::shared_ptr<const ConsumableNeeds> needs = needs_of(effective.consumables);

  auto job = std::make_unique<Job>();
  job->queue = queue;
  job->definition = definition;
  job->needs = std::move(needs);
  join_share(*job, kept, effective.priority, now);
  job->submission = json::serialize(kept);
  job->too_long = too_long_for_ecs(*definition, job->submission);
  if (const json::object* tags = base::find_object(input, "tags"); tags && !tags->empty()) {
    job->tags = std::make_unique<json::object>();
    merge_tags(*job->tags, *tags);
  }
  job->seq = ++last_job_;
  last_job_ += static_cast<JobSeq>(array_size);
  if (array_size > 0) job->array = std::make_unique<ArrayState>(array_size, runs_one_by_one(kept));
  job->name = name;
  job->created_at = now;
  job->vcpus_milli = static_cast<int32_t>(effective.resources.vcpus_milli);
  job->memory_mib = effective.resources.memory_mib;
  job->gpus = static_cast<int32_t>(effective.resources.gpus);
  job->timeout_s = static_cast<int32_t>(std::min<int64_t>(effective.timeout_s.value_or(0), INT32_MAX));

  Job& made = *job;
  jobs_[made.seq] = std::move(job);
  enqueue(made);
  wait_for(made, dependencies, now);
  std::string id = job_id(made);
  json::object out;
  out["jobArn"] = config_.arn("job/" + id);
  out["jobName"] = made.name;
  out["jobId"] = id;
  return out;
}

json::object Engine::stop_job(const json::object& input, bool terminate, TimeMs now) {
  auto id = base::find_string(input, "jobId").value_or("");
  if (id.empty()) throw Reject("jobId cannot be empty.");
  stop_one(id, stop_reason(input), terminate, now);
  return {};
}

// CancelJobs and TerminateJobs.
json::object Engine::stop_jobs(const json::object& input, bool terminate, TimeMs now) {
  std::string reason = stop_reason(input);
  const json::array& ids = input.at("jobs").as_array();
  if (ids.empty()) throw Reject("jobs cannot be empty.");
  if (ids.size() > kStopJobsMax)
    throw Reject(fmt::format("At most {} jobs can be given, got {}.", kStopJobsMax, ids.size()));
  json::array successful, errors;
  for (const json::value& value : ids) {
    std::string_view id = base::view(value.get_string());
    if (id.empty()) {
      errors.push_back(
          {{"job", value}, {"code", "ClientException"}, {"message", "The job id cannot be empty."}});
      continue;
    }
    stop_one(id, reason, terminate, now);
    successful.push_back(value);
  }
  return {{"successful", std::move(successful)}, {"errors", std::move(errors)}};
}

// As AWS: no error for a job that is not there or has finished.
void Engine::stop_one(std::string_view id, const std::string& reason, bool terminate, TimeMs now) {
  auto seq = job_seq(id);
  auto it = seq ? jobs_.find(*seq) : jobs_.end();
  if (it != jobs_.end()) {
    Job& job = *it->second;
    if (!is_finished(job.status) && job_id(job) == id) cancel_waiting(job, reason, terminate, now);
    return;
  }
  auto [parent, index] = live_child(id);
  if (!parent || is_finished(parent->status) || index >= parent->array->limit ||
      parent->array->made[static_cast<size_t>(index)] != ArrayState::kUnmade)
    return;
  close_array(*parent);
  Job& child = make_child(*parent, index, now);
  open_array(*parent);
  cancel_waiting(child, reason, terminate, now);
}

// Ends a job that has no attempt under way; one that has is stopped when `terminate`, else left alone.
void Engine::cancel_waiting(Job& job, const std::string& reason, bool terminate, TimeMs now) {
  if (job.current) {
    if (!terminate || job.terminated) return;
    job.terminated = true;
    job.stop_reason = reason;
    mark(job);
    stop_attempt(job);
    return;
  }
  if (job.waits_for && !terminate) {  // takes effect when its dependencies have ended
    if (job.cancelled) return;
    job.cancelled = true;
    job.stop_reason = reason;
    return mark(job);
  }
  if (job.array) return stop_array(job, reason, terminate, now);
  (terminate ? job.terminated : job.cancelled) = true;
  job.stopped_at = now;
  finish(job, JobStatus::kFailed, reason, now);
}

void Engine::stop_attempt(Job& job) { effects_.push_back(StopAttempt{job.current->token, kStopGraceMs}); }

void Engine::set_status(Job& job, JobStatus status) {
  auto& from = job.queue->jobs[static_cast<size_t>(job.status)];
  auto& to = job.queue->jobs[static_cast<size_t>(status)];
  auto node = from.extract(job.seq);
  if (job.parent != 0) {
    auto& counts = jobs_.at(job.parent)->array->counts;
    --counts[static_cast<size_t>(job.status)];
    ++counts[static_cast<size_t>(status)];
  }
  if (job.status == JobStatus::kRunnable) job.share->waiting.erase({job.priority, job.seq});
  job.status = status;
  if (is_finished(status)) {
    --job.share->live;
    return_consumables(job);
  } else {
    // Jobs come in the order of their numbers nearly always, so the end is the right hint.
    to.insert(to.end(), std::move(node));
  }
  if (status == JobStatus::kRunnable) {
    job.share->waiting.emplace_hint(job.share->waiting.end(), Place{job.priority, job.seq}, &job);
    schedule_needed_ = true;
  }
  mark(job);
  tell_state(job);
}

// A job that lives, in the state that it has, is one of its queue's and its share's.
void Engine::enqueue(Job& job) {
  if (!job.share) job.share = &job.queue->line.share("");
  ++job.share->live;
  job.queue->jobs[static_cast<size_t>(job.status)][job.seq] = &job;
  if (job.status == JobStatus::kRunnable)
    job.share->waiting.emplace_hint(job.share->waiting.end(), Place{job.priority, job.seq}, &job);
  name_consumables(job);
}

void Engine::finish(Job& job, JobStatus status, std::string reason, TimeMs now) {
  job.status_reason = std::move(reason);
  if (job.stopped_at == 0) job.stopped_at = now;
  set_status(job, status);
  finished_.push_back(job.seq);
  stop_waiting(job);
  ended_.emplace_back(job.seq, status == JobStatus::kSucceeded);
  if (job.array) cut_array(job);
  if (job.parent != 0) child_ended(job, now);
  job.share = nullptr;      // it may be forgotten now
  schedule_needed_ = true;  // it may have been the head that its queue waited for
  end_deletion(*job.queue);
}

// ---- attempts
// ----------------------------------------------------------------------------------------------------------

void Engine::attempt_started(const AttemptStarted& report) {
  auto it = attempts_.find(report.token);
  if (it == attempts_.end()) return;  // a stale report
  Job& job = *it->second;
  if (job.status != JobStatus::kStarting) return;
  job.current->started_at = report.at;
  job.started_at = report.at;
  job.stopped_at = 0;
  set_status(job, JobStatus::kRunning);
  watch_time(job);
}

void Engine::attempt_finished(const AttemptFinished& report, TimeMs now) {
  auto it = attempts_.find(report.token);
  bool known = it != attempts_.end();  // else reported twice, or an attempt of another time
  if (known && report.never_received && !it->second->terminated && !it->second->timed_out) {
    effects_.push_back(start_effect(*it->second, effective_job(*it->second)));
    return;
  }
  effects_.emplace_back(std::in_place_type<AcknowledgeAttempt>, AcknowledgeAttempt{report.token});
  if (!known) return;
  Job& job = *it->second;
  attempts_.erase(it);
  deadlines_.erase({job.current->started_at + job.current->timeout_ms, report.token});
  uncount_attempt(job, now);
  vacate(job);
  schedule_needed_ = true;
  if (report.revoked) {
    job.current.reset();
    if (job.terminated) return finish(job, JobStatus::kFailed, job.stop_reason, now);
    return set_status(job, JobStatus::kRunnable);
  }

  Attempt attempt = std::move(*job.current);
  job.current.reset();
  if (report.started_at > 0) attempt.started_at = report.started_at;
  attempt.stopped_at = report.stopped_at > 0 ? report.stopped_at : now;
  attempt.exit_code = report.exit_code;
  attempt.cpu_ms = report.cpu_ms;
  attempt.memory_peak_bytes = report.memory_peak_bytes;
  // Negative when the clock was set back meanwhile.
  if (report.exit_code && attempt.started_at > 0)
    learn_length(std::max<TimeMs>(0, attempt.stopped_at - attempt.started_at));
  attempt.reason = report.reason;
  // Its end was under way to us when its time ran out.
  if (attempt.stopped_at < attempt.started_at + attempt.timeout_ms) job.timed_out = false;
  if (report.host_lost) {
    attempt.status_reason = fmt::format(reasons::kHostLostFormat, attempt.instance);
  } else {
    attempt.status_reason = report.started ? reasons::kExited : reasons::kFailedToStart;
    if (attempt.reason.starts_with(reasons::kInitialization)) attempt.status_reason = attempt.reason;
    attempt.reason.resize(std::min(attempt.reason.size(), reasons::kContainerReasonMax));
  }
  if (job.timed_out) attempt.status_reason = reasons::kTimeout;
  if (job.terminated) attempt.status_reason = job.stop_reason;
  job.started_at = attempt.started_at;
  job.stopped_at = attempt.stopped_at;
  job.status_reason = attempt.status_reason;
  job.attempts.push_back(attempt);

  bool succeeded = report.exit_code == 0 && !job.terminated && !job.timed_out;
  if (succeeded) return finish(job, JobStatus::kSucceeded, attempt.status_reason, now);
  bool again = false;
  if (!job.terminated && !job.timed_out) {
    EffectiveJob effective = effective_job(job);
    again = retries(effective.retry_strategy ? &*effective.retry_strategy : nullptr,
                    static_cast<int>(job.attempts.size()),
                    {attempt.exit_code, attempt.reason, attempt.status_reason});
  }
  if (!again) return finish(job, JobStatus::kFailed, attempt.status_reason, now);
  set_status(job, JobStatus::kRunnable);
}

void Engine::watch_time(const Job& job) {
  if (job.current->timeout_ms > 0)
    deadlines_.emplace(job.current->started_at + job.current->timeout_ms, job.current->token);
}

void Engine::tick(TimeMs now) {
  act_on_blocked(now);
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    uint64_t token = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    auto it = attempts_.find(token);
    if (it == attempts_.end() || it->second->timed_out || it->second->terminated) continue;
    const Attempt& attempt = *it->second->current;
    if (it->second->status == JobStatus::kStarting) revoke(*it->second);  // on deck
    // One that was on deck may have begun before the end of the one in front is known here.
    if (attempt.timeout_ms == 0 || attempt.started_at == 0 || now < attempt.started_at + attempt.timeout_ms)
      continue;
    it->second->timed_out = true;
    mark(*it->second);
    stop_attempt(*it->second);
  }
}

}  // namespace millrace::engine
