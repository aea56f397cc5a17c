// Why jobs wait, in words and numbers, and what a queue does with a first job that waits too long (Batch
// reference, "Blocked queues, time-limit actions, snapshot").
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/engine.h"
#include "engine/reasons.h"

namespace millrace::engine {
namespace {

constexpr int64_t kCountedAhead = 1000;

struct BlockReason {
  Block why;
  std::string_view code;
};
// The reasons that jobStateTimeLimitActions can name.
constexpr std::array<BlockReason, 2> kReasons = {{
    {Block::kNoHost, "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"},
    {Block::kMaxResource, "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"},
}};

std::string_view code_of(Block why) {
  for (const BlockReason& reason : kReasons)
    if (reason.why == why) return reason.code;
  return {};
}

// When the action of `queue` for `why` is due; nothing when it has none.
std::optional<TimeMs> action_due(const JobQueue& queue) {
  std::string_view code = code_of(queue.blocked.why);
  if (code.empty()) return std::nullopt;
  for (const json::value& value : queue.time_limit_actions) {
    const json::object& action = value.as_object();
    if (base::find_string(action, "reason") == code)
      return queue.blocked.since + 1000 * base::find_int(action, "maxTimeSeconds").value_or(0);
  }
  return std::nullopt;
}

std::string jobs(int64_t count) {
  if (count > kCountedAhead) return fmt::format("more than {} jobs", kCountedAhead);
  return count == 1 ? "1 job" : fmt::format("{} jobs", count);
}

// Jobs of `share` before `place`; one more than kCountedAhead when there are more.
int64_t count_ahead(const Share& share, Place place) {
  int64_t count = 0;
  for (const auto& [at, job] : share.waiting) {
    if (!(at < place) || count > kCountedAhead) break;
    // Of an array: its children that are not made, up to the one that is looked at.
    if (!job->array) {
      ++count;
    } else {
      JobSeq end = job->child(job->array->limit);
      count +=
          static_cast<int64_t>((place.priority == at.priority ? std::min(end, place.seq) : end) - at.seq);
    }
  }
  return count;
}

}  // namespace

void Engine::note_blocked(JobQueue& queue, const Job* job, Block why, TimeMs now) {
  if (!job) {
    queue.blocked = {};
    return;
  }
  if (queue.blocked.job != job->seq || queue.blocked.why != why) {
    queue.blocked = {job->seq, why, now};
    bool by_mistake =
        why == Block::kNoHost || why == Block::kMaxResource || why == Block::kInvalidEnvironments;
    if (by_mistake) tell_blocked(*job);
  }
  queue.blocked.since = std::min(queue.blocked.since, now);  // the clock may have been set back
  if (std::optional<TimeMs> due = action_due(queue))
    blocked_until_ = blocked_until_ == 0 ? *due : std::min(blocked_until_, *due);
}

void Engine::act_on_blocked(TimeMs now) {
  if (blocked_until_ == 0 || now < blocked_until_) return;
  blocked_until_ = 0;
  for (JobQueue* queue : queues_by_priority_) {
    std::optional<TimeMs> due = action_due(*queue);
    auto it = due && *due <= now ? jobs_.find(queue->blocked.job) : jobs_.end();
    if (it == jobs_.end() || it->second->status != JobStatus::kRunnable) continue;
    cancel_waiting(*it->second, fmt::format(reasons::kTimeLimitFormat, code_of(queue->blocked.why)), false,
                   now);
  }
  schedule_needed_ = true;
}

// Why the first job of a queue does not start.
std::string Engine::why_blocked(const Job& job, Block why) const {
  const JobQueue& queue = *job.queue;
  switch (why) {
    case Block::kNone:
      return "Is next in line.";
    case Block::kNoHost:
      return fmt::format("{} - No host is there to run jobs.", code_of(why));
    case Block::kInvalidEnvironments:
      return reasons::kInvalidEnvironments;
    case Block::kMaxResource: {
      std::string most;
      for (const ComputeEnvironment* environment : queue.environments)
        if (environment->enabled())
          most += fmt::format("{}{} may have {:g}", most.empty() ? "" : ", ", environment->name,
                              vcpus(environment->max_milli()));
      return fmt::format("{} It asks for {:g} vCPUs; {}.", reasons::kMaxResource, vcpus(job.vcpus_milli),
                         most);
    }
    case Block::kConsumables: {
      std::string lacking;
      for (const auto& [resource, quantity] : *job.needs)
        if (resource->available() < quantity)
          lacking += fmt::format("{}{} of {}, of which {} of {} are free", lacking.empty() ? "" : "; ",
                                 quantity, resource->name, resource->available(), resource->total);
      return fmt::format("Needs {}.", lacking);
    }
    case Block::kReservation:
      return fmt::format(
          "Needs {:g} vCPUs; {:g} % of the room of {} is kept for share identifiers that are not active "
          "(computeReservation {} of policy {}).",
          vcpus(job.vcpus_milli), 100 * queue.line.reserved(queue.blocked.since), queue.name,
          queue.line.policy()->reservation(), queue.line.policy()->name);
    case Block::kClaimed:
      return fmt::format(
          "Needs {:g} vCPUs and {} MiB, which are free, but a job that stands before it is waiting; it could "
          "run meanwhile only if its timeout ended it before that one can start.",
          vcpus(job.vcpus_milli), job.memory_mib);
    case Block::kNoRoom:
      break;
  }
  std::string rooms;
  for (const ComputeEnvironment* environment : queue.environments) {
    int64_t max = std::min(environment->max_milli(), host_.total.vcpus_milli);
    int64_t free = std::max<int64_t>(0, std::min(environment->max_milli() - environment->used_milli,
                                                 host_.total.vcpus_milli - host_.used.vcpus_milli));
    rooms += fmt::format("; {} {} {:g} of {:g} free", environment->name,
                         environment->enabled() ? "has" : "is DISABLED,", vcpus(free), vcpus(max));
  }
  std::string text =
      fmt::format("Needs {:g} vCPUs and {} MiB{}", vcpus(job.vcpus_milli), job.memory_mib, rooms);
  int64_t free_mib = host_.total.memory_mib - host_.used.memory_mib;
  if (free_mib < job.memory_mib)
    text += fmt::format("; {} of {} MiB free", std::max<int64_t>(free_mib, 0), host_.total.memory_mib);
  int64_t free_gpus = host_.total.gpus - host_.used.gpus;
  if (free_gpus < job.gpus)
    text += fmt::format("; {} of {} GPUs free", std::max<int64_t>(free_gpus, 0), host_.total.gpus);
  return text + ".";
}

std::string Engine::why_waiting(const Job& job) const {
  const JobQueue& queue = *job.queue;
  if (job.seq == queue.blocked.job) return why_blocked(job, queue.blocked.why);
  // What would stop it there too comes before where it stands.
  bool enabled = false, large_enough = false;
  for (const ComputeEnvironment* environment : queue.environments) {
    enabled |= environment->enabled();
    large_enough |= environment->enabled() && job.vcpus_milli <= environment->max_milli();
  }
  if (enabled && !large_enough) return why_blocked(job, Block::kMaxResource);

  const Job* holder =
      job.parent != 0 ? find_job(job.parent) : &job;  // of a child that is not made: the array
  const Share* share = job.share ? job.share : holder ? holder->share : nullptr;
  if (!share) return "";
  int64_t ahead = count_ahead(*share, {holder->priority, job.seq});
  std::string text = ahead == 0 ? "Is next" : fmt::format("Waits behind {}", jobs(ahead));
  if (queue.line.policy()) {
    text += fmt::format(" of share {} of {}", share->identifier, queue.name);
    int64_t others =
        std::count_if(queue.line.shares().begin(), queue.line.shares().end(),
                      [&](const auto& other) { return other.get() != share && !other->waiting.empty(); });
    if (others > 0) text += fmt::format(", and {} other shares wait", others);
  } else {
    text += fmt::format(" of {}", queue.name);
  }
  const Job* first = find_job(queue.blocked.job);
  if (!first || first->status != JobStatus::kRunnable) return text + ".";
  return fmt::format("{}. The first, {}, waits: {}", text, job_id(*first),
                     why_blocked(*first, queue.blocked.why));
}

}  // namespace millrace::engine
