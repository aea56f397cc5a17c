// Jobs as the Batch API shows them.
#pragma once

#include "base/json.h"
#include "engine/engine.h"

namespace millrace::engine {

// One entry of DescribeJobs (JobDetail).
json::object describe(const Job& job, const Engine& engine);

// One entry of ListJobs (JobSummary).
json::object summarize(const Job& job, const Engine& engine);

}  // namespace millrace::engine
