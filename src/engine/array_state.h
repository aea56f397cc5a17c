// What an array job knows of its children.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "base/time.h"
#include "engine/status.h"

namespace millrace::engine {

struct ArrayState {
  enum Child : uint8_t { kUnmade, kLive, kSucceeded, kFailed };

  ArrayState(int32_t children, bool one_by_one)
      : size(children),
        limit(children),
        sequential(one_by_one),
        made(static_cast<size_t>(children), kUnmade) {}

  int32_t size;
  int32_t limit;     // unmade children from here on have failed with their parent
  int32_t next = 0;  // the first that may be unmade
  bool sequential;   // a child begins when the one before has succeeded
  std::vector<uint8_t> made;
  std::array<int32_t, kJobStatusCount> counts{};  // of made children, by state
  base::TimeMs changed_at = 0;

  Child at(int32_t index) const { return static_cast<Child>(made[static_cast<size_t>(index)]); }
  void skip_made() {
    while (next < limit && at(next) != kUnmade) ++next;
  }
  int32_t live() const {
    return std::accumulate(counts.begin(), counts.begin() + static_cast<size_t>(JobStatus::kSucceeded), 0);
  }
};

}  // namespace millrace::engine
