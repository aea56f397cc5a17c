// On deck: while attempts are short, the next job is placed in the room of a running one before that one has
// ended, and perhaps another behind it. Its record is durable and its start is at the host, which begins it
// the moment the room is free: no commit stands between two jobs.
#include <algorithm>

#include "engine/engine.h"

namespace millrace::engine {
namespace {

constexpr TimeMs kDeckMs = 100;  // an attempt that lasts so much longer gives its followers back to the queue
constexpr double kDepthMax = 4;
constexpr int kPlacesLookedAt = 8;  // in one pass
constexpr double kNewestCounts = 1.0 / 8;

bool fits(const Job& job, const Job& room) {
  return job.vcpus_milli <= room.vcpus_milli && job.memory_mib <= room.memory_mib && job.gpus <= room.gpus;
}

}  // namespace

void Engine::learn_length(TimeMs length) {
  ++lengths_known_;
  mean_length_ms_ += (static_cast<double>(length) - mean_length_ms_) * kNewestCounts;
}

// The job that could follow in the room of `front`: nobody passes one that waits for room.
Job* Engine::follower_for(const Job& front) {
  if (!front.placed || !front.placed->enabled() || claims_.empty()) return nullptr;
  const Job& next = *claims_.front().job;
  const auto& environments = next.queue->environments;
  // Secrets are read when the attempt starts, and what cannot be read ends it before those in front of it.
  bool may = !next.needs && !next.definition->needs_secrets() && fits(next, front) &&
             std::find(environments.begin(), environments.end(), front.placed) != environments.end();
  return may ? jobs_.at(next.seq).get() : nullptr;
}

// The shorter attempts are, the more of them hide the time of a commit.
int Engine::deck_depth() const {
  return static_cast<int>(
      std::clamp(static_cast<double>(config_.short_attempt_ms) / (6 * mean_length_ms_), 1.0, kDepthMax));
}

// Places one job; false when there is none, or no place.
bool Engine::put_on_deck(TimeMs now) {
  if (mean_length_ms_ > static_cast<double>(config_.short_attempt_ms)) return false;
  int looked_at = 0, depth = deck_depth();
  for (auto place = open_places_.begin();
       place != open_places_.end() && place->first < depth && looked_at < kPlacesLookedAt;
       ++place, ++looked_at) {
    const Job& front = *attempts_.at(place->second);
    Job* next = front.terminated || front.timed_out ? nullptr : follower_for(front);
    if (!next) continue;
    open_places_.erase(place);
    next->placed = front.placed;
    start(*next, &front, now);
    next->current->deck_until = now + kDeckMs * next->current->depth;
    deadlines_.emplace(next->current->deck_until, next->current->token);
    followers_[front.current->token] = next;
    return true;
  }
  return false;
}

// The time of a job on deck is up. Only the host knows whether it has begun meanwhile; it answers.
void Engine::revoke(const Job& job) {
  deadlines_.erase({job.current->deck_until, job.current->token});
  effects_.emplace_back(std::in_place_type<RevokeAttempt>, RevokeAttempt{job.current->token});
}

void Engine::leave_deck(Job& job) {
  followers_.erase(job.current->after);
  deadlines_.erase({job.current->deck_until, job.current->token});
  job.current->after = 0;
}

// Counts the places behind `job` again; the last of them is open.
void Engine::count_lane(Job& job, int depth) {
  Job* last = &job;
  for (;; ++depth) {
    Attempt& attempt = *last->current;
    open_places_.erase({attempt.depth, attempt.token});
    attempt.depth = depth;
    auto next = followers_.find(attempt.token);
    if (next == followers_.end()) break;
    last = next->second;
  }
  open_places_.insert({depth, last->current->token});
}

// The attempt under way is over: its room is free, or its follower's.
void Engine::vacate(Job& job) {
  uint64_t token = job.current->token, front = job.current->after;
  open_places_.erase({job.current->depth, token});
  auto next = followers_.find(token);
  Job* follower = next == followers_.end() ? nullptr : next->second;
  if (front == 0) {
    give_room_back(job);
    if (!follower) return;
    // Not marked as changed: a restarted engine sees that the one in front is gone.
    leave_deck(*follower);
    take_room(*follower);
    return count_lane(*follower, 0);
  }
  leave_deck(job);
  job.placed = nullptr;
  if (!follower) return;
  followers_.erase(next);
  followers_[front] = follower;
  follower->current->after = front;
  mark(*follower);
}

}  // namespace millrace::engine
