// TOML 1.0 as manifests use it, read into JSON values.
#pragma once

#include <string_view>

#include "base/json.h"

namespace millrace::ingest {

// Strings, booleans, arrays, tables and inline tables become what they are; numbers and dates stay text.
// Names that are given twice keep the last value. At most 32 levels. Throws CorruptError with the line where
// it stops being TOML.
base::json::object parse_toml(std::string_view text);

}  // namespace millrace::ingest
