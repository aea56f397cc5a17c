// Which waiting job goes where: queues by priority, jobs in the order of submission, environments in their
// order.
#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/log_place.h"
#include "engine/reasons.h"
#include "engine/submission.h"

namespace millrace::engine {
namespace {

// Of the container overrides as JSON text (ECS RunTask). AWS finds out when it starts the job.
constexpr size_t kOverridesMax = 8192;

bool too_long_for_ecs(const Job& job) {
  if (job.submission.size() <= kOverridesMax) return false;
  json::value submission = base::parse_json(job.submission);
  const json::object* overrides = base::find_object(submission.as_object(), "containerOverrides");
  return overrides && json::serialize(*overrides).size() > kOverridesMax;
}

double vcpus(int64_t milli) { return static_cast<double>(milli) / 1000; }

}  // namespace

void Engine::host_up(const HostUp& host, TimeMs) {
  host_.instance = host.instance;
  host_.vcpus_milli = host.vcpus_milli;
  host_.memory_mib = host.memory_mib;
  host_.gpus = host.gpus;
  schedule_needed_ = true;
  for (const auto& [front, job] : followers_) revoke(*job);  // nobody watched the time
  // An engine that died after it wrote that a job must stop may not have told the host. Twice does no harm.
  for (const auto& [token, job] : attempts_)
    if (job->terminated || job->timed_out) stop_attempt(*job);
}

// A pass looks at the head of each queue only: O(queues + jobs placed).
void Engine::schedule(TimeMs now) {
  schedule_needed_ = false;
  if (host_.instance.empty()) return;
  // Behind one that went on deck may stand one for which there is room.
  do {
    for (JobQueue* queue : queues_by_priority_) {
      while (Job* next = head(*queue, now)) {
        if (too_long_for_ecs(*next)) {
          finish(*next, JobStatus::kFailed, reasons::kOverridesTooLong, now);
          continue;
        }
        ComputeEnvironment* environment = place(*next);
        if (!environment) break;
        take_room(*next, environment);
        start(*next, nullptr);
      }
    }
  } while (put_on_deck(now));
}

// A job that asks for more than the host has runs alone, so that a production definition can be tried on a
// laptop.
bool Engine::fits_host(const Job& job) const {
  if (host_.attempts == 0) return true;
  return host_.used_milli + job.vcpus_milli <= host_.vcpus_milli &&
         host_.used_mib + job.memory_mib <= host_.memory_mib && host_.used_gpus + job.gpus <= host_.gpus;
}

ComputeEnvironment* Engine::place(const Job& job) const {
  if (!fits_host(job)) return nullptr;
  for (ComputeEnvironment* environment : job.queue->environments)
    if (environment->enabled() && environment->used_milli + job.vcpus_milli <= environment->max_milli())
      return environment;
  return nullptr;
}

void Engine::take_room(Job& job, ComputeEnvironment* environment) {
  job.placed = environment;
  if (environment) environment->used_milli += job.vcpus_milli;
  host_.used_milli += job.vcpus_milli;
  host_.used_mib += job.memory_mib;
  host_.used_gpus += job.gpus;
  ++host_.attempts;
}

void Engine::give_room_back(Job& job) {
  if (job.placed) job.placed->used_milli -= job.vcpus_milli;
  job.placed = nullptr;
  host_.used_milli -= job.vcpus_milli;
  host_.used_mib -= job.memory_mib;
  host_.used_gpus -= job.gpus;
  --host_.attempts;
}

// Starts an attempt in `job.placed`; with `front`, as soon as that one has ended.
void Engine::start(Job& job, const Job* front) {
  const ComputeEnvironment& environment = *job.placed;
  job.current = std::make_unique<Attempt>();
  job.current->token = ++last_token_;
  if (front) {
    job.current->after = front->current->token;
    job.current->depth = front->current->depth + 1;
  }
  open_places_.insert({job.current->depth, job.current->token});
  job.current->instance = host_.instance;
  job.current->cluster = fmt::format("AWSBatch-{}-{}", environment.name,
                                     base::find_string(environment.body, "uuid").value_or(""));
  job.timed_out = false;
  job.started_at = job.stopped_at = 0;
  EffectiveJob effective = effective_job(job);
  job.current->timeout_ms = effective.timeout_s.value_or(0) * 1000;
  attempts_[job.current->token] = &job;
  set_status(job, JobStatus::kStarting);
  effects_.push_back(start_effect(job, effective));
}

StartAttempt Engine::start_effect(const Job& job, const EffectiveJob& effective) const {
  StartAttempt effect;
  effect.token = job.current->token;
  effect.after = job.current->after;
  effect.job_id = job_id(job);
  effect.attempt = static_cast<int>(job.attempts.size()) + 1;
  effect.queue = job.queue->name;
  effect.environment_name = job.placed ? job.placed->name : "";
  effect.image = base::find_string(effective.container, "image").value_or("");
  for (const json::value& argument : effective.container.at("command").as_array())
    effect.command.emplace_back(base::view(argument.get_string()));
  for (const json::value& value : effective.container.at("environment").as_array()) {
    const json::object& variable = value.as_object();
    effect.environment.emplace_back(base::find_string(variable, "name").value_or(""),
                                    base::find_string(variable, "value").value_or(""));
  }
  effect.environment.emplace_back("AWS_BATCH_JOB_ID", effect.job_id);
  effect.environment.emplace_back("AWS_BATCH_JOB_ATTEMPT", std::to_string(effect.attempt));
  if (job.parent != 0) {
    effect.environment.emplace_back("AWS_BATCH_JOB_ARRAY_INDEX", std::to_string(job.index()));
    effect.environment.emplace_back("AWS_BATCH_JOB_ARRAY_SIZE", std::to_string(effective.array_size));
  }
  effect.environment.emplace_back("AWS_BATCH_JQ_NAME", effect.queue);
  effect.environment.emplace_back("AWS_BATCH_CE_NAME", effect.environment_name);
  effect.vcpus_milli = job.vcpus_milli;
  effect.memory_mib = job.memory_mib;
  std::tie(effect.log_group, effect.log_stream) =
      log_place(*job.definition, effective.container, ids_.task_id(effect.token));
  return effect;
}

std::string Engine::why_waiting(const Job& job) const {
  const auto& waiting = job.queue->jobs[static_cast<size_t>(JobStatus::kRunnable)];
  if (!waiting.empty() && waiting.begin()->second != &job)
    return fmt::format("Waits behind other jobs of {}, which are started in the order of submission.",
                       job.queue->name);
  if (host_.instance.empty()) return "No host is there to run jobs yet.";
  bool any_enabled = false, any_large_enough = false;
  std::string rooms;
  for (const ComputeEnvironment* environment : job.queue->environments) {
    any_enabled |= environment->enabled();
    any_large_enough |= job.vcpus_milli <= environment->max_milli();
    int64_t max = std::min(environment->max_milli(), host_.vcpus_milli);
    int64_t free = std::max<int64_t>(0, std::min(environment->max_milli() - environment->used_milli,
                                                 host_.vcpus_milli - host_.used_milli));
    rooms += fmt::format("; {} {} {:g} of {:g} free", environment->name,
                         environment->enabled() ? "has" : "is DISABLED,", vcpus(free), vcpus(max));
  }
  if (!any_enabled) return reasons::kInvalidEnvironments;
  if (!any_large_enough) return reasons::kMaxResource;
  std::string text =
      fmt::format("Needs {:g} vCPUs and {} MiB{}", vcpus(job.vcpus_milli), job.memory_mib, rooms);
  int64_t free_mib = host_.memory_mib - host_.used_mib;
  if (free_mib < job.memory_mib)
    text += fmt::format("; {} of {} MiB free", std::max<int64_t>(free_mib, 0), host_.memory_mib);
  return text + ".";
}

}  // namespace millrace::engine
