#include "events/comparable_number.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "base/strings.h"

namespace millrace::events {
namespace {

// A decimal number as its significant digits, without zeros at either end, and the power of ten of the last
// one.
struct Decimal {
  std::string digits;
  int64_t exponent = 0;
  bool operator==(const Decimal&) const = default;
};

std::optional<Decimal> decimal(std::string_view text) {
  Decimal d;
  size_t i = 0;
  if (i < text.size() && text[i] == '-') ++i;
  bool point = false;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (point) return std::nullopt;
      point = true;
    } else if (c >= '0' && c <= '9') {
      if (c != '0' || !d.digits.empty()) d.digits.push_back(c);
      if (point) --d.exponent;
    } else {
      break;
    }
  }
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
    ++i;
    if (i < text.size() && text[i] == '+') ++i;
    const auto exponent = base::parse_number<int32_t>(text.substr(i));
    if (!exponent) return std::nullopt;
    d.exponent += *exponent;
  }
  while (!d.digits.empty() && d.digits.back() == '0') {
    d.digits.pop_back();
    ++d.exponent;
  }
  if (d.digits.empty()) d.exponent = 0;
  return d;
}

}  // namespace

std::optional<double> comparable_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  // Up to 15 digits every integer is a double.
  if (text.size() <= 15) {
    const bool negative = text[0] == '-';
    int64_t value = 0;
    size_t i = negative ? 1 : 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) value = value * 10 + (text[i] - '0');
    if (i == text.size() && i > (negative ? 1U : 0U)) return static_cast<double>(negative ? -value : value);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  const auto written = decimal(text);
  if (!written) return std::nullopt;
  if (written->digits.empty()) return 0.0;
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  // A short number always comes back from its double: 15 digits are what a normal double keeps.
  if (written->digits.size() <= 15 && std::fabs(value) > 1e-290) return value;
  std::array<char, 40> buffer{};
  const auto shortest = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  const auto held = decimal({buffer.data(), static_cast<size_t>(shortest.ptr - buffer.data())});
  if (!held || *held != *written) return std::nullopt;
  return value;
}

}  // namespace millrace::events
