#include "http/message.h"

#include <algorithm>

#include "base/strings.h"

namespace millrace::http {

void Headers::set(std::string_view name, std::string value) {
  auto matches = [&](const Field& field) { return base::equals_ignore_case(field.first, name); };
  auto first = std::find_if(fields_.begin(), fields_.end(), matches);
  if (first == fields_.end()) {
    fields_.emplace_back(std::string(name), std::move(value));
    return;
  }
  first->second = std::move(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), matches), fields_.end());
}

std::string_view Headers::get(std::string_view name) const {
  for (const Field& field : fields_)
    if (base::equals_ignore_case(field.first, name)) return field.second;
  return {};
}

bool Headers::has(std::string_view name) const {
  for (const Field& field : fields_)
    if (base::equals_ignore_case(field.first, name)) return true;
  return false;
}

}  // namespace millrace::http
