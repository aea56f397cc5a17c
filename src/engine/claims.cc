// Who may pass a job that waits for room (EASY backfill): those that leave room enough for it, and those that
// their timeouts end before it could start.
#include <algorithm>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace millrace::engine {
namespace {

constexpr TimeMs kStartAndStopMs = 60'000;  // beside an attempt's timeout: image, start, SIGTERM to SIGKILL
constexpr int kLookedAt = 64;               // jobs behind the first one, in one pass

// Whether `job` would leave `claimant` less of a consumable resource than that needs; with `for_ever`, also
// when it has ended.
bool takes_from(const Job& job, const Job& claimant, bool for_ever) {
  if (!job.needs || job.holds || !claimant.needs || claimant.holds) return false;
  for (const auto& [resource, quantity] : *job.needs)
    for (const auto& [wanted, lacking] : *claimant.needs)
      if (resource == wanted && (!for_ever || !resource->replenishable) &&
          resource->available() - quantity < lacking)
        return true;
  return false;
}

}  // namespace

// When the attempt of `job`, or the one it would have now, is over with certainty; 0: nobody knows. Those on
// deck behind it count with it.
TimeMs Engine::latest_end(const Job& job, TimeMs now) const {
  if (!job.current) return job.timeout_s > 0 ? now + TimeMs{1000} * job.timeout_s + kStartAndStopMs : 0;
  TimeMs end = job.current->started_at > 0 ? job.current->started_at : now;
  for (const Job* next = &job;;) {
    if (next->current->timeout_ms == 0) return 0;
    end += next->current->timeout_ms + kStartAndStopMs;
    auto follower = followers_.find(next->current->token);
    if (follower == followers_.end()) return std::max(end, now);
    next = follower->second;
  }
}

void Engine::time_claim(Claim& claim, TimeMs now) const {
  claim.timed = true;
  // What waits for more than room has no time, nor has one that waits for a second claim.
  if (!has_what_it_needs(*claim.job)) return;
  std::vector<std::pair<TimeMs, const Job*>> ends;
  for (const auto& [token, job] : attempts_) {
    if (job->current->after != 0) continue;
    if (TimeMs end = latest_end(*job, now)) ends.emplace_back(end, job);
  }
  std::sort(ends.begin(), ends.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second->seq) < std::pair(b.first, b.second->seq);
  });
  Room need = room_of(*claim.job);
  claim.spare = host_.total - host_.used - need;
  claim.spare_milli = claim.environment->max_milli() - claim.environment->used_milli - need.vcpus_milli;
  // One that is larger than the host leaves nothing beside it.
  bool alone = !host_.total.holds(need);
  int64_t left = host_.attempts;
  for (const auto& [end, job] : ends) {
    claim.spare += room_of(*job);
    if (job->placed == claim.environment) claim.spare_milli += job->vcpus_milli;
    --left;
    if (alone ? left > 0 : !claim.spare.holds({}) || claim.spare_milli < 0) continue;
    claim.at = end;
    if (alone) claim.spare = {};
    return;
  }
}

// Whether `job` in `environment` could keep the claimant waiting longer.
bool Engine::delays(Claim& claim, const Job& job, const ComputeEnvironment& environment, TimeMs now) const {
  Room need = room_of(*claim.job), mine = room_of(job);
  bool same_environment = &environment == claim.environment;
  // Beside each other they fit now already: it is something else that the claimant waits for.
  bool beside = (host_.total - host_.used).holds(need + mine);
  if (same_environment)
    beside =
        beside && environment.used_milli + need.vcpus_milli + mine.vcpus_milli <= environment.max_milli();
  bool takes = takes_from(job, *claim.job, false);
  if (beside && !takes) return false;
  if (!claim.timed) time_claim(claim, now);
  if (claim.at == 0) return true;
  TimeMs end = latest_end(job, now);
  if (end != 0 && end <= claim.at) return takes && takes_from(job, *claim.job, true);
  if (takes || !claim.spare.holds(mine)) return true;
  return same_environment && claim.spare_milli < mine.vcpus_milli;
}

// `job` has started: what was spare beside the claimants is less by it, if it may still run then.
void Engine::use_spare(const Job& job, TimeMs now) {
  TimeMs end = 0;
  for (Claim& claim : claims_) {
    if (!claim.timed || claim.at == 0) continue;
    if (end == 0) end = latest_end(job, now);
    if (end != 0 && end <= claim.at) continue;
    claim.spare -= room_of(job);
    if (job.placed == claim.environment) claim.spare_milli -= job.vcpus_milli;
  }
}

// Starts jobs of `queue` that may pass its first one, which has just made its claim.
void Engine::backfill(JobQueue& queue, TimeMs now) {
  auto could_hold_any = [this] {
    Room free = host_.total - host_.used;
    return free.vcpus_milli > 0 && free.memory_mib > 0;
  };
  if (claims_.empty() || claims_.back().job->queue != &queue || !could_hold_any()) return;
  const Job* first = claims_.back().job;
  std::vector<Job*> behind;
  LineWalk walk(queue.line, now, mean_length_s());
  for (int i = 0; i < kLookedAt; ++i) {
    Job* next = walk.next();
    if (!next) break;
    if (next != first) behind.push_back(next);
  }
  for (Job* waiting : behind) {
    do {
      if (!could_hold_any()) return;
      if (never_starts(*waiting)) break;  // it will be told so when its turn comes
      Placement placement = place(*waiting, now);
      if (!placement.environment) break;
      Job& job = come_forward(*waiting, now);
      job.placed = placement.environment;
      take_room(job);
      start(job, nullptr, now);
      use_spare(job, now);
    } while (waiting->array && stands_in_line(*waiting));
  }
}

}  // namespace millrace::engine
