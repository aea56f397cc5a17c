// Checks a JSON input against its shape and brings it into Millrace's form, in place.
#pragma once

#include "aws/model.h"
#include "base/json.h"

namespace millrace::aws {

// Where the values of an input come from.
enum class InputForm {
  kWireJson,  // as an SDK sent it: keys are Member::wire, timestamps in the wire's format, types unchecked
  kOurs,  // read from XML, a form, headers or the path: types are right, only constraints are left to check
};

// Walks `input` (a value of `shape`, the input structure of an operation of `service`) and `bound`, the
// members that came in path, query and headers, already in our form; then moves `bound` into `input`. Drops
// unknown members and nulls. Throws ApiError: syntax_error() for the first wrong type, else
// constraint_error() with every broken constraint (bounded number), missing_parameter_error() for a required
// member that was to be in path, query or headers.
void check_input(const ServiceModel& service, const Shape& shape, base::json::object& input, InputForm form,
                 base::json::object bound = {});

}  // namespace millrace::aws
