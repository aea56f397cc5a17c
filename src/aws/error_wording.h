// How each service words the refusal of a request that does not fit its model. Data only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/api_error.h"
#include "aws/model.h"

namespace millrace::aws {

struct ErrorWording {
  std::string_view service;      // signing name
  std::string_view syntax_code;  // the body is not what the protocol wants, or a value has the wrong type
  std::string_view value_code;   // a required member is missing, a value is out of bounds
};

const ErrorWording& error_wording(const ServiceModel& service);

// True where AWS takes any mix of letter cases of an enum's values.
bool enum_ignores_case(const Shape& shape);

// True for enums whose wrong values AWS refuses in the service's own words, not in the model's: they
// pass.
bool enum_is_checked_by_service(const Shape& shape);

// The refusal for values that break constraints, one text each: "Value 'x' at 'name' failed to satisfy ...".
ApiError constraint_error(const ServiceModel& service, const std::vector<std::string>& broken);

// The refusal for bytes or types that do not fit, said in `message`.
ApiError syntax_error(const ServiceModel& service, const std::string& message);

// The refusal of `text` in the query parameter or header that carries `member`, which wants another type.
ApiError parameter_error(const ServiceModel& service, const Member& member, std::string_view text);

// The refusal of a request that lacks a required label, query parameter or header.
ApiError missing_parameter_error(const ServiceModel& service, const Member& member);

}  // namespace millrace::aws
