#include "base/time.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace millrace::base {
namespace {

constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Takes exactly `digits` decimal digits from the front of `text`; false when they are not there.
bool take_number(std::string_view& text, size_t digits, int64_t& out) {
  if (text.size() < digits) return false;
  out = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<TimeMs> assemble(int64_t y, int64_t mo, int64_t d, int64_t h, int64_t mi, int64_t s) {
  if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 60) return std::nullopt;
  int64_t days = days_from_civil(y, static_cast<unsigned>(mo), static_cast<unsigned>(d));
  Civil check = to_civil(days * 86'400'000);
  if (check.day != d || check.month != mo) return std::nullopt;  // 31 February
  return ((days * 24 + h) * 60 + mi) * 60'000 + s * 1000;
}

}  // namespace

TimeMs SystemClock::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Howard Hinnant's well-known calendar arithmetic: years start in March so that the leap day comes last.
int64_t days_from_civil(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  auto year_of_era = static_cast<unsigned>(year - era * 400);
  unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<int64_t>(day_of_era) - 719468;
}

Civil to_civil(TimeMs time) {
  int64_t days = time / 86'400'000;
  int64_t rest = time % 86'400'000;
  if (rest < 0) {
    rest += 86'400'000;
    --days;
  }
  Civil c{};
  c.weekday = static_cast<unsigned>(((days % 7) + 11) % 7);
  int64_t z = days + 719468;
  int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  auto day_of_era = static_cast<unsigned>(z - era * 146097);
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned mp = (5 * day_of_year + 2) / 153;
  c.day = day_of_year - (153 * mp + 2) / 5 + 1;
  c.month = mp < 10 ? mp + 3 : mp - 9;
  c.year = static_cast<int64_t>(year_of_era) + era * 400 + (c.month <= 2);
  c.ms = static_cast<unsigned>(rest % 1000);
  rest /= 1000;
  c.second = static_cast<unsigned>(rest % 60);
  c.minute = static_cast<unsigned>(rest / 60 % 60);
  c.hour = static_cast<unsigned>(rest / 3600);
  return c;
}

std::string iso8601(TimeMs time, bool with_ms) {
  Civil c = to_civil(time);
  std::string s =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second);
  if (with_ms) s += fmt::format(".{:03}", c.ms);
  return s + "Z";
}

std::string amz_date(TimeMs time) {
  Civil c = to_civil(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

std::string http_date(TimeMs time) {
  Civil c = to_civil(time);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[c.weekday], c.day,
                     kMonths[c.month - 1], c.year, c.hour, c.minute, c.second);
}

std::optional<TimeMs> parse_iso8601(std::string_view t) {
  int64_t y, mo, d, h = 0, mi = 0, s = 0;
  if (!take_number(t, 4, y) || !take_char(t, '-') || !take_number(t, 2, mo) || !take_char(t, '-') ||
      !take_number(t, 2, d))
    return std::nullopt;
  int64_t ms = 0, offset_min = 0;
  if (!t.empty()) {
    if ((!take_char(t, 'T') && !take_char(t, 't') && !take_char(t, ' ')) || !take_number(t, 2, h) ||
        !take_char(t, ':') || !take_number(t, 2, mi))
      return std::nullopt;
    if (take_char(t, ':') && !take_number(t, 2, s)) return std::nullopt;
    if (take_char(t, '.')) {
      int64_t scale = 100;
      bool any = false;
      while (!t.empty() && t.front() >= '0' && t.front() <= '9') {
        ms += (t.front() - '0') * scale;
        scale /= 10;
        any = true;
        t.remove_prefix(1);
      }
      if (!any) return std::nullopt;
    }
    if (!take_char(t, 'Z') && !take_char(t, 'z') && !t.empty()) {
      bool minus = t.front() == '-';
      if (!minus && t.front() != '+') return std::nullopt;
      t.remove_prefix(1);
      int64_t oh, om = 0;
      if (!take_number(t, 2, oh)) return std::nullopt;
      take_char(t, ':');
      if (!t.empty() && !take_number(t, 2, om)) return std::nullopt;
      offset_min = (oh * 60 + om) * (minus ? -1 : 1);
    }
    if (!t.empty()) return std::nullopt;
  }
  std::optional<TimeMs> base = assemble(y, mo, d, h, mi, s);
  if (!base) return std::nullopt;
  return *base + ms - offset_min * 60'000;
}

std::optional<TimeMs> parse_amz_date(std::string_view t) {
  int64_t y, mo, d, h, mi, s;
  if (!take_number(t, 4, y) || !take_number(t, 2, mo) || !take_number(t, 2, d) || !take_char(t, 'T') ||
      !take_number(t, 2, h) || !take_number(t, 2, mi) || !take_number(t, 2, s) || !take_char(t, 'Z') ||
      !t.empty())
    return std::nullopt;
  return assemble(y, mo, d, h, mi, s);
}

std::optional<TimeMs> parse_http_date(std::string_view t) {
  if (t.size() != 29 || t.substr(3, 2) != ", " || t.substr(25) != " GMT") return std::nullopt;
  t.remove_prefix(5);
  int64_t y, d, h, mi, s;
  if (!take_number(t, 2, d) || !take_char(t, ' ')) return std::nullopt;
  int64_t month = 0;
  for (size_t i = 0; i < kMonths.size(); ++i)
    if (t.substr(0, 3) == kMonths[i]) month = static_cast<int64_t>(i) + 1;
  t.remove_prefix(3);
  if (month == 0 || !take_char(t, ' ') || !take_number(t, 4, y) || !take_char(t, ' ') ||
      !take_number(t, 2, h) || !take_char(t, ':') || !take_number(t, 2, mi) || !take_char(t, ':') ||
      !take_number(t, 2, s))
    return std::nullopt;
  return assemble(y, month, d, h, mi, s);
}

}  // namespace millrace::base
