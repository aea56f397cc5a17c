// Inputs written with capital first letters, as EventBridge and Scheduler have them ("JobName"), as the
// service itself spells them ("jobName").
#pragma once

#include <string>
#include <vector>

#include "aws/model.h"
#include "base/json.h"

namespace millrace::events {

// `value` with the members of `shape`, whatever the case of their first letter. Keys of maps stay. Members
// that `shape` does not have are left out, and named in `unknown` ("ContainerOverrides.Foo").
base::json::value uncapitalised(const base::json::value& value, const aws::Shape& shape,
                                std::vector<std::string>* unknown, const std::string& path = "");

}  // namespace millrace::events
