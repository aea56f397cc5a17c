// Places (files, s3:// URLs) whose names say which Batch job they are of.
#pragma once

#include <string>

namespace millrace::cli {

// "{job}", "{array}" (the job without the child's index), "{attempt}" and "{index}" of a Batch job, so that
// one definition gives each run its own place; on a shell "local", 1 and 0.
std::string with_job(std::string text);

}  // namespace millrace::cli
