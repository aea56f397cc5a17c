// Readers of inputs that all of CloudWatch Logs' operations share.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api_error.h"
#include "base/json.h"

namespace millrace::services::logs_input {

[[noreturn]] inline void invalid(const std::string& message) {
  throw aws::ApiError(400, "InvalidParameterException", message);
}

inline std::string text(const base::json::object& input, std::string_view name) {
  return std::string(base::find_string(input, name).value_or(""));
}

inline size_t limit_of(const base::json::object& input, size_t most) {
  return static_cast<size_t>(std::clamp<int64_t>(
      base::find_int(input, "limit").value_or(static_cast<int64_t>(most)), 1, static_cast<int64_t>(most)));
}

inline std::map<std::string, std::string> tags_of(const base::json::object& input) {
  std::map<std::string, std::string> tags;
  if (const base::json::object* object = base::find_object(input, "tags"))
    for (const auto& [key, value] : *object)
      tags[std::string(key)] = std::string(base::view(value.as_string()));
  return tags;
}

inline std::vector<std::string> strings_of(const base::json::object& input, std::string_view name) {
  std::vector<std::string> out;
  if (const base::json::array* array = base::find_array(input, name))
    for (const base::json::value& value : *array) out.emplace_back(base::view(value.as_string()));
  return out;
}

}  // namespace millrace::services::logs_input
