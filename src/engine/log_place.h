// Where the output of an attempt goes.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "engine/job_definition.h"

namespace millrace::engine {

// CloudWatch Logs group and stream of the attempt with that task id (Batch User Guide, "awslogs").
std::pair<std::string, std::string> log_place(const JobDefinition& definition, const json::object& container,
                                              std::string_view task_id);

}  // namespace millrace::engine
