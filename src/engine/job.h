// One submitted job and its attempts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "engine/array_state.h"
#include "engine/job_id.h"
#include "engine/resources.h"
#include "engine/status.h"

namespace millrace::engine {

using base::TimeMs;

struct JobDefinition;
struct JobQueue;
struct ComputeEnvironment;
struct ConsumableResource;
struct Share;

// What a job takes of consumable resources while it runs.
using ConsumableNeeds = std::vector<std::pair<ConsumableResource*, int64_t>>;

// A finished attempt, or the one under way.
struct Attempt {
  uint64_t token = 0;     // the fencing number: rises for ever, never used twice
  std::string cluster;    // ECS cluster of the compute environment it was placed in: "AWSBatch-name-uuid"
  std::string instance;   // the host, "i-…"
  TimeMs started_at = 0;  // 0: no process was ever there
  TimeMs stopped_at = 0;
  // May run so long, 0: without limit. Follows from the submission, so it is not stored.
  TimeMs timeout_ms = 0;
  uint64_t after = 0;       // on deck: begins when that attempt has ended, in its room
  TimeMs deck_until = 0;    // not stored
  TimeMs counted_from = 0;  // as usage of its share, in Line's own time; not stored
  int depth = 0;            // so many begin before it in its room; not stored
  std::optional<int> exit_code;
  int64_t cpu_ms = 0;             // of all its processes, when it has ended
  int64_t memory_peak_bytes = 0;  // of its largest process
  std::string reason;             // the container's
  std::string status_reason;      // the attempt's
};

// A million of these wait in memory at once, so what is rarely there is behind a pointer and what the
// submission said stays one piece of JSON text.
struct Job {
  JobSeq seq = 0;
  JobSeq parent = 0;  // the array job that it is a child of; children have the numbers after their parent's
  JobStatus status = JobStatus::kSubmitted;
  bool cancelled = false;   // CancelJob took effect
  bool terminated = false;  // TerminateJob was accepted
  bool timed_out = false;
  bool holds = false;     // has what `needs` says, until it ends
  bool too_long = false;  // for ECS, so that it fails at its turn; follows from the submission, not stored
  int32_t priority = 0;   // in its share
  int32_t timeout_s = 0;  // of an attempt; 0: without limit
  JobQueue* queue = nullptr;
  Share* share = nullptr;  // of the queue; null when the job has ended
  const JobDefinition* definition = nullptr;
  int32_t vcpus_milli = 0;
  int32_t gpus = 0;
  int64_t memory_mib = 0;
  TimeMs created_at = 0;
  TimeMs started_at = 0;
  TimeMs stopped_at = 0;
  std::string name;
  std::string submission;     // the SubmitJob request without names and tags, JSON text
  std::string status_reason;  // of the last attempt, or the caller's reason
  std::string stop_reason;    // what a terminated job will say
  std::unique_ptr<json::object> tags;
  std::shared_ptr<const ConsumableNeeds> needs;    // an array job's: of each child
  std::unique_ptr<ArrayState> array;               // of an array job
  std::unique_ptr<std::vector<JobSeq>> waits_for;  // PENDING: live jobs that must succeed first
  std::unique_ptr<Attempt> current;                // STARTING or RUNNING
  ComputeEnvironment* placed = nullptr;            // where `current` takes its room
  std::vector<Attempt> attempts;                   // finished ones
  bool changed = false;                            // named in Changes already
  bool stored = false;                             // has a row

  int32_t index() const { return static_cast<int32_t>(seq - parent - 1); }      // of a child
  JobSeq child(int32_t at) const { return seq + 1 + static_cast<JobSeq>(at); }  // its number
};

}  // namespace millrace::engine
