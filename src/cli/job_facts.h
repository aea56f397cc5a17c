// What the Batch API says of a job (JobDetail, JobSummary, AttemptDetail), in the words that commands show.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"

namespace millrace::cli {

namespace json = base::json;

// The member, "" when it is not there.
std::string text_of(const json::object& object, std::string_view name);

// "arn:…:job-queue/render" and "arn:…:job-definition/blur:3" without what comes before the slash.
std::string short_name(const std::string& arn);

// "350ms", "1.2s", "42s", "3m07s", "2h05m", "4d11h": one word, so that the columns of a table stay columns.
// Less than nothing (clocks differ) is nothing.
std::string duration(base::TimeMs ms);

// How long a job or an attempt has run, up to `now` when it has not stopped; "-" when it has not started.
std::string run_time(const json::object& run, base::TimeMs now);

// The container of a job or of an attempt, also of a job whose definition has ecsProperties.
const json::object& container_of(const json::object& run);

// Why a job or an attempt is what it is: Batch's reason and, where it says something else, the container's.
// A job that runs keeps the reason of the attempt before, and it says so. Printable.
std::string reason_of(const json::object& run);

// "-" when there is none.
std::string exit_code_of(const json::object& run);

bool is_finished(const std::string& status);

// Of an array job: the children that are done, and all of them. Nothing of another job.
struct ArrayCount {
  int64_t done = 0, size = 0;
};
std::optional<ArrayCount> array_count(const json::object& job);

}  // namespace millrace::cli
