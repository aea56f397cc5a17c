#include "aws/scalar.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

constexpr double kTimeMsMax = 253402300799999.0;  // 9999-12-31T23:59:59.999Z
constexpr double kTimeMsMin = -62135596800000.0;  // 0001-01-01T00:00:00Z

std::optional<base::TimeMs> seconds_to_ms(double seconds) {
  double ms = std::round(seconds * 1000);
  if (!(ms >= kTimeMsMin && ms <= kTimeMsMax)) return std::nullopt;
  return static_cast<base::TimeMs>(ms);
}

std::optional<base::TimeMs> timestamp_from_text(TimestampFormat format, std::string_view text) {
  if (format == TimestampFormat::kEpochSeconds) {
    auto seconds = base::parse_number<double>(text);
    return seconds ? seconds_to_ms(*seconds) : std::nullopt;
  }
  // SDKs differ on dates in XML and headers: AWS takes both.
  auto time = base::parse_iso8601(text);
  return time ? time : base::parse_http_date(text);
}

[[noreturn]] void wrong_output(const Member& member, const json::value& value) {
  throw base::InternalError("reply member " + std::string(member.name) + " has " +
                            std::string(json_token(value)) + " where the model has " +
                            std::string(type_name(member.shape->type)));
}

}  // namespace

std::optional<base::TimeMs> epoch_seconds_to_ms(const json::value& value) {
  if (value.is_int64()) {
    int64_t seconds = value.get_int64();
    if (std::abs(static_cast<double>(seconds)) > kTimeMsMax / 1000) return std::nullopt;
    return seconds * 1000;
  }
  if (value.is_double()) return seconds_to_ms(value.get_double());
  return std::nullopt;
}

std::optional<json::value> scalar_from_text(const Member& member, std::string_view text,
                                            const json::storage_ptr& storage) {
  switch (member.shape->type) {
    case ShapeType::kString:
    case ShapeType::kDocument:
      return json::value(json::string_view(text.data(), text.size()), storage);
    case ShapeType::kBlob:
      if (!base::unbase64(text)) return std::nullopt;
      return json::value(json::string_view(text.data(), text.size()), storage);
    case ShapeType::kBoolean:
      if (text == "true" || text == "True") return json::value(true);
      if (text == "false" || text == "False") return json::value(false);
      return std::nullopt;
    case ShapeType::kInteger: {
      auto number = base::parse_number<int32_t>(text);
      return number ? std::optional<json::value>(static_cast<int64_t>(*number)) : std::nullopt;
    }
    case ShapeType::kLong: {
      auto number = base::parse_number<int64_t>(text);
      return number ? std::optional<json::value>(*number) : std::nullopt;
    }
    case ShapeType::kFloat:
    case ShapeType::kDouble: {
      auto number = base::parse_number<double>(text);
      return number && std::isfinite(*number) ? std::optional<json::value>(*number) : std::nullopt;
    }
    case ShapeType::kTimestamp: {
      auto time = timestamp_from_text(member.format, text);
      return time ? std::optional<json::value>(*time) : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::string scalar_to_text(const Member& member, const json::value& value, bool with_ms) {
  switch (member.shape->type) {
    case ShapeType::kString:
    case ShapeType::kBlob:
    case ShapeType::kDocument:
      if (value.is_string()) return std::string(base::view(value.get_string()));
      break;
    case ShapeType::kBoolean:
      if (value.is_bool()) return value.get_bool() ? "true" : "false";
      break;
    case ShapeType::kInteger:
    case ShapeType::kLong:
      if (value.is_int64()) return std::to_string(value.get_int64());
      if (value.is_uint64()) return std::to_string(value.get_uint64());
      break;
    case ShapeType::kFloat:
    case ShapeType::kDouble:
      if (value.is_number()) {
        char buffer[32];
        auto end = std::to_chars(buffer, buffer + sizeof buffer, value.to_number<double>()).ptr;
        return std::string(buffer, end);
      }
      break;
    case ShapeType::kTimestamp: {
      if (!value.is_int64()) break;
      base::TimeMs time = value.get_int64();
      if (member.format == TimestampFormat::kHttpDate) return base::http_date(time);
      if (member.format == TimestampFormat::kIso8601) return base::iso8601(time, with_ms || time % 1000 != 0);
      std::string ms = std::to_string(std::abs(time % 1000));
      std::string whole = (time < 0 && time > -1000 ? "-" : "") + std::to_string(time / 1000);
      return time % 1000 == 0 ? whole : whole + "." + std::string(3 - ms.size(), '0') + ms;
    }
    default:
      break;
  }
  wrong_output(member, value);
}

std::string_view json_token(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "NULL_VALUE";
    case json::kind::bool_:
      return value.get_bool() ? "TRUE_VALUE" : "FALSE_VALUE";
    case json::kind::int64:
    case json::kind::uint64:
      return "NUMBER_VALUE";
    case json::kind::double_:
      return "DECIMAL_VALUE";
    case json::kind::string:
      return "STRING_VALUE";
    case json::kind::array:
      return "START_ARRAY";
    case json::kind::object:
      return "START_OBJECT";
  }
  return "";
}

std::string_view type_name(ShapeType type) {
  static constexpr std::string_view kNames[] = {"Structure", "List",    "Map",       "String",
                                                "Blob",      "Boolean", "Integer",   "Long",
                                                "Float",     "Double",  "Timestamp", "Document"};
  return kNames[static_cast<size_t>(type)];
}

}  // namespace millrace::aws
