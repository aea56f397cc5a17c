#include "base/json.h"

#include <boost/json/stream_parser.hpp>
#include <cmath>

#include "base/error.h"

namespace millrace::base {

json::value parse_json(std::string_view text, size_t depth_max) {
  json::parse_options options;
  options.max_depth = depth_max;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  size_t used = parser.write_some(text.data(), text.size(), error);
  if (error) throw CorruptError("not JSON at byte " + std::to_string(used) + ": " + error.message());
  size_t rest = text.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos)
    throw CorruptError("not JSON at byte " + std::to_string(rest) + ": text after the value");
  if (!error) parser.finish(error);
  if (error) throw CorruptError("not JSON: it ends at byte " + std::to_string(used) + " inside a value");
  return parser.release();
}

const json::value* find(const json::object& object, std::string_view name) {
  auto it = object.find(name);
  return it == object.end() ? nullptr : &it->value();
}

std::optional<std::string_view> find_string(const json::object& object, std::string_view name) {
  const json::value* v = find(object, name);
  if (!v || !v->is_string()) return std::nullopt;
  return view(v->get_string());
}

std::optional<int64_t> find_int(const json::object& object, std::string_view name) {
  const json::value* v = find(object, name);
  if (!v) return std::nullopt;
  if (v->is_int64()) return v->get_int64();
  if (v->is_double() && std::floor(v->get_double()) == v->get_double() && std::abs(v->get_double()) < 9e15)
    return static_cast<int64_t>(v->get_double());
  return std::nullopt;
}

std::optional<bool> find_bool(const json::object& object, std::string_view name) {
  const json::value* v = find(object, name);
  if (!v || !v->is_bool()) return std::nullopt;
  return v->get_bool();
}

const json::object* find_object(const json::object& object, std::string_view name) {
  const json::value* v = find(object, name);
  return v ? v->if_object() : nullptr;
}

const json::array* find_array(const json::object& object, std::string_view name) {
  const json::value* v = find(object, name);
  return v ? v->if_array() : nullptr;
}

}  // namespace millrace::base
