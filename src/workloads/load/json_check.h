// Is it JSON? (RFC 8259; behind a header of its own because simdjson's takes seconds to compile)
#pragma once

#include <string_view>

namespace millrace::load {

// True when the whole of `text` is one JSON value. Thread-safe.
bool is_json(std::string_view text);

}  // namespace millrace::load
