// Months and days as a job asks for them: half-open, in UTC.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::stac {

struct Day {
  int year = 1970;
  unsigned month = 1, day = 1;
  auto operator<=>(const Day&) const = default;

  int64_t begin_us() const;
  int64_t end_us() const;  // the next midnight, which is no longer of this day
  bool has(int64_t time_us) const { return time_us >= begin_us() && time_us < end_us(); }
  std::string text() const;  // "2024-06-01"
  std::string window(
      std::string_view separator) const;  // from midnight to midnight: "2024-06-01T00:00:00Z,2024-06-02T…"
};

struct Month {
  int year = 1970;
  unsigned month = 1;
  auto operator<=>(const Month&) const = default;

  uint32_t number() const { return static_cast<uint32_t>(year) * 100 + month; }  // 202406
  std::string text() const;                                                      // "2024-06"
  std::vector<Day> days() const;
  Month next() const { return month == 12 ? Month{year + 1, 1} : Month{year, month + 1}; }
};

// "202406" or "2024-06", years 1900 to 2999. Throws UsageError.
Month parse_month(std::string_view text);
// "20240601" or "2024-06-01". Throws UsageError.
Day parse_day(std::string_view text);
// That of a time; which must be in the years 0 to 9999.
Month month_of(int64_t time_us);
Month month_of_number(uint32_t number);
// Both ends included. Throws UsageError when they are the wrong way round or more than 2,400 months apart.
std::vector<Month> months_between(Month from, Month to);

}  // namespace millrace::stac
