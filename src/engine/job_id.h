// Job identifiers: a UUID that is nothing but the job's sequence number in disguise, so that finding a job by
// its id needs no index in memory or on disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::engine {

// Jobs are numbered 1, 2, 3, … in the order of submission, for ever.
using JobSeq = uint64_t;

// Turns sequence numbers into UUIDs (version 4 in form) and back, keyed by a seed that every data folder
// draws once. Pure; thread-safe.
class JobIds {
 public:
  // `seed`: 16 random bytes, the same for the life of the data folder.
  explicit JobIds(std::string_view seed);
  std::string to_uuid(JobSeq seq) const;
  // Nothing when `uuid` is not one that to_uuid() gives.
  std::optional<JobSeq> from_uuid(std::string_view uuid) const;
  // 32 hexadecimal digits for the ECS task of attempt `token`.
  std::string task_id(uint64_t token) const;

 private:
  uint64_t round(uint32_t half, int number) const;
  uint64_t tag(uint64_t hidden) const;
  std::string seed_;
};

}  // namespace millrace::engine
