// Why an event does not match a rule.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "events/pattern.h"

namespace millrace::events {

// A field of the pattern that the event does not fulfil.
struct Mismatch {
  std::string path;
  std::vector<std::string> wanted;  // any of these, as describe() says them
  std::vector<std::string> seen;    // values at the path as JSON, shortened, at most kSeenMax
  size_t seen_count = 0;
  std::string reason;  // a sentence for people: field, value seen, condition

  static constexpr size_t kSeenMax = 5;
};

struct Explanation {
  bool matches = false;
  // Of the alternative of $or that comes nearest. Empty when every field is fulfilled by itself and the
  // pattern is not, because the values are in different elements of an array: then `reason` says so.
  std::vector<Mismatch> mismatches;
  std::string reason;
};

// Throws CorruptError when the event is not JSON.
Explanation explain(const Pattern& pattern, std::string_view event);

}  // namespace millrace::events
