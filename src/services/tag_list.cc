#include "services/tag_list.h"

#include <algorithm>
#include <string>

#include "aws/api_error.h"

namespace millrace::services {
namespace {

namespace json = base::json;

std::string_view key_of(const json::value& tag) {
  return base::find_string(tag.as_object(), "Key").value_or("");
}

}  // namespace

void merge_tag_list(json::array& tags, const json::array& added, std::string_view code) {
  for (const json::value& tag : added) {
    const std::string_view key = key_of(tag);
    if (key.starts_with("aws:"))
      throw aws::ApiError(400, std::string(code), "Tag keys can't start with aws: because that is reserved.");
    const json::value entry = {{"Key", key},
                               {"Value", base::find_string(tag.as_object(), "Value").value_or("")}};
    const auto same =
        std::find_if(tags.begin(), tags.end(), [&](const json::value& old) { return key_of(old) == key; });
    if (same == tags.end())
      tags.push_back(entry);
    else
      *same = entry;
  }
}

void drop_from_tag_list(json::array& tags, const json::array& keys) {
  tags.erase(std::remove_if(tags.begin(), tags.end(),
                            [&](const json::value& tag) {
                              return std::any_of(keys.begin(), keys.end(), [&](const json::value& key) {
                                return base::view(key.as_string()) == key_of(tag);
                              });
                            }),
             tags.end());
}

}  // namespace millrace::services
