// Array consistency: whether the values that fulfil a pattern's conditions can be taken so that no two of
// them come from different elements of the same array.
#pragma once

#include <cstdint>
#include <vector>

#include "events/matcher.h"

namespace millrace::events {

// Searches for one value a condition, in the order of the conditions' paths. What a value pins down is, for
// every array around it, the element it is in; values elsewhere in these arrays are skipped in one step each.
// A condition on absence looks at the values that are consistent with those taken before it, as EventBridge's
// does.
class ArraySearch {
 public:
  // The scratch holds what the walk through the event found. `needs` as in Matcher.
  ArraySearch(const Matcher& matcher, const uint32_t* needs, size_t count, MatchScratch* scratch)
      : matcher_(matcher), needs_(needs), count_(count), scratch_(*scratch) {}

  bool succeeds();
  bool gave_up() const { return steps_ > kStepsMax; }

 private:
  static constexpr size_t kStepsMax = 200'000;
  using Scopes = std::vector<uint32_t>;

  // Sets of conditions by their place; those from the 64th on share a bit.
  using Blame = uint64_t;
  static Blame bit(size_t k) { return 1ULL << (k < 63 ? k : 63); }

  void collect(uint32_t condition, Scopes* out) const;
  bool search(size_t k, Blame* blame);
  size_t next(const Scopes& scopes, size_t from, Blame* blame);
  size_t pin(uint32_t scope, size_t k);
  void unpin(size_t count);

  const Matcher& matcher_;
  const uint32_t* needs_;
  size_t count_;
  MatchScratch& scratch_;
  size_t steps_ = 0;
};

}  // namespace millrace::events
