// Rows that would get in each other's way.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "workloads/copy/row.h"

namespace millrace::copy {

struct Overlap {
  size_t row = 0, other = 0;  // indices; the same for a row with itself
  std::string why;
};

// Finds rows of which one writes where the other reads, and rows that write to the same place where one of
// them would delete, or both write one key. A place without a trailing slash may be an object or a prefix and
// counts as both, unless the row is known to be a single object. Sources and destinations of different
// services (`same_service` false) cannot meet. O(n log n). At most one overlap is told for each row.
std::vector<Overlap> find_overlaps(const std::vector<Row>& rows, bool same_service);

}  // namespace millrace::copy
