// What a parameter may be called (Systems Manager API reference, PutParameter).
#pragma once

#include <string>
#include <string_view>

namespace millrace::secrets {

// Throws aws::ApiError in AWS's words. `arn_prefix` is what its ARN begins with.
void check_parameter_name(std::string_view name, std::string_view arn_prefix);

}  // namespace millrace::secrets
