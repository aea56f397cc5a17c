#include "services/parameter_filters.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "aws/api_error.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using secrets::Parameter;

struct Filter {
  std::string key, option;
  std::vector<std::string> values;
};

bool compare(std::string_view text, std::string_view option, std::string_view value) {
  if (option == "BeginsWith") return text.starts_with(value);
  if (option == "Contains") return text.find(value) != std::string_view::npos;
  return text == value;
}

// `path` "/a" is the way to "/a/b", and with "Recursive" to "/a/b/c".
bool is_under(std::string_view name, std::string_view path, bool recursive) {
  if (path.ends_with('/')) path.remove_suffix(1);
  if (!name.starts_with('/')) return path.empty();
  if (!name.starts_with(path) || name.size() <= path.size() || name[path.size()] != '/') return false;
  return recursive || name.find('/', path.size() + 1) == std::string_view::npos;
}

bool passes(const Parameter& parameter, const Filter& filter,
            const std::function<json::array(const Parameter&)>& tags) {
  auto any = [&](std::string_view text) {
    return std::any_of(filter.values.begin(), filter.values.end(),
                       [&](const std::string& value) { return compare(text, filter.option, value); });
  };
  if (filter.key == "Name") {
    // "/a" and "a" name the same where names are searched.
    return any(parameter.name) || any("/" + parameter.name);
  }
  if (filter.key == "Path")
    return std::any_of(filter.values.begin(), filter.values.end(), [&](const std::string& path) {
      return is_under(parameter.name, path, filter.option == "Recursive");
    });
  if (filter.key == "Label") return std::any_of(parameter.labels.begin(), parameter.labels.end(), any);
  if (filter.key.starts_with("tag:")) {
    const std::string_view wanted = std::string_view(filter.key).substr(4);
    const json::array all = tags(parameter);
    return std::any_of(all.begin(), all.end(), [&](const json::value& value) {
      const json::object& tag = value.as_object();
      return base::find_string(tag, "Key") == wanted &&
             (filter.values.empty() || any(base::find_string(tag, "Value").value_or("")));
    });
  }
  return any(base::find_string(parameter.body, filter.key).value_or(""));
}

}  // namespace

std::function<bool(const Parameter&)> parameter_filter(const json::array& filters, bool of_path,
                                                       std::function<json::array(const Parameter&)> tags) {
  std::vector<Filter> read;
  for (const json::value& entry : filters) {
    const json::object& object = entry.as_object();
    Filter filter;
    filter.key = base::find_string(object, "Key").value_or("");
    filter.option = base::find_string(object, "Option").value_or("");
    if (const json::array* values = base::find_array(object, "Values"))
      for (const json::value& value : *values) filter.values.emplace_back(base::view(value.as_string()));
    const bool allowed = of_path ? filter.key == "Type" || filter.key == "KeyId" || filter.key == "Label"
                                 : filter.key != "Label";
    if (!allowed)
      throw aws::ApiError(400, "InvalidFilterKey",
                          "The following filter key is not valid: " + filter.key + ".");
    if (filter.values.empty() && !filter.key.starts_with("tag:"))
      throw aws::ApiError(400, "InvalidFilterValue",
                          "The following filter values are missing : null for filter key " + filter.key);
    if (filter.option.empty()) filter.option = filter.key == "Path" ? "OneLevel" : "Equals";
    const bool known = filter.key == "Path" ? filter.option == "OneLevel" || filter.option == "Recursive"
                                            : filter.option == "Equals" || filter.option == "BeginsWith" ||
                                                  (filter.option == "Contains" && filter.key == "Name");
    if (!known)
      throw aws::ApiError(400, "InvalidFilterOption",
                          "The following filter option is not valid: " + filter.option + ".");
    read.push_back(std::move(filter));
  }
  return [read = std::move(read), tags = std::move(tags)](const Parameter& parameter) {
    return std::all_of(read.begin(), read.end(),
                       [&](const Filter& filter) { return passes(parameter, filter, tags); });
  };
}

}  // namespace millrace::services
