// The Filters of ListSecrets and BatchGetSecretValue (Secrets Manager API reference, "Filter").
#pragma once

#include <functional>

#include "base/json.h"
#include "secrets/secret_store.h"

namespace millrace::services {

// Whether a secret passes all of `filters`. Throws ApiError for a filter that makes no sense.
std::function<bool(const secrets::Secret&)> secret_filter(const base::json::array& filters,
                                                          const std::string& region);

}  // namespace millrace::services
