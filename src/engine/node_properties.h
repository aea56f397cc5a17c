// The rules of multi-node parallel jobs (NodeProperties).
#pragma once

#include "base/json.h"

namespace millrace::engine {

namespace json = base::json;

// Throws Reject with AWS's sentence for the first rule that `nodes` breaks.
void check_node_properties(const json::object& nodes);

}  // namespace millrace::engine
