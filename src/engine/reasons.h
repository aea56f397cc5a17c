// The sentences that AWS Batch puts into statusReason and that its users' tools compare literally.
#pragma once

#include <cstddef>

namespace millrace::engine::reasons {

inline constexpr char kExited[] = "Essential container in task exited";
inline constexpr char kFailedToStart[] = "Task failed to start";
inline constexpr size_t kContainerReasonMax = 255;  // characters; a statusReason may be longer
inline constexpr char kInitialization[] = "ResourceInitializationError:";  // secrets, or the log's set-up
inline constexpr char kTimeout[] = "Job attempt duration exceeded timeout";
inline constexpr char kHostLostFormat[] = "Host EC2 (instance {}) terminated.";
inline constexpr char kOutOfMemory[] = "OutOfMemoryError: Container killed due to memory usage";
inline constexpr char kEnvironmentHealthy[] = "ComputeEnvironment Healthy";
inline constexpr char kQueueHealthy[] = "JobQueue Healthy";
inline constexpr char kChildFailed[] = "Array Child Job failed";
inline constexpr char kDependencyFailed[] = "Dependent Job failed";
inline constexpr char kOverridesTooLong[] = "Container Overrides length must be at most 8192";
inline constexpr char kQueueDeleted[] = "Job queue was deleted";
inline constexpr char kMaxResource[] =
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the "
    "CPU "
    "requirement of the job.";
inline constexpr char kResourceRequirement[] =
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher "
    "than "
    "that can be met by the CE(s) attached to the job queue.";
inline constexpr char kTimeLimitFormat[] = "Canceled by JobStateTimeLimit action due to reason: {}";
inline constexpr char kInvalidEnvironments[] =
    "ACTION_REQUIRED - CE(s) associated with the job queue are invalid.";

}  // namespace millrace::engine::reasons
