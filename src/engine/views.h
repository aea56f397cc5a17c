// Jobs as the Batch API shows them.
#pragma once

#include <string>

#include "base/json.h"
#include "engine/engine.h"

namespace millrace::engine {

// One entry of DescribeJobs (JobDetail).
json::object describe(const Job& job, const Engine& engine);

// Empty when it has none.
std::string share_identifier(const Job& job);

// One entry of ListJobs (JobSummary).
json::object summarize(const Job& job, const Engine& engine);

}  // namespace millrace::engine
