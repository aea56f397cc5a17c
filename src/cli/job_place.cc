#include "cli/job_place.h"

#include <cstdlib>

#include "base/strings.h"

namespace millrace::cli {

std::string with_job(std::string text) {
  auto variable = [](const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return std::string(value && *value ? value : otherwise);
  };
  // A child of an array is "JOB:INDEX".
  std::string job = variable("AWS_BATCH_JOB_ID", "local");
  text = base::replace_all(text, "{array}", job.substr(0, job.find(':')));
  text = base::replace_all(text, "{job}", base::replace_all(job, ":", "-"));
  text = base::replace_all(text, "{attempt}", variable("AWS_BATCH_JOB_ATTEMPT", "1"));
  return base::replace_all(text, "{index}", variable("AWS_BATCH_JOB_ARRAY_INDEX", "0"));
}

}  // namespace millrace::cli
