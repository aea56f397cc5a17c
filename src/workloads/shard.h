// Which part of a job this process does, when the job is split over an array.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::workloads {

// One of `count` parts. Every item belongs to exactly one part, by the hash of its name: the same on every
// machine and whatever other items there are.
struct Shard {
  uint32_t index = 0;
  uint32_t count = 1;

  bool whole() const { return count == 1; }
  bool has(std::string_view item) const;
};

// The index of the part that `item` belongs to.
uint32_t shard_of_item(std::string_view item, uint32_t count);

// "I/N" with 0 <= I < N <= 10,000; UsageError otherwise.
Shard parse_shard(std::string_view text);

// From AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE; the whole job where the first is not set (AWS
// sets the size only in newer agents: an index without a size is a UsageError, because guessing would lose
// items).
Shard shard_of_environment();

}  // namespace millrace::workloads
