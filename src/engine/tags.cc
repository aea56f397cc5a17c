#include "engine/tags.h"

#include "engine/reject.h"

namespace millrace::engine {

void merge_tags(json::object& tags, const json::object& more) {
  json::object merged = tags;
  for (const auto& [key, value] : more) {
    if (key.empty() || key.size() > 128 || !value.is_string() || value.get_string().size() > 256)
      throw Reject("Tag keys must be 1 to 128 characters long and tag values at most 256.");
    if (key.starts_with("aws:"))
      throw Reject("Tag keys beginning with aws: are reserved for AWS use: " + std::string(key));
    merged[key] = value;
  }
  if (merged.size() > kTagsMax) throw Reject("Maximum number of tags per resource is 50.");
  tags = std::move(merged);
}

}  // namespace millrace::engine
