// What the engine is told, and what it wants done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace millrace::engine {

namespace json = base::json;
using base::TimeMs;

// ---- in
// ----------------------------------------------------------------------------------------------------------

// The operations of AWS Batch that change something.
enum class ApiOperation {
  kRegisterJobDefinition,
  kDeregisterJobDefinition,
  kCreateComputeEnvironment,
  kUpdateComputeEnvironment,
  kDeleteComputeEnvironment,
  kCreateJobQueue,
  kUpdateJobQueue,
  kDeleteJobQueue,
  kSubmitJob,
  kCancelJob,
  kTerminateJob,
  kCancelJobs,
  kTerminateJobs,
  kCreateSchedulingPolicy,
  kUpdateSchedulingPolicy,
  kDeleteSchedulingPolicy,
  kCreateConsumableResource,
  kUpdateConsumableResource,
  kDeleteConsumableResource,
  kTagResource,
  kUntagResource,
};

// A request that the protocol layer has decoded and checked against AWS's model.
struct ApiCommand {
  ApiOperation operation;
  json::object input;
  std::string uuid;  // a fresh one, for whatever the operation creates
  // SubmitJob: another submission with the same token is answered as the first was, and makes no job. Kept as
  // long as the job.
  std::string token = {};
};

// A host is there, with so much room. Replaces what was known of the host before.
struct HostUp {
  std::string instance;
  int64_t vcpus_milli = 0;
  int64_t memory_mib = 0;
  int64_t gpus = 0;
};

struct AttemptStarted {
  uint64_t token = 0;
  TimeMs at = 0;
};

struct AttemptFinished {
  uint64_t token = 0;
  bool started = false;
  bool host_lost = false;
  bool never_received = false;  // the host lives and has never heard of it: start it (again)
  bool revoked = false;         // it had not begun when RevokeAttempt came
  std::optional<int> exit_code;
  std::string reason;
  TimeMs started_at = 0;
  TimeMs stopped_at = 0;
  int64_t cpu_ms = 0;             // user and system
  int64_t memory_peak_bytes = 0;  // resident, of its largest process; no less than the host's runner has
};

// Time has passed: look at the deadlines.
struct Tick {};

using Command = std::variant<ApiCommand, HostUp, AttemptStarted, AttemptFinished, Tick>;

// ---- out
// ---------------------------------------------------------------------------------------------------------

// Run this. The record of it is durable when the effect is performed.
struct StartAttempt {
  uint64_t token = 0;
  uint64_t after = 0;  // not before this attempt has ended; 0, or one that is not there: at once
  std::string job_id;
  int attempt = 1;
  std::string queue, environment_name;
  std::string image;
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> environment;
  // Names of variables and where their values are (`valueFrom`); without a name: it must be there, and
  // nothing is set (logConfiguration.secretOptions).
  std::vector<std::pair<std::string, std::string>> secrets;
  std::string job_role, execution_role;  // ARNs, empty: none
  int64_t vcpus_milli = 0;
  int64_t memory_mib = 0;
  std::string log_group, log_stream;
};

// Forget this attempt unless it has begun.
struct RevokeAttempt {
  uint64_t token = 0;
};

struct StopAttempt {
  uint64_t token = 0;
  int64_t grace_ms = 0;
};

// The outcome of the attempt is durable.
struct AcknowledgeAttempt {
  uint64_t token = 0;
};

// Something that AWS Batch tells EventBridge (source "aws.batch", reference "Events").
struct JobNotice {
  std::string detail_type;
  std::vector<std::string> resources;
  std::string detail;  // JSON
  int64_t seq = 0;     // of the driver, see Driver::notices_heard
};

using Effect = std::variant<StartAttempt, RevokeAttempt, StopAttempt, AcknowledgeAttempt, JobNotice>;

// An AWS error: HTTP status, code, message.
struct Refusal {
  int status = 400;
  std::string code;
  std::string message;
};

struct Outcome {
  std::variant<json::object, Refusal> reply;  // to an ApiCommand
  std::vector<Effect> effects;
};

}  // namespace millrace::engine
