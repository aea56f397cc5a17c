// One job in full, and what it printed, on standard output.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/api_client.h"

namespace millrace::cli {

// `job` as DescribeJobs tells it. `data`: the --data that reaches its engine, "" when none is needed; the
// hints name it.
void print_job(ApiClient& api, const base::json::object& job, const std::string& data);

// What attempt number `attempt` has printed so far, counted from 1; 0: the latest that ran. Throws
// NotFoundError when there is no such attempt or it never ran, UsageError for an array job, which only has
// children that print.
void print_log(ApiClient& api, const base::json::object& job, size_t attempt);

}  // namespace millrace::cli
