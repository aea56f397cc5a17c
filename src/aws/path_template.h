// Matching a request's path with the URI template of an operation.
#pragma once

#include <functional>
#include <string_view>

#include "aws/model.h"

namespace millrace::aws {

// Called with each label's member and its text as it stood on the wire (percent-encoded).
using LabelFound = std::function<void(const Member&, std::string_view)>;

// True when `path` (on the wire: encoded, beginning with '/') fits the template. A label is never empty; a
// greedy one takes the rest, slashes and all. For S3 "/bucket/" is the bucket.
bool path_matches(const Operation& operation, std::string_view path);
bool match_path(const Operation& operation, std::string_view path, const LabelFound& found);

}  // namespace millrace::aws
