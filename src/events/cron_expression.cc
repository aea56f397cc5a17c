#include <algorithm>
#include <array>
#include <vector>

#include "base/strings.h"
#include "events/schedule.h"

namespace millrace::events {
namespace {

constexpr int64_t kDay = 86400;

// What one field may hold.
struct Field {
  int min, max;
  std::array<const char*, 12> names{};
  int first_name = 0;  // the number of names[0]
};
constexpr Field kMinutes{0, 59, {}, 0};
constexpr Field kHours{0, 23, {}, 0};
constexpr Field kDays{1, 31, {}, 0};
constexpr Field kMonths{
    1, 12, {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}, 1};
constexpr Field kWeekdays{1, 7, {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, 1};
constexpr Field kYears{1970, 2199, {}, 0};

std::optional<int> number(std::string_view text) {
  if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return base::parse_number<int>(text);
}

std::optional<int> value_of(std::string_view text, const Field& field) {
  for (size_t i = 0; i < field.names.size() && field.names[i]; ++i) {
    if (base::equals_ignore_case(text, field.names[i])) return field.first_name + static_cast<int>(i);
  }
  const auto value = number(text);
  if (!value || *value < field.min || *value > field.max) return std::nullopt;
  return value;
}

// One of "5", "5-10", "*", each maybe with "/2". A range that ends before it begins goes around.
std::optional<std::vector<int>> values_of(std::string_view text, const Field& field) {
  int step = 1;
  bool stepped = false;
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto value = number(text.substr(slash + 1));
    if (!value || *value < 1 || *value > field.max) return std::nullopt;
    step = *value;
    stepped = true;
    text = text.substr(0, slash);
  }
  int from = field.min, to = field.max;
  if (text != "*") {
    const size_t dash = text.find('-');
    const auto first = value_of(text.substr(0, dash), field);
    if (!first) return std::nullopt;
    from = *first;
    if (dash != std::string_view::npos) {
      const auto last = value_of(text.substr(dash + 1), field);
      if (!last) return std::nullopt;
      to = *last;
    } else if (!stepped) {
      to = from;
    }
  }
  const int span = field.max - field.min + 1;
  if (to < from) {
    if (span > 60) return std::nullopt;  // years do not go around
    to += span;
  }
  std::vector<int> values;
  for (int v = from; v <= to; v += step) values.push_back(field.min + (v - field.min) % span);
  return values;
}

template <typename Set>
bool read_list(std::string_view text, const Field& field, Set&& set) {
  for (const std::string_view part : base::split(text, ',')) {
    const auto values = values_of(part, field);
    if (!values) return false;
    for (const int value : *values) set(value);
  }
  return true;
}

template <typename Bits>
bool read_bits(std::string_view text, const Field& field, Bits* bits) {
  return read_list(text, field, [&](int value) { *bits |= Bits{1} << value; });
}

bool is_letter(char c, char upper) { return (c & ~0x20) == upper; }

unsigned days_in(int64_t year, unsigned month) {
  const int64_t next =
      month == 12 ? base::days_from_civil(year + 1, 1, 1) : base::days_from_civil(year, month + 1, 1);
  return static_cast<unsigned>(next - base::days_from_civil(year, month, 1));
}

}  // namespace

std::optional<CronExpression> CronExpression::parse(std::string_view text) {
  std::vector<std::string_view> fields;
  for (const std::string_view field : base::split(text, ' ')) {
    if (!field.empty()) fields.push_back(field);
  }
  if (fields.size() != 6) return std::nullopt;
  CronExpression cron;
  if (!read_bits(fields[0], kMinutes, &cron.minutes_) || !read_bits(fields[1], kHours, &cron.hours_) ||
      !read_bits(fields[3], kMonths, &cron.months_)) {
    return std::nullopt;
  }
  if (!read_list(fields[5], kYears,
                 [&](int year) { cron.years_.set(static_cast<size_t>(year - kYearMin)); })) {
    return std::nullopt;
  }
  // One of the two ways to say the day is left open.
  if ((fields[2] == "?") == (fields[4] == "?")) return std::nullopt;
  cron.by_weekday_ = fields[2] == "?";
  const bool days = cron.by_weekday_ ? cron.parse_day_of_week(fields[4]) : cron.parse_day_of_month(fields[2]);
  if (!days) return std::nullopt;
  return cron;
}

bool CronExpression::parse_day_of_month(std::string_view text) {
  if (is_letter(text[0], 'L')) {
    if (text.size() == 1) {
      from_last_ = 0;
      return true;
    }
    if (text.size() == 2 && is_letter(text[1], 'W')) {
      near_last_ = true;
      return true;
    }
    const auto days = text[1] == '-' ? number(text.substr(2)) : std::nullopt;
    if (!days || *days > 30) return false;
    from_last_ = *days;
    return true;
  }
  if (is_letter(text.back(), 'W')) {
    const auto day = value_of(text.substr(0, text.size() - 1), kDays);
    if (!day) return false;
    near_ = *day;
    return true;
  }
  return read_bits(text, kDays, &days_);
}

bool CronExpression::parse_day_of_week(std::string_view text) {
  if (text.size() == 1 && is_letter(text[0], 'L')) {
    weekdays_ = 1U << 7;
    return true;
  }
  if (const size_t hash = text.find('#'); hash != std::string_view::npos) {
    const auto day = value_of(text.substr(0, hash), kWeekdays);
    const auto nth = number(text.substr(hash + 1));
    if (!day || !nth || *nth < 1 || *nth > 5) return false;
    weekdays_ = 1U << *day;
    nth_ = *nth;
    return true;
  }
  if (is_letter(text.back(), 'L')) {
    const auto day = value_of(text.substr(0, text.size() - 1), kWeekdays);
    if (!day) return false;
    last_weekday_ = *day;
    return true;
  }
  return read_bits(text, kWeekdays, &weekdays_);
}

// The days of that month that fit, bit 1 for the first.
uint32_t CronExpression::days_of(int64_t year, unsigned month) const {
  const unsigned last = days_in(year, month);
  const uint32_t all = static_cast<uint32_t>((1ULL << (last + 1)) - 2);
  const int64_t first = base::days_from_civil(year, month, 1);
  // 1 Sunday to 7 Saturday; 1970-01-01 was a Thursday.
  const auto weekday = [&](unsigned day) { return static_cast<unsigned>((first + day - 1 + 4) % 7 + 1); };
  const auto is_work = [&](unsigned day) { return weekday(day) != 1 && weekday(day) != 7; };
  if (near_last_) {
    unsigned day = last;
    while (!is_work(day)) --day;
    return 1U << day;
  }
  if (near_ > 0) {
    const auto day = static_cast<unsigned>(near_);
    if (day > last) return 0;
    // Saturday to Friday, Sunday to Monday, but never out of the month.
    for (const int away : {0, -1, 1, -2, 2}) {
      const int candidate = near_ + away;
      if (candidate >= 1 && candidate <= static_cast<int>(last) &&
          is_work(static_cast<unsigned>(candidate))) {
        return 1U << candidate;
      }
    }
    return 0;
  }
  if (from_last_ >= 0) {
    return static_cast<unsigned>(from_last_) < last ? 1U << (last - static_cast<unsigned>(from_last_)) : 0;
  }
  if (!by_weekday_) return days_ & all;
  uint32_t days = 0;
  for (unsigned day = 1; day <= last; ++day) {
    const unsigned w = weekday(day);
    const bool fits = last_weekday_ > 0
                          ? static_cast<int>(w) == last_weekday_ && day + 7 > last
                          : (weekdays_ >> w & 1) && (nth_ == 0 || static_cast<int>((day + 6) / 7) == nth_);
    if (fits) days |= 1U << day;
  }
  return days;
}

std::optional<int64_t> CronExpression::next(int64_t local) const {
  constexpr int64_t kFirst = 0;  // 1970
  local = std::max(local, kFirst - 1);
  // From the next whole minute on.
  const int64_t from = (local / 60 + (local >= 0 ? 1 : 0)) * 60;
  const base::Civil start = base::to_civil(from * 1000);
  for (int64_t year = start.year; year <= kYearMax; ++year) {
    if (!years_.test(static_cast<size_t>(year - kYearMin))) continue;
    for (unsigned month = year == start.year ? start.month : 1; month <= 12; ++month) {
      if (!(months_ >> month & 1)) continue;
      const bool first_month = year == start.year && month == start.month;
      for (uint32_t days = days_of(year, month); days != 0; days &= days - 1) {
        const auto day = static_cast<unsigned>(__builtin_ctz(days));
        if (first_month && day < start.day) continue;
        const bool first_day = first_month && day == start.day;
        const int64_t midnight = base::days_from_civil(year, month, day) * kDay;
        for (unsigned hour = first_day ? start.hour : 0; hour < 24; ++hour) {
          if (!(hours_ >> hour & 1)) continue;
          const unsigned least = first_day && hour == start.hour ? start.minute : 0;
          const uint64_t minutes = minutes_ >> least << least;
          if (minutes != 0) return midnight + hour * 3600 + __builtin_ctzll(minutes) * 60;
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace millrace::events
