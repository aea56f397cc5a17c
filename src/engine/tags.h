// Tags of resources: at most 50, keys 1..128 and values 0..256 code points, no key begins with "aws:".
#pragma once

#include "base/json.h"

namespace millrace::engine {

namespace json = base::json;

inline constexpr size_t kTagsMax = 50;

// Adds `more` to `tags`, overwriting equal keys. Throws Reject, and then leaves `tags` as it was.
void merge_tags(json::object& tags, const json::object& more);

}  // namespace millrace::engine
