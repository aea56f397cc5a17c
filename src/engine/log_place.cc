#include "engine/log_place.h"

#include <fmt/format.h>

namespace millrace::engine {
namespace {
constexpr size_t kStreamPrefixMax = 200;
}  // namespace

std::pair<std::string, std::string> log_place(const JobDefinition& definition, const json::object& container,
                                              std::string_view task_id) {
  std::string group = "/aws/batch/job";
  std::string prefix = definition.name.substr(0, kStreamPrefixMax);
  if (const json::object* log = base::find_object(container, "logConfiguration"))
    if (const json::object* options = base::find_object(*log, "options")) {
      if (auto given = base::find_string(*options, "awslogs-group")) group = *given;
      if (auto given = base::find_string(*options, "awslogs-stream-prefix")) prefix = *given;
    }
  return {group, fmt::format("{}/default/{}", prefix, task_id)};
}

}  // namespace millrace::engine
