// Time zones of the IANA database as the system has them installed (TZif files, RFC 8536).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::events {

// Immutable; thread-safe. Times are seconds; "local" is what the clock on the wall shows, as if it were UTC.
class TimeZone {
 public:
  // "Europe/Berlin". Throws UsageError for a name that is none, NotFoundError when the database does not have
  // it and CorruptError for a file that is no TZif. The folder is $TZDIR or /usr/share/zoneinfo; UTC needs no
  // file.
  static std::shared_ptr<const TimeZone> load(const std::string& name);
  static std::shared_ptr<const TimeZone> utc();
  // From the bytes of a TZif file.
  static std::shared_ptr<const TimeZone> parse(std::string_view file);

  // Seconds east of UTC at that instant.
  int32_t offset_at(int64_t utc) const;
  // The first instant at which the clock shows `local`; nothing when it never does (clocks set forward).
  std::optional<int64_t> to_utc(int64_t local) const;

 private:
  struct Transition {
    int64_t at;
    int32_t offset;
  };
  // When clocks change after the last transition, every year.
  struct YearlyDate {
    enum class Kind { kMonthWeekday, kJulian, kDay } kind = Kind::kDay;
    int month = 0, week = 0, weekday = 0, day = 0;
    int32_t seconds = 0;  // of local time, after midnight; may be negative or beyond a day
  };
  struct Rule {
    int32_t standard = 0, summer = 0;
    bool has_summer = false;
    YearlyDate begin, end;
  };
  class Reader;
  class RuleReader;

  static int64_t instant(const YearlyDate& date, int64_t year, int32_t offset);
  int32_t offset_by_rule(int64_t utc) const;

  int32_t first_offset_ = 0;
  std::vector<Transition> transitions_;
  std::optional<Rule> rule_;
};

}  // namespace millrace::events
