// Numbers as event patterns compare them: as doubles, when a double holds them.
#pragma once

#include <optional>
#include <string_view>

namespace millrace::events {

// The value of a JSON number; nothing when a double does not hold it, so that its shortest decimal form is
// another number (9007199254740993, 1e400). Never -0. `text` must be a JSON number or nothing is returned.
std::optional<double> comparable_number(std::string_view text);

}  // namespace millrace::events
