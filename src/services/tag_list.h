// Tags as Secrets Manager and Systems Manager keep them: a list of {Key, Value}, each key once.
#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"

namespace millrace::services {

// Lays `added` over `tags`. A key that AWS reserves ("aws:…") is an ApiError 400 with `code`.
void merge_tag_list(base::json::array& tags, const base::json::array& added, std::string_view code);
// Without those of `keys`; keys that are not there do not matter.
void drop_from_tag_list(base::json::array& tags, const base::json::array& keys);

}  // namespace millrace::services
