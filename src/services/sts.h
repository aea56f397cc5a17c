// AWS STS, as much as every client asks before it begins: who am I?
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"

namespace millrace::services {

bool sts_implements(std::string_view operation);

// GetCallerIdentity. `principal` is the account (root) or the id of the calling job.
base::json::object sts_call(const aws::Operation& operation, const std::string& principal,
                            const std::string& access_key, const std::string& account);

}  // namespace millrace::services
