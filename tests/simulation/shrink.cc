#include "tests/simulation/shrink.h"

#include <algorithm>

namespace millrace::simulation {

std::vector<int> shrink(std::vector<int> steps, const std::function<bool(const std::vector<int>&)>& fails,
                        int tries_max) {
  size_t part = (steps.size() + 1) / 2;
  while (part > 0) {
    bool shorter = false;
    // From the end: what comes late depends on what came early, seldom the other way round.
    for (size_t end = steps.size(); end > 0;) {
      if (tries_max-- == 0) return steps;
      size_t begin = end > part ? end - part : 0;
      std::vector<int> fewer(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(begin));
      fewer.insert(fewer.end(), steps.begin() + static_cast<std::ptrdiff_t>(end), steps.end());
      if (fails(fewer)) {
        steps = std::move(fewer);
        shorter = true;
      }
      end = std::min(begin, steps.size());
    }
    if (part > 1) {
      part /= 2;
    } else if (!shorter) {
      part = 0;
    }
  }
  return steps;
}

}  // namespace millrace::simulation
