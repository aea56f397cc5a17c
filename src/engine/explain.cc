// Everything about one waiting job: where it stands, what runs in front of it, when it may start, and the one
// change that would start it.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/engine.h"

namespace millrace::engine {
namespace {

constexpr size_t kRunningMax = 20;
constexpr int kChainMax = 10;  // of jobs that wait for each other

}  // namespace

// Jobs of the queue that stand before `job`; nothing when that is not in line. In a queue with shares it is
// the place in the share that counts.
std::optional<int64_t> Engine::ahead_of(const Job& job) const {
  if (!job.share) return std::nullopt;
  int64_t ahead = 0;
  for (const auto& [place, other] : job.share->waiting) {
    if (other == &job) return ahead;
    if (other->array && job.parent == other->seq && job.seq >= place.seq)
      return ahead + static_cast<int64_t>(job.seq - place.seq);
    ahead += other->array ? other->array->limit - other->array->next : 1;
  }
  return std::nullopt;
}

// The smallest change that would let `job` start although `why`.
std::string Engine::change_for(const Job& job, Block why, TimeMs now) const {
  const JobQueue& queue = *job.queue;
  const ComputeEnvironment* largest = nullptr;
  for (const ComputeEnvironment* environment : queue.environments)
    if (environment->enabled() && (!largest || environment->max_milli() > largest->max_milli()))
      largest = environment;
  Room need = room_of(job), free = host_.total - host_.used;
  switch (why) {
    case Block::kNone:
      return "None: it starts as soon as the engine has decided.";
    case Block::kNoHost:
      return "Start a host; `millrace serve` offers its own machine.";
    case Block::kInvalidEnvironments:
      return fmt::format(
          "Enable a compute environment: aws batch update-compute-environment "
          "--compute-environment {} --state ENABLED",
          queue.environments.empty() ? "NAME" : queue.environments.front()->name);
    case Block::kMaxResource:
      return fmt::format("Raise maxvCpus of {} from {:g} to {:g}, or ask for at most {:g} vCPUs.",
                         largest->name, vcpus(largest->max_milli()), vcpus(need.vcpus_milli),
                         vcpus(largest->max_milli()));
    case Block::kConsumables: {
      for (const auto& [resource, quantity] : *job.needs)
        if (int64_t lacking = quantity - resource->available(); lacking > 0)
          return fmt::format(
              "Add what lacks: aws batch update-consumable-resource --consumable-resource {} "
              "--operation ADD --quantity {}; or wait for a job that holds it.",
              resource->name, lacking);
      return "";
    }
    case Block::kReservation:
      return fmt::format("Lower computeReservation of scheduling policy {}, now {}.",
                         queue.line.policy()->name, queue.line.policy()->reservation());
    case Block::kClaimed: {
      Claim first{nullptr, nullptr};
      for (const JobQueue* other : queues_by_priority_) {
        const Job* head = find_job(other->blocked.job);
        if (!head || head == &job || other->blocked.why != Block::kNoRoom) continue;
        first.job = head;
        for (const ComputeEnvironment* environment : other->environments)
          if (!first.environment && environment->enabled() && head->vcpus_milli <= environment->max_milli())
            first.environment = environment;
        break;
      }
      if (!first.job || !first.environment) return "Wait for the job that stands before it.";
      time_claim(first, now);
      if (first.at == 0)
        return fmt::format(
            "Let the running jobs have timeouts, so that it is known when job {} will start; or "
            "stop that one.",
            job_id(*first.job));
      int64_t seconds = (first.at - now) / 1000 - 60;
      if (seconds < 60)
        return fmt::format("None: job {}, which stands before it, starts soon.", job_id(*first.job));
      return fmt::format(
          "Submit it with a timeout of at most {} seconds: then it ends before job {} can start.", seconds,
          job_id(*first.job));
    }
    case Block::kNoRoom:
      break;
  }
  if (!largest) return "";
  bool host_has_room = free.holds(need);
  if (host_has_room)
    return fmt::format("Raise maxvCpus of {} from {:g} to {:g}: the host has the room.", largest->name,
                       vcpus(largest->max_milli()), vcpus(largest->used_milli + need.vcpus_milli));
  const Job* holds_most = nullptr;
  for (const auto& [token, other] : attempts_)
    if (other->current->after == 0 && (room_of(*other) + free).holds(need) &&
        (!holds_most || other->current->started_at < holds_most->current->started_at ||
         (other->current->started_at == holds_most->current->started_at && other->seq < holds_most->seq)))
      holds_most = other;
  std::string text;
  if (free.vcpus_milli > 0 && free.memory_mib > 0 && need.gpus <= free.gpus)
    text = fmt::format("Ask for at most {:g} vCPUs and {} MiB, which are free; or ", vcpus(free.vcpus_milli),
                       free.memory_mib);
  text += holds_most ? fmt::format("stop job {}, which holds {:g} vCPUs and {} MiB.", job_id(*holds_most),
                                   vcpus(holds_most->vcpus_milli), holds_most->memory_mib)
                     : "wait until several of the running jobs have ended.";
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

json::object Engine::explain(const Job& job, TimeMs now) const {
  json::object out{{"jobId", job_id(job)}, {"jobName", job.name}, {"status", name(job.status)}};
  out["jobQueue"] = job.queue->name;
  json::array attempts;
  for (const Attempt& attempt : job.attempts)
    attempts.push_back(json::object{{"cpuSeconds", static_cast<double>(attempt.cpu_ms) / 1000},
                                    {"memoryPeak", attempt.memory_peak_bytes}});
  out["attempts"] = std::move(attempts);
  if (job.status == JobStatus::kPending && job.waits_for) {
    out["reason"] = why_pending(job);
    json::array chain;
    const Job* waits = &job;
    for (int i = 0; i < kChainMax && waits && waits->waits_for; ++i) {
      const Job* next = nullptr;
      for (JobSeq seq : *waits->waits_for)
        if (!next) next = find_job(seq);
      if (!next) break;
      json::object link{{"jobId", job_id(*next)}, {"jobName", next->name}, {"status", name(next->status)}};
      if (next->status == JobStatus::kRunnable) link["reason"] = why_waiting(*next);
      chain.push_back(std::move(link));
      waits = next;
    }
    out["waitsFor"] = std::move(chain);
    out["change"] = "None of its own: it may run when what it depends on has succeeded.";
    return out;
  }
  bool waits_in_line = job.status == JobStatus::kRunnable || (job.array && stands_in_line(job));
  if (!waits_in_line) return out;
  out["reason"] = why_waiting(job);
  const JobQueue& queue = *job.queue;
  auto ahead = ahead_of(job);
  if (ahead) out["ahead"] = *ahead;
  if (queue.line.policy() && job.share) {
    out["shareIdentifier"] = job.share->identifier;
    out["shareUsage"] = queue.line.usage(*job.share, now);
    out["shareWeight"] = queue.line.weight(*job.share);
  }
  bool is_first = job.seq == queue.blocked.job;
  const Job* first = is_first ? &job : find_job(queue.blocked.job);
  out["change"] = is_first || !first || first->status != JobStatus::kRunnable
                      ? change_for(job, is_first ? queue.blocked.why : Block::kNone, now)
                      : fmt::format("What starts the first, {}: {}", job_id(*first),
                                    change_for(*first, queue.blocked.why, now));

  std::vector<const Job*> running;
  for (const auto& [token, other] : attempts_) running.push_back(other);
  std::sort(running.begin(), running.end(), [](const Job* a, const Job* b) {
    return std::pair(a->current->started_at, a->seq) < std::pair(b->current->started_at, b->seq);
  });
  json::array shown;
  int64_t used = 0;
  for (const Job* other : running) {
    if (other->current->after == 0) used += other->vcpus_milli;
    if (shown.size() == kRunningMax) continue;
    json::object entry{{"jobId", job_id(*other)},
                       {"jobName", other->name},
                       {"jobQueue", other->queue->name},
                       {"vcpus", vcpus(other->vcpus_milli)},
                       {"memory", other->memory_mib}};
    if (other->current->started_at > 0) entry["startedAt"] = other->current->started_at;
    if (other->current->timeout_ms > 0 && other->current->started_at > 0)
      entry["endsBefore"] = other->current->started_at + other->current->timeout_ms;
    shown.push_back(std::move(entry));
  }
  out["running"] = std::move(shown);
  out["runningCount"] = running.size();
  // Who stands before it takes the room first, and nobody computes that far.
  bool first_of_all =
      is_first && queue.blocked.why == Block::kNoRoom &&
      std::none_of(queues_by_priority_.begin(), queues_by_priority_.end(), [&](const JobQueue* other) {
        return other != &queue && other->blocked.why == Block::kNoRoom &&
               (other->priority > queue.priority ||
                (other->priority == queue.priority && other->blocked.job < job.seq));
      });
  if (first_of_all) {
    for (const ComputeEnvironment* environment : queue.environments) {
      if (!environment->enabled() || job.vcpus_milli > environment->max_milli()) continue;
      Claim claim{&job, environment};
      time_claim(claim, now);
      if (claim.at > 0) out["startsBefore"] = claim.at;
      break;
    }
  }
  // As fast as attempts have been lately.
  bool stuck = queue.blocked.why != Block::kNoRoom && queue.blocked.why != Block::kClaimed;
  if (lengths_known_ > 0 && ahead && used > 0 && !stuck && !queue.line.policy()) {
    double at_once = std::max(1.0, vcpus(host_.total.vcpus_milli) / std::max(0.001, vcpus(job.vcpus_milli)));
    out["likelyStart"] =
        now + static_cast<TimeMs>(mean_length_ms_ * (1 + static_cast<double>(*ahead)) / at_once);
    out["meanLengthMs"] = static_cast<int64_t>(mean_length_ms_);
  }
  return out;
}

}  // namespace millrace::engine
