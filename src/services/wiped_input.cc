#include "services/wiped_input.h"

#include <sodium.h>

#include <string>

namespace millrace::services {

namespace json = base::json;

std::optional<secrets::Plaintext> take_text(json::object& input, std::string_view member) {
  json::value* value = input.if_contains(member);
  if (!value || !value->is_string()) return std::nullopt;
  secrets::Plaintext taken{std::string(base::view(value->get_string()))};
  wipe_text(*value);
  input.erase(member);
  return taken;
}

void wipe_text(json::value& value) {
  if (value.is_string()) {
    json::string& text = value.get_string();
    if (!text.empty()) sodium_memzero(text.data(), text.size());
  } else if (value.is_array()) {
    for (json::value& element : value.get_array()) wipe_text(element);
  } else if (value.is_object()) {
    for (auto& member : value.get_object()) wipe_text(member.value());
  }
}

}  // namespace millrace::services
