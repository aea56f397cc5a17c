// Boost.JSON under a short name, with the few readers that everybody needs.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/fwd.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {

namespace json = boost::json;

// Throws CorruptError with the offset where `text` stops being JSON (RFC 8259). At most `depth_max` levels.
json::value parse_json(std::string_view text, size_t depth_max = 64);

// The member when it is there and of that type, else nothing (numbers: any that fits).
const json::value* find(const json::object& object, std::string_view name);
std::optional<std::string_view> find_string(const json::object& object, std::string_view name);
std::optional<int64_t> find_int(const json::object& object, std::string_view name);
std::optional<bool> find_bool(const json::object& object, std::string_view name);
const json::object* find_object(const json::object& object, std::string_view name);
const json::array* find_array(const json::object& object, std::string_view name);

// As a Boost string_view converts to ours.
inline std::string_view view(const json::string& s) { return {s.data(), s.size()}; }

}  // namespace millrace::base
