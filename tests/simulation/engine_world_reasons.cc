// Is it true what a waiting job says it waits for? Counted again from what the engine shows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/reasons.h"
#include "tests/simulation/engine_world.h"

namespace millrace::simulation {

using engine::ComputeEnvironment;
using engine::Job;
using engine::JobQueue;
using engine::JobStatus;

namespace {

constexpr char kFirst[] = ". The first, ";
constexpr char kFirstWaits[] = ", waits: ";

bool same(double said, int64_t milli) { return std::abs(said * 1000 - static_cast<double>(milli)) < 1; }

}  // namespace

// Room that attempts have, those on deck excepted: they have none of their own.
EngineWorld::Used EngineWorld::used_room() const {
  Used used;
  for (int64_t number = 1; number < 1000; ++number)
    if (JobQueue* queue = engine_->queue(number))
      for (JobStatus status : {JobStatus::kStarting, JobStatus::kRunning})
        for (const auto& [seq, job] : queue->jobs[static_cast<size_t>(status)]) {
          if (job->current->after != 0) continue;
          used.milli += job->vcpus_milli;
          used.mib += job->memory_mib;
          if (job->placed) used.of[job->placed] += job->vcpus_milli;
        }
  return used;
}

void EngineWorld::check_reasons() {
  Used used = used_room();
  for (int64_t number = 1; number < 1000; ++number)
    if (JobQueue* queue = engine_->queue(number))
      for (const auto& [seq, job] : queue->jobs[static_cast<size_t>(JobStatus::kRunnable)])
        check_reason(*job, used);
}

void EngineWorld::check_reason(const Job& job, const Used& used) {
  std::string text = engine_->why_waiting(job);
  hold(!text.empty(), "job {} waits and does not say why", job.seq);
  if (!text.starts_with("Waits behind") && !text.starts_with("Is next of"))
    return check_block(job, text, used);

  // Where it stands: without shares or arrays that can be counted by anybody.
  const auto& waiting = job.queue->jobs[static_cast<size_t>(JobStatus::kRunnable)];
  const auto& pending = job.queue->jobs[static_cast<size_t>(JobStatus::kPending)];
  bool arrays = std::any_of(pending.begin(), pending.end(),
                            [](const auto& entry) { return entry.second->array != nullptr; });
  if (!job.queue->line.policy() && !arrays) {
    ++counts_.reasons;
    auto ahead = static_cast<int>(std::distance(waiting.begin(), waiting.find(job.seq)));
    int said = 0;
    std::sscanf(text.c_str(), "Waits behind %d", &said);
    hold(said == ahead, "job {} stands behind {} jobs and says: {}", job.seq, ahead, text);
  }
  size_t first = text.find(kFirst), waits = text.find(kFirstWaits);
  if (first == std::string::npos) return;
  hold(waits != std::string::npos, "job {} says: {}", job.seq, text);
  std::string id = text.substr(first + sizeof kFirst - 1, waits - first - (sizeof kFirst - 1));
  auto seq = engine_->job_seq(id);
  const Job* front = seq ? engine_->find_job(*seq) : nullptr;
  hold(front && front->status == JobStatus::kRunnable && front->queue == job.queue,
       "job {} says that {} stands before it in its queue: {}", job.seq, id, text);
  check_block(*front, text.substr(waits + sizeof kFirstWaits - 1), used);
}

// `text` is why `job`, to which nothing but itself is in the way, does not start.
void EngineWorld::check_block(const Job& job, const std::string& text, const Used& used) {
  ++counts_.reasons;
  bool any_enabled = false, large_enough = false;
  for (const ComputeEnvironment* environment : job.queue->environments) {
    any_enabled |= environment->enabled();
    large_enough |= environment->enabled() && job.vcpus_milli <= environment->max_milli();
  }
  if (text.starts_with("CAPACITY:"))
    return hold(offered_.instance.empty(), "job {} says that no host is there, but one is", job.seq);
  if (text.starts_with(engine::reasons::kInvalidEnvironments))
    return hold(!any_enabled, "an environment of job {} is enabled, and it says: {}", job.seq, text);
  if (text.starts_with(engine::reasons::kMaxResource))
    return hold(!large_enough, "an environment is large enough for job {}, which says: {}", job.seq, text);
  if (!text.starts_with("Needs ")) return;

  double vcpus = 0;
  long long mib = 0;
  if (std::sscanf(text.c_str(), "Needs %lf vCPUs and %lld MiB;", &vcpus, &mib) == 2 &&
      text.find(" free") != std::string::npos && text.find("are free, but") == std::string::npos) {
    hold(same(vcpus, job.vcpus_milli) && mib == job.memory_mib,
         "job {} needs {} vCPUs/1000, {} MiB and says: {}", job.seq, job.vcpus_milli, job.memory_mib, text);
    bool host_full = offered_.memory_mib - used.mib < job.memory_mib;
    for (const ComputeEnvironment* environment : job.queue->environments) {
      auto mine = used.of.find(environment);
      int64_t used_milli = mine == used.of.end() ? 0 : mine->second;
      int64_t free = std::max<int64_t>(
          0, std::min(environment->max_milli() - used_milli, offered_.vcpus_milli - used.milli));
      size_t at = text.find("; " + environment->name + " ");
      hold(at != std::string::npos, "job {} does not name {}: {}", job.seq, environment->name, text);
      double said_free = -1;
      size_t number = text.find_first_of("0123456789", at + 2 + environment->name.size());
      std::sscanf(text.c_str() + number, "%lf", &said_free);
      hold(same(said_free, free), "{} has {} vCPUs/1000 free, job {} says: {}", environment->name, free,
           job.seq, text);
      hold(!environment->enabled() || host_full || free < job.vcpus_milli ||
               job.vcpus_milli > environment->max_milli(),
           "{} has room for job {}, which says: {}", environment->name, job.seq, text);
    }
    return;
  }
  int quantity = 0, available = 0;
  char name[129];
  if (std::sscanf(text.c_str(), "Needs %d of %128[^,], of which %d of", &quantity, name, &available) == 3) {
    const engine::ConsumableResource* resource = engine_->find_consumable(name);
    hold(resource && resource->available() == available && available < quantity,
         "job {} does not wait for {}: {}", job.seq, name, text);
  }
}

}  // namespace millrace::simulation
