// Bodies of the Query protocol (IAM, STS): "Action=AssumeRole&Tags.member.1.Key=a", read by shape.
#pragma once

#include <string_view>

#include "aws/model.h"
#include "base/json.h"

namespace millrace::aws {

// The fields of `form` (application/x-www-form-urlencoded) as a value of `structure`, in Millrace's JSON.
// Unknown fields are ignored. Throws ApiError in the words of `service` when a field has the wrong type.
base::json::object read_query(const ServiceModel& service, const Shape& structure, std::string_view form);

}  // namespace millrace::aws
