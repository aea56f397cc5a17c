// Which keys a row takes; patterns are of keys relative to the row's source and destination.
#pragma once

#include "workloads/filter.h"

namespace millrace::copy {

using workloads::FilterRule;
using workloads::pattern_match;
using workloads::takes;

}  // namespace millrace::copy
