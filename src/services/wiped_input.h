// Values in a request that must not stay in memory.
#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"
#include "secrets/plaintext.h"

namespace millrace::services {

// Takes the text of `member` out of `input` and leaves nothing of it there; nothing when it is no text.
std::optional<secrets::Plaintext> take_text(base::json::object& input, std::string_view member);

// Overwrites the text in `value`, however deep it lies. For what has been used.
void wipe_text(base::json::value& value);

}  // namespace millrace::services
