// The HTTP request that an API destination gets.
#pragma once

#include <string>

#include "base/json.h"
#include "events/registry.h"

namespace millrace::events {

// From a delivery's request ("to" is http), as things are now: url, method, headers ([[name, value]…]), body,
// and oauth (url, method, headers, body of the request for a token) where the connection wants it; or
// "problem". Has secrets in it: not to be stored.
json::object http_call(const Registry& registry, const json::object& request);

}  // namespace millrace::events
