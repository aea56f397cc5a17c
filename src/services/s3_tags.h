// Tags of objects and buckets: their text form and S3's limits on them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace millrace::services {

using Tags = std::vector<std::pair<std::string, std::string>>;

inline constexpr size_t kObjectTagsMax = 10;
inline constexpr size_t kBucketTagsMax = 50;

// "a=1&b=2", percent-encoded, as in x-amz-tagging and in the store.
Tags parse_tags(std::string_view text);
std::string to_text(const Tags& tags);
// [{"Key": …, "Value": …}]. Throws MalformedXML.
Tags tags_in(const base::json::array& set);
base::json::array tag_set(const Tags& tags);

// Throws BadRequest (more than `count_max`), InvalidTag (lengths, characters, twice the same key).
void check_tags(const Tags& tags, size_t count_max);

}  // namespace millrace::services
