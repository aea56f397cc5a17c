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
#include "engine/status.h"

namespace millrace::engine {

namespace json = base::json;

struct ComputeEnvironment;
struct Job;

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
  // Array jobs whose next child may be made, by the number of that child.
  std::map<JobSeq, Job*> arrays;

  std::string arn(const Config& config) const { return config.arn("job-queue/" + name); }
};

json::object describe(const JobQueue& queue, const Config& config);

}  // namespace millrace::engine
