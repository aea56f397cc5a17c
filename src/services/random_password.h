// Secrets Manager's GetRandomPassword.
#pragma once

#include "base/json.h"
#include "secrets/plaintext.h"

namespace millrace::services {

// As the checked `input` of GetRandomPassword asks. Throws ApiError when that leaves no characters, or when
// the length has no room for one of each required type.
secrets::Plaintext random_password(const base::json::object& input);

}  // namespace millrace::services
