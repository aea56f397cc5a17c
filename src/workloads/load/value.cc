#include "workloads/load/value.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/hash.h"
#include "base/strings.h"
#include "base/time.h"
#include "workloads/load/json_check.h"

namespace millrace::load {
namespace {

constexpr int64_t kDigitsMax = 100'000;  // of a number after its exponent was worked in

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool take_digits(std::string_view text, size_t at, size_t count, unsigned& number) {
  if (text.size() < at + count) return false;
  number = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (!is_digit(text[i])) return false;
    number = number * 10 + static_cast<unsigned>(text[i] - '0');
  }
  return true;
}

bool days_of(std::string_view text, int64_t& days) {
  unsigned year = 0, month = 0, day = 0;
  if (!take_digits(text, 0, 4, year) || text.size() < 10 || text[4] != '-' || text[7] != '-' ||
      !take_digits(text, 5, 2, month) || !take_digits(text, 8, 2, day))
    return false;
  static constexpr std::array<unsigned char, 13> kDays = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year == 0 || month < 1 || month > 12 || day < 1) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day > kDays[month] + (month == 2 && leap ? 1U : 0U)) return false;
  days = base::days_from_civil(year, month, day);
  return true;
}

const char* parse_integer(std::string_view text, int64_t least, int64_t most, Value& value) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value.integer);
  if (end != text.data() + text.size() || text.empty() || error == std::errc::invalid_argument) {
    // 5.00 is a whole number to people and to spreadsheets.
    Decimal decimal;
    if (!parse_decimal(text, decimal) || decimal.has_exponent) return "not a whole number";
    if (!decimal.fraction.empty()) return "not a whole number: it has decimals";
    std::string digits = (decimal.negative ? "-" : "") + std::string(decimal.whole);
    if (decimal.whole.empty()) digits = "0";
    const auto number = base::parse_number<int64_t>(digits);
    if (!number) return "too large for the column";
    value.integer = *number;
  } else if (error != std::errc()) {
    return "too large for the column";
  }
  return value.integer < least || value.integer > most ? "too large for the column" : nullptr;
}

const char* parse_numeric(const Column& column, std::string_view text, Value& value) {
  Decimal decimal;
  if (!parse_decimal(text, decimal)) {
    if (base::equals_ignore_case(text, "nan")) {
      value.text = "NaN";
      return nullptr;
    }
    return "not a decimal number";
  }
  if (decimal.has_exponent) {
    if (decimal.exponent > kDigitsMax || decimal.exponent < -kDigitsMax) return "too large for the column";
    std::string digits = std::string(decimal.whole) + std::string(decimal.fraction);
    int64_t point = static_cast<int64_t>(decimal.whole.size()) + decimal.exponent;
    if (point < 0) digits.insert(0, static_cast<size_t>(-point), '0');
    if (point < 0) point = 0;
    if (point > static_cast<int64_t>(digits.size()))
      digits.append(static_cast<size_t>(point) - digits.size(), '0');
    std::string plain =
        digits.substr(0, static_cast<size_t>(point)) + "." + digits.substr(static_cast<size_t>(point));
    value.scratch = (decimal.negative ? "-" : "") + plain;
    return parse_numeric(column, value.scratch, value);
  }
  if (column.precision > 0) {
    if (static_cast<int>(decimal.fraction.size()) > std::max(column.scale, 0))
      return "would be rounded: more decimals than the column keeps";
    if (column.scale < 0) {
      size_t zeros = 0;
      while (zeros < decimal.whole.size() && decimal.whole[decimal.whole.size() - 1 - zeros] == '0') ++zeros;
      if (!decimal.whole.empty() && zeros < static_cast<size_t>(-column.scale))
        return "would be rounded: more digits than the column keeps";
    }
    if (static_cast<int>(decimal.whole.size()) > column.precision - column.scale)
      return "too large for the column";
  }
  value.text = text;
  return nullptr;
}

const char* parse_real(std::string_view text, bool is_float, Value& value) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value.real);
  if (text.empty() || end != text.data() + text.size() || error == std::errc::invalid_argument)
    return "not a number";
  if (error != std::errc()) return "too large for the column";
  if (is_float && std::isfinite(value.real) && std::abs(value.real) > std::numeric_limits<float>::max())
    return "too large for the column";
  return nullptr;
}

const char* parse_bool(std::string_view text, Value& value) {
  for (const char* word : {"true", "t", "yes", "y", "on", "1"})
    if (base::equals_ignore_case(text, word)) {
      value.integer = 1;
      return nullptr;
    }
  for (const char* word : {"false", "f", "no", "n", "off", "0"})
    if (base::equals_ignore_case(text, word)) {
      value.integer = 0;
      return nullptr;
    }
  return "neither true nor false";
}

const char* parse_text(const Column& column, std::string_view text, Value& value) {
  if (!is_text(text))
    return text.find('\0') != std::string_view::npos ? "text with a NUL byte" : "not well-formed UTF-8";
  if (column.length_max && text.size() > column.length_max && base::utf8_length(text) > column.length_max)
    return "longer than the column";
  value.text = text;
  return nullptr;
}

}  // namespace

bool is_text(std::string_view text) {
  size_t at = 0;
  // Eight at a time: no byte above 0x7f, and none that is zero (a byte of `word - ones` borrows).
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if ((((word - 0x0101010101010101ull) | word) & 0x8080808080808080ull) != 0) break;
  }
  for (; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte == 0) return false;
    if (byte >= 0x80) return text.find('\0', at) == std::string_view::npos && base::is_utf8(text.substr(at));
  }
  return true;
}

bool parse_date(std::string_view text, int64_t& days) { return text.size() == 10 && days_of(text, days); }

bool parse_time(std::string_view text, int64_t& microseconds, bool& zoned) {
  int64_t days = 0;
  unsigned hour = 0, minute = 0, second = 0;
  zoned = false;
  if (text.size() < 16 || !days_of(text, days) || (text[10] != 'T' && text[10] != ' ' && text[10] != 't') ||
      !take_digits(text, 11, 2, hour) || text[13] != ':' || !take_digits(text, 14, 2, minute))
    return false;
  size_t at = 16;
  int64_t fraction = 0;
  if (at < text.size() && text[at] == ':') {
    if (!take_digits(text, 17, 2, second)) return false;
    at = 19;
    if (at < text.size() && (text[at] == '.' || text[at] == ',')) {
      int digits = 0;
      for (++at; at < text.size() && is_digit(text[at]); ++at, ++digits) {
        if (digits < 6) fraction = fraction * 10 + (text[at] - '0');
        if (digits >= 6 && text[at] != '0') return false;  // finer than microseconds: it would be rounded
      }
      if (digits == 0) return false;
      for (; digits < 6; ++digits) fraction *= 10;
    }
  }
  if (hour > 23 || minute > 59 || second > 59) return false;
  int64_t offset_minutes = 0;
  std::string_view zone = text.substr(at);
  if (zone.starts_with(' ')) zone.remove_prefix(1);
  if (zone == "Z" || zone == "z" || zone == "UTC") {
    zoned = true;
  } else if (!zone.empty()) {
    unsigned hours = 0, minutes = 0;
    if ((zone[0] != '+' && zone[0] != '-') || !take_digits(zone, 1, 2, hours)) return false;
    if (zone.size() == 5 && !take_digits(zone, 3, 2, minutes)) return false;
    if (zone.size() == 6 && (zone[3] != ':' || !take_digits(zone, 4, 2, minutes))) return false;
    if ((zone.size() != 3 && zone.size() != 5 && zone.size() != 6) || hours > 15 || minutes > 59)
      return false;
    offset_minutes = static_cast<int64_t>(hours * 60 + minutes) * (zone[0] == '-' ? -1 : 1);
    zoned = true;
  } else if (text.size() != at) {
    return false;
  }
  const int64_t seconds =
      days * 86'400 + static_cast<int64_t>(hour * 3600 + minute * 60 + second) - offset_minutes * 60;
  microseconds = seconds * 1'000'000 + fraction;
  return true;
}

bool parse_uuid(std::string_view text, std::array<unsigned char, 16>& bytes) {
  if (text.size() != 36) return false;
  size_t out = 0;
  for (size_t at = 0; at < 36; ++at) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (text[at] != '-') return false;
      continue;
    }
    const auto nibble = [](char c) -> int {
      if (is_digit(c)) return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    const int high = nibble(text[at]), low = nibble(text[at + 1]);
    if (high < 0 || low < 0) return false;
    bytes[out++] = static_cast<unsigned char>(high * 16 + low);
    ++at;
  }
  return true;
}

bool parse_decimal(std::string_view text, Decimal& decimal) {
  decimal = {};
  if (text.starts_with('-') || text.starts_with('+')) {
    decimal.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  size_t at = 0;
  while (at < text.size() && is_digit(text[at])) ++at;
  decimal.whole = text.substr(0, at);
  if (at < text.size() && text[at] == '.') {
    const size_t begin = ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
    decimal.fraction = text.substr(begin, at - begin);
  }
  if (decimal.whole.empty() && decimal.fraction.empty()) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    std::string_view power = text.substr(at + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    const auto number = base::parse_number<int64_t>(power);
    if (!number || power.size() > 9) return false;
    decimal.exponent = *number;
    decimal.has_exponent = true;
    at = text.size();
  }
  if (at != text.size()) return false;
  decimal.leading_zeros = decimal.whole.size() > 1 && decimal.whole[0] == '0';
  while (!decimal.whole.empty() && decimal.whole.front() == '0') decimal.whole.remove_prefix(1);
  while (!decimal.fraction.empty() && decimal.fraction.back() == '0') decimal.fraction.remove_suffix(1);
  return true;
}

const char* parse_value(const Column& column, std::string_view text, Value& value) {
  if (column.type == Type::kText || column.type == Type::kOther) return parse_text(column, text, value);
  text = trimmed(text);
  switch (column.type) {
    case Type::kBool:
      return parse_bool(text, value);
    case Type::kInt16:
      return parse_integer(text, INT16_MIN, INT16_MAX, value);
    case Type::kInt32:
      return parse_integer(text, INT32_MIN, INT32_MAX, value);
    case Type::kInt64:
      return parse_integer(text, INT64_MIN, INT64_MAX, value);
    case Type::kNumeric:
      return parse_numeric(column, text, value);
    case Type::kFloat:
    case Type::kDouble:
      return parse_real(text, column.type == Type::kFloat, value);
    case Type::kDate: {
      if (parse_date(text, value.integer)) return nullptr;
      bool zoned = false;
      int64_t time = 0;
      return parse_time(text, time, zoned) ? "a time in a column of dates" : "not a date (YYYY-MM-DD)";
    }
    case Type::kTimestamp:
    case Type::kTimestampTz: {
      bool zoned = false;
      if (parse_date(text, value.integer)) {
        value.integer *= 86'400'000'000;
        return nullptr;
      }
      if (!parse_time(text, value.integer, zoned))
        return "not a time (YYYY-MM-DD HH:MM:SS, at most microseconds)";
      if (column.type == Type::kTimestamp && zoned && !text.ends_with('Z') && !text.ends_with('z') &&
          !text.ends_with("UTC") && !text.ends_with("+00") && !text.ends_with("+00:00") &&
          !text.ends_with("+0000"))
        return "has a time zone, which the column would lose";
      return nullptr;
    }
    case Type::kUuid:
      return parse_uuid(text, value.uuid) ? nullptr : "not a UUID";
    case Type::kJson:
    case Type::kJsonb:
      if (!is_text(text) || !is_json(text)) return "not JSON";
      // jsonb keeps strings as text, which has no NUL.
      if (column.type == Type::kJsonb && text.find("\\u0000") != std::string_view::npos)
        return "JSON with \\u0000, which the column cannot hold";
      value.text = text;
      return nullptr;
    case Type::kBytes: {
      auto bytes = text.starts_with("\\x") ? base::unhex(text.substr(2)) : std::nullopt;
      if (!bytes) return "not bytes (\\x and hexadecimal digits)";
      value.scratch = std::move(*bytes);
      value.text = value.scratch;
      return nullptr;
    }
    case Type::kText:
    case Type::kOther:
      break;
  }
  return "text";
}

}  // namespace millrace::load
