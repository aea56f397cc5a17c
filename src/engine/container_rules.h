// What AWS Batch demands of one container of a job definition (ContainerProperties), and how it shows one.
#pragma once

#include <string_view>

#include "base/json.h"

namespace millrace::engine {

namespace json = base::json;

// Throws Reject with AWS's sentence for the first rule that `container` breaks. Types are right already, as
// the model of the request says.
void check_container(const json::object& container, bool fargate);

// Adds what AWS shows of members that were not given: empty lists, Fargate's platform and network.
void complete_container(json::object& container, bool fargate);

// Throws Reject when a text anywhere in `value` holds a NUL: arguments and variables of a program end there,
// so that it would get others than its user gave. `name` says where.
void refuse_nul(const json::value& value, std::string_view name);

}  // namespace millrace::engine
