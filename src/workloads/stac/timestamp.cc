#include "workloads/stac/timestamp.h"

#include <fmt/format.h>

#include "base/time.h"

namespace millrace::stac {
namespace {

constexpr int64_t kSecond = 1'000'000, kDay = 86'400 * kSecond;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// `digits` of them at `at`; -1 when there are not.
int number_at(std::string_view text, size_t at, size_t digits) {
  if (at + digits > text.size()) return -1;
  int value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (!is_digit(text[i])) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

int days_in(int year, int month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

}  // namespace

std::optional<int64_t> parse_time_us(std::string_view text) {
  int year = number_at(text, 0, 4), month = number_at(text, 5, 2), day = number_at(text, 8, 2);
  int hour = number_at(text, 11, 2), minute = number_at(text, 14, 2), second = number_at(text, 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour < 0 || hour > 23 ||
      minute < 0 || minute > 59 || second < 0 || second > 60 || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  size_t at = 19;
  int64_t fraction = 0;
  if (at < text.size() && (text[at] == '.' || text[at] == ',')) {
    int64_t unit = kSecond / 10;
    size_t first = ++at;
    for (; at < text.size() && is_digit(text[at]); ++at, unit /= 10) fraction += unit * (text[at] - '0');
    if (at == first) return std::nullopt;
  }
  int64_t offset_minutes = 0;
  std::string_view zone = text.substr(at);
  if (!zone.empty() && zone != "Z" && zone != "z") {
    int hours = number_at(zone, 1, 2);
    bool colon = zone.size() > 3 && zone[3] == ':';
    int minutes = zone.size() == 3 ? 0 : number_at(zone, colon ? 4 : 3, 2);
    size_t length = zone.size() == 3 ? 3 : colon ? 6 : 5;
    if ((zone[0] != '+' && zone[0] != '-') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 ||
        zone.size() != length)
      return std::nullopt;
    offset_minutes = (zone[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
  }
  int64_t days = base::days_from_civil(year, static_cast<unsigned>(month), static_cast<unsigned>(day));
  // A leap second counts as the one before it ends: there is no other place for it.
  if (second == 60) second = 59, fraction = kSecond - 1;
  return days * kDay +
         (int64_t{hour} * 3600 + int64_t{minute} * 60 + second - offset_minutes * 60) * kSecond + fraction;
}

std::string time_text(int64_t time_us) {
  int64_t fraction = (time_us % kSecond + kSecond) % kSecond;
  std::string text = base::iso8601((time_us - fraction) / 1000);
  if (fraction == 0) return text;
  text.pop_back();
  return fraction % 1000 == 0 ? fmt::format("{}.{:03}Z", text, fraction / 1000)
                              : fmt::format("{}.{:06}Z", text, fraction);
}

}  // namespace millrace::stac
