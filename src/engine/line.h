// Whose turn it is: the jobs of one queue that may start, in their order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "engine/job_id.h"
#include "engine/scheduling_policy.h"

namespace millrace::engine {

using base::TimeMs;

struct Job;

// Higher scheduling priority first, then the order of submission.
struct Place {
  int32_t priority = 0;
  JobSeq seq = 0;
  bool operator<(const Place& other) const {
    return priority != other.priority ? priority > other.priority : seq < other.seq;
  }
};

// The jobs of one share identifier; in a queue without scheduling policy all of them.
struct Share {
  std::string identifier;
  double weight = 1;  // lower gets more
  int entry = -1;     // of the policy, when a prefix covers this identifier
  // RUNNABLE jobs, and array jobs at the place of their next child.
  std::map<Place, Job*> waiting;
  int64_t live = 0;           // jobs that have not ended
  int64_t running_milli = 0;  // thousandths of vCPUs of attempts under way
  TimeMs used_at = 0;         // when it last had an attempt
  // vCPU-seconds, with what Line::scale() said then: of attempts that ended; and of those under way the
  // beginnings, so that usage now needs no look at each.
  double spent = 0, begun = 0;
};

// With a policy the share goes next that has the lowest usage times weight. Usage is in vCPU-seconds and
// halves every quarter of the policy's window; attempts under way count with what they have used and what an
// attempt uses on average.
class Line {
 public:
  static constexpr size_t kActiveSharesMax = 500;

  // Null: no policy. Usage stays what it is now. Attempts under way have to be told again (began_before()): a
  // window of another length counts differently what they have used.
  void follow(const SchedulingPolicy* policy);
  const SchedulingPolicy* policy() const { return policy_; }

  // The share of that identifier; it is made when there is none.
  Share& share(std::string_view identifier);
  // Whether share() may make one more now. Forgets shares that are no longer active.
  bool has_room_for(std::string_view identifier, TimeMs now);

  // Null when nothing waits. `mean_s`: how long an attempt takes, in seconds.
  Share* next(TimeMs now, double mean_s);

  // It began now, or, when a restarted engine hears of it, some time ago. Returns when, in this line's own
  // time.
  TimeMs attempt_began(Share& share, int64_t vcpus_milli, TimeMs at);
  // After follow(). `began`: what attempt_began() returned.
  void began_before(Share& share, int64_t vcpus_milli, TimeMs began);
  // `began`: what attempt_began() returned.
  void attempt_ended(Share& share, int64_t vcpus_milli, TimeMs began, TimeMs now);
  // vCPU-seconds that `share` has used, as they count now.
  double usage(const Share& share, TimeMs now) const;
  // The same, of attempts that have ended.
  double past_usage(const Share& share, TimeMs now) const;
  // What past_usage() was at `at`.
  void restore_usage(Share& share, double usage, TimeMs at);

  // Shares with jobs, or with usage in the policy's window.
  int64_t active_shares(TimeMs now) const;
  // Of the room, the part that is kept for shares that are not active: 0 to 1.
  double reserved(TimeMs now) const;
  const std::vector<std::unique_ptr<Share>>& shares() const { return shares_; }
  // The weight by which the usage of `share` counts.
  double weight(const Share& share) const;

 private:
  friend class LineWalk;
  // This line's own time, which never goes back: usage would grow without bounds. When the clock is set back,
  // it stands still for that moment and goes on from there.
  TimeMs own_time(TimeMs now) const { return std::max(now, latest_) + shift_ms_; }
  TimeMs pass_time(TimeMs now);
  double scale(TimeMs now) const;
  double seconds(TimeMs now) const;
  void rebase(TimeMs now);
  void set_weight(Share& share);
  bool is_active(const Share& share, TimeMs now) const;
  void forget_idle(TimeMs now);

  const SchedulingPolicy* policy_ = nullptr;
  TimeMs window_ms_ = 0;
  std::vector<ShareWeight> weights_;
  std::vector<int64_t> covered_;  // shares by the entry of weights_ whose prefix covers them
  std::vector<std::unique_ptr<Share>> shares_;
  std::map<std::string, Share*, std::less<>> by_identifier_;
  TimeMs latest_ = 0;    // told
  TimeMs shift_ms_ = 0;  // by which the clock was set back since the start
  // In own time:
  TimeMs base_ = 0;       // scale() is 1 then
  TimeMs forget_at_ = 0;  // next look for shares that are no longer active
};

// The jobs of a line in the order in which they would start if nothing changed and each took the mean length.
// An array job is named once, at the place of its next child. The line must not change meanwhile. O(shares) a
// step.
class LineWalk {
 public:
  LineWalk(const Line& line, TimeMs now, double mean_s);
  Job* next();  // null: that was all

 private:
  struct Stand {
    std::map<Place, Job*>::const_iterator at, end;
    double usage, weight;
  };
  std::vector<Stand> stands_;
  double mean_s_;
};

}  // namespace millrace::engine
