// Which waiting job goes where: queues by priority, jobs in the order of their queue's line, environments in
// their order.
#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/log_place.h"
#include "engine/reasons.h"
#include "engine/submission.h"

namespace millrace::engine {
void Engine::host_up(const HostUp& host, TimeMs now) {
  host_.instance = host.instance;
  host_.total = {host.vcpus_milli, host.memory_mib, host.gpus};
  schedule_needed_ = true;
  for (const auto& [front, job] : followers_) revoke(*job);  // nobody watched the time
  // An engine that died after it wrote that a job must stop may not have told the host. Twice does no harm.
  for (const auto& [token, job] : attempts_) {
    if (job->terminated || job->timed_out) stop_attempt(*job);
    if (job->current->counted_from == 0) count_attempt(*job, now);
  }
}

void Engine::schedule(TimeMs now) {
  schedule_needed_ = false;
  // Behind one that went on deck may stand one for which there is room.
  do {
    pass(now);
  } while (put_on_deck(now));
  claims_.clear();
  schedule_needed_ = false;  // children that came forward have had their turn
}

// Gives the first job of each queue its turn: O(queues + jobs placed), and O(shares) where there are
// policies.
void Engine::pass(TimeMs now) {
  claims_.clear();
  blocked_until_ = 0;
  std::vector<Turn> turns;
  for (JobQueue* queue : queues_by_priority_) {
    Job* job = head(*queue, now);
    if (!job) note_blocked(*queue, nullptr, Block::kNone, now);
    if (job) turns.push_back({queue, job});
  }
  // Of queues of one priority the longer waiting job goes first.
  auto stands_before = [](const Turn& a, const Turn& b) {
    return a.queue->priority != b.queue->priority ? a.queue->priority > b.queue->priority
                                                  : a.job->seq < b.job->seq;
  };
  while (!turns.empty()) {
    auto best = std::min_element(turns.begin(), turns.end(), stands_before);
    if (!advance(*best, now)) turns.erase(best);
  }
}

// Starts the job whose turn it is and looks for the queue's next one; false when the queue has no other turn.
bool Engine::advance(Turn& turn, TimeMs now) {
  JobQueue& queue = *turn.queue;
  Job& job = *turn.job;
  if (std::optional<std::string> reason = never_starts(job)) {
    finish(job, JobStatus::kFailed, *reason, now);
  } else {
    Placement placement = place(job, now);
    if (!placement.environment) {
      note_blocked(queue, &job, placement.why, now);
      if (placement.could) {
        claims_.push_back({&job, placement.could});
        backfill(queue, now);
      }
      return false;
    }
    job.placed = placement.environment;
    take_room(job);
    start(job, nullptr, now);
    use_spare(job, now);
  }
  turn.job = head(queue, now);
  if (!turn.job) note_blocked(queue, nullptr, Block::kNone, now);
  return turn.job != nullptr;
}

// Why waiting is of no use.
std::optional<std::string> Engine::never_starts(const Job& job) const {
  if (job.too_long) return reasons::kOverridesTooLong;
  if (host_.instance.empty()) return std::nullopt;
  Room need = room_of(job);
  bool too_large = config_.strict_capacity ? !host_.total.holds(need) : need.gpus > host_.total.gpus;
  if (!too_large) return std::nullopt;
  return fmt::format(
      "{} It asks for {:g} vCPUs, {} MiB and {} GPUs; the host has {:g} vCPUs, {} MiB and {} GPUs.",
      reasons::kResourceRequirement, vcpus(need.vcpus_milli), need.memory_mib, need.gpus,
      vcpus(host_.total.vcpus_milli), host_.total.memory_mib, host_.total.gpus);
}

// A job that asks for more than the host has runs alone, so that a production definition can be tried on a
// laptop.
bool Engine::fits_host(const Job& job) const {
  return host_.attempts == 0 || (host_.total - host_.used).holds(room_of(job));
}

// Whether what `job` would take is kept for shares that are not active. One attempt of a queue always runs.
bool Engine::is_reserved(const Job& job, TimeMs now) const {
  const JobQueue& queue = *job.queue;
  double part = queue.line.reserved(now);
  if (part == 0) return false;
  int64_t running = 0, most = 0;
  for (const auto& share : queue.line.shares()) running += share->running_milli;
  for (const ComputeEnvironment* environment : queue.environments) {
    if (!environment->enabled()) continue;
    if (environment->unlimited()) return false;  // a part of what nobody knows: AWS reserves nothing then
    most += environment->max_milli();
  }
  most = std::min(most, host_.total.vcpus_milli);
  return running > 0 &&
         static_cast<double>(running + job.vcpus_milli) > static_cast<double>(most) * (1 - part);
}

// Where `job` may start now.
Engine::Placement Engine::place(const Job& job, TimeMs now) {
  if (host_.instance.empty()) return {nullptr, Block::kNoHost, nullptr};
  const ComputeEnvironment* could = nullptr;
  bool any_enabled = false, room = false;
  bool has_all = has_what_it_needs(job);
  bool reserved = has_all && is_reserved(job, now);
  for (ComputeEnvironment* environment : job.queue->environments) {
    if (!environment->enabled()) continue;
    any_enabled = true;
    if (job.vcpus_milli > environment->max_milli()) continue;
    if (!could) could = environment;
    if (!has_all || reserved || !fits_host(job) ||
        environment->used_milli + job.vcpus_milli > environment->max_milli())
      continue;
    room = true;
    if (std::none_of(claims_.begin(), claims_.end(),
                     [&](Claim& claim) { return delays(claim, job, *environment, now); }))
      return {environment, Block::kNone, nullptr};
  }
  if (!any_enabled) return {nullptr, Block::kInvalidEnvironments, nullptr};
  if (!could) return {nullptr, Block::kMaxResource, nullptr};
  if (reserved) return {nullptr, Block::kReservation, nullptr};
  if (!has_all) return {nullptr, Block::kConsumables, could};
  return {nullptr, room ? Block::kClaimed : Block::kNoRoom, could};
}

void Engine::take_room(Job& job) {
  if (job.placed) job.placed->used_milli += job.vcpus_milli;
  host_.used += room_of(job);
  ++host_.attempts;
}

void Engine::give_room_back(Job& job) {
  if (job.placed) job.placed->used_milli -= job.vcpus_milli;
  job.placed = nullptr;
  host_.used -= room_of(job);
  --host_.attempts;
}

// Starts an attempt in `job.placed`; with `front`, as soon as that one has ended.
void Engine::start(Job& job, const Job* front, TimeMs now) {
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
  take_consumables(job);
  set_status(job, JobStatus::kStarting);
  job.queue->moved_at = now;
  count_attempt(job, now);
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
  auto add_secrets = [&](const json::array* secrets, bool named) {
    if (!secrets) return;
    for (const json::value& value : *secrets) {
      const json::object& secret = value.as_object();
      effect.secrets.emplace_back(named ? base::find_string(secret, "name").value_or("") : "",
                                  base::find_string(secret, "valueFrom").value_or(""));
    }
  };
  add_secrets(base::find_array(effective.container, "secrets"), true);
  if (const json::object* log = base::find_object(effective.container, "logConfiguration"))
    add_secrets(base::find_array(*log, "secretOptions"), false);
  effect.job_role = base::find_string(effective.container, "jobRoleArn").value_or("");
  effect.execution_role = base::find_string(effective.container, "executionRoleArn").value_or("");
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

}  // namespace millrace::engine
