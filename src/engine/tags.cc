#include "engine/tags.h"

#include "base/strings.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

// In code points, as AWS counts.
constexpr size_t kKeyMax = 128, kValueMax = 256;

std::string_view key_view(const json::string_view& key) { return {key.data(), key.size()}; }

}  // namespace

void merge_tags(json::object& tags, const json::object& more) {
  json::object merged = tags;
  for (const auto& [key, value] : more) {
    if (key.empty() || base::utf8_length(key_view(key)) > kKeyMax || !value.is_string() ||
        base::utf8_length(base::view(value.get_string())) > kValueMax)
      throw Reject("Tag keys must be 1 to 128 characters long and tag values at most 256.");
    if (key.starts_with("aws:"))
      throw Reject("Tag keys beginning with aws: are reserved for AWS use: " + std::string(key));
    merged[key] = value;
  }
  if (merged.size() > kTagsMax) throw Reject("Maximum number of tags per resource is 50.");
  tags = std::move(merged);
}

}  // namespace millrace::engine
