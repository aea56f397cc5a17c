// S3's rules for the names of general purpose buckets.
#pragma once

#include <string_view>

namespace millrace::objects {

// 3 to 63 characters a-z 0-9 . -, letters or digits at both ends, no "..", not like an IPv4 address, none of
// the reserved beginnings and endings (S3 user guide, "Bucket naming rules").
bool is_valid_bucket_name(std::string_view name);

}  // namespace millrace::objects
