#include "base/core_dumps.h"

#include <sys/resource.h>

#include <algorithm>

namespace millrace::base {

void refuse_core_dumps() {
  rlimit limit{};
  getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = std::min<rlim_t>(1, limit.rlim_max);
  setrlimit(RLIMIT_CORE, &limit);
}

}  // namespace millrace::base
