// Job states (AWS Batch User Guide, "Job states").
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::engine {

// In the order of a job's life; stored as numbers, so the order is for ever.
enum class JobStatus : uint8_t { kSubmitted, kPending, kRunnable, kStarting, kRunning, kSucceeded, kFailed };
inline constexpr size_t kJobStatusCount = 7;
inline constexpr std::array<std::string_view, kJobStatusCount> kJobStatusNames = {
    "SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"};

inline std::string_view name(JobStatus status) { return kJobStatusNames[static_cast<size_t>(status)]; }

inline std::optional<JobStatus> job_status(std::string_view text) {
  for (size_t i = 0; i < kJobStatusCount; ++i)
    if (kJobStatusNames[i] == text) return static_cast<JobStatus>(i);
  return std::nullopt;
}

inline bool is_finished(JobStatus s) { return s >= JobStatus::kSucceeded; }

}  // namespace millrace::engine
