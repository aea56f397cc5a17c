// Job queues: priority, state, and the compute environments in their order.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/config.h"
#include "engine/job_id.h"
#include "engine/line.h"
#include "engine/status.h"

namespace millrace::engine {

namespace json = base::json;

struct ComputeEnvironment;
struct Job;

// Why the first job in line does not start.
enum class Block : uint8_t {
  kNone,
  kNoHost,
  kInvalidEnvironments,  // none is ENABLED
  kMaxResource,          // more vCPUs than any environment may have
  kConsumables,
  kReservation,  // the rest is kept for shares that are not active
  kNoRoom,
  kClaimed,  // there is room, but one that stands before it would be delayed
};

// The first in line, when it does not start.
struct BlockedHead {
  JobSeq job = 0;
  Block why = Block::kNone;
  TimeMs since = 0;
};

struct JobQueue {
  int64_t number = 0;
  std::string name;
  int64_t priority = 0;
  bool enabled = true;
  bool deleting = false;                          // waits for its last job to stop
  bool deleted = false;                           // kept because finished jobs name it
  std::vector<ComputeEnvironment*> environments;  // ascending order
  std::vector<int64_t> orders;                    // the numbers given, beside `environments`
  json::array time_limit_actions;
  json::object tags;

  // Live jobs by state, in the order of submission. Derived, not stored.
  std::array<std::map<JobSeq, Job*>, kJobStatusCount> jobs;
  // RUNNABLE jobs, and array jobs whose next child may be made, in the order in which they start. Derived but
  // for the policy and the usage of shares.
  Line line;
  BlockedHead blocked;
  TimeMs moved_at = 0;  // when the last job left the line; 0: not since the engine started

  std::string arn(const Config& config) const { return config.arn("job-queue/" + name); }
};

json::object describe(const JobQueue& queue, const Config& config);

}  // namespace millrace::engine
