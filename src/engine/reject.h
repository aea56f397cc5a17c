// How the engine refuses a command: thrown inside apply(), never out of it.
#pragma once

#include <string>
#include <string_view>

#include "aws/api_error.h"

namespace millrace::engine {

// Batch has one error for bad input: ClientException, HTTP 400.
struct Reject : aws::ApiError {
  explicit Reject(const std::string& message) : ApiError(400, "ClientException", message) {}
};

// Names of queues, environments, definitions: 1 to 128 of [A-Za-z0-9_-].
inline bool is_resource_name(std::string_view name) {
  if (name.empty() || name.size() > 128) return false;
  for (char c : name)
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      return false;
  return true;
}

// Job names: as above, but the first character is a letter or a digit.
inline bool is_job_name(std::string_view name) {
  return is_resource_name(name) && name.front() != '_' && name.front() != '-';
}

}  // namespace millrace::engine
