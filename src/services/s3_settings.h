// The sub-resources of a bucket that are kept as they are put: which there are, and what an unconfigured
// bucket answers.
#pragma once

#include <string_view>

namespace millrace::services {

enum class SettingVerb { kNone, kGet, kPut, kDelete };
// What an operation such as "PutBucketCors" does to a kept sub-resource.
SettingVerb setting_verb(std::string_view operation);

}  // namespace millrace::services
