#include "services/secret_filters.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api_error.h"
#include "base/strings.h"

namespace millrace::services {
namespace {

namespace json = base::json;

struct Wanted {
  std::string text;
  bool negated = false;
};

struct Filter {
  std::string key;
  std::vector<Wanted> values;
};

bool begins_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && base::equals_ignore_case(text.substr(0, prefix.size()), prefix);
}

// Where words begin, for what a search in descriptions and "all" looks at.
bool has_word(std::string_view text, std::string_view word) {
  for (size_t at = 0; at < text.size(); ++at) {
    const bool start =
        at == 0 || std::string_view(" /_+=.@-,;:").find(text[at - 1]) != std::string_view::npos;
    if (start && begins_ignoring_case(text.substr(at), word)) return true;
  }
  return false;
}

template <typename Test>
bool any_tag(const secrets::Secret& secret, const char* member, const Test& test) {
  const json::array* tags = base::find_array(secret.body, "Tags");
  return tags && std::any_of(tags->begin(), tags->end(), [&](const json::value& tag) {
           return test(base::find_string(tag.as_object(), member).value_or(""));
         });
}

bool matches(const secrets::Secret& secret, std::string_view key, const std::string& wanted,
             const std::string& region) {
  auto begins = [&](std::string_view text) { return text.starts_with(wanted); };
  const std::string_view description = base::find_string(secret.body, "Description").value_or("");
  if (key == "name") return begins(secret.name);
  if (key == "description") return has_word(description, wanted);
  if (key == "tag-key") return any_tag(secret, "Key", begins);
  if (key == "tag-value") return any_tag(secret, "Value", begins);
  if (key == "primary-region") return begins(region);
  if (key == "owning-service") return begins(base::find_string(secret.body, "OwningService").value_or(""));
  // "all": every word somewhere.
  for (std::string_view word : base::split(wanted, ' ')) {
    auto has = [&](std::string_view text) { return has_word(text, word); };
    if (!word.empty() && !has(secret.name) && !has(description) && !any_tag(secret, "Key", has) &&
        !any_tag(secret, "Value", has) && !has(region))
      return false;
  }
  return true;
}

}  // namespace

std::function<bool(const secrets::Secret&)> secret_filter(const json::array& filters,
                                                          const std::string& region) {
  std::vector<Filter> read;
  for (const json::value& entry : filters) {
    Filter filter;
    filter.key = base::find_string(entry.as_object(), "Key").value_or("");
    if (filter.key.empty()) throw aws::ApiError(400, "InvalidParameterException", "Invalid filter key");
    const json::array* values = base::find_array(entry.as_object(), "Values");
    if (!values || values->empty())
      throw aws::ApiError(400, "InvalidParameterException", "Invalid filter values for key: " + filter.key);
    for (const json::value& value : *values) {
      std::string_view text = base::view(value.as_string());
      const bool negated = text.starts_with('!');
      filter.values.push_back({std::string(text.substr(negated ? 1 : 0)), negated});
    }
    read.push_back(std::move(filter));
  }
  return [read = std::move(read), region](const secrets::Secret& secret) {
    return std::all_of(read.begin(), read.end(), [&](const Filter& filter) {
      return std::any_of(filter.values.begin(), filter.values.end(), [&](const Wanted& wanted) {
        return matches(secret, filter.key, wanted.text, region) != wanted.negated;
      });
    });
  };
}

}  // namespace millrace::services
