// Schedule expressions: cron(...), rate(...) and at(...), and when they fire.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "events/time_zone.h"

namespace millrace::events {

// The six fields of a cron expression. Years are 1970 to 2199.
class CronExpression {
 public:
  // What stands between the brackets of cron(...); nothing when it is not one.
  static std::optional<CronExpression> parse(std::string_view fields);

  // The first minute after `local` (seconds on the wall clock) that fits; nothing when none ever does.
  std::optional<int64_t> next(int64_t local) const;

 private:
  static constexpr int kYearMin = 1970, kYearMax = 2199;
  bool parse_day_of_month(std::string_view text);
  bool parse_day_of_week(std::string_view text);
  uint32_t days_of(int64_t year, unsigned month) const;

  uint64_t minutes_ = 0;
  uint32_t hours_ = 0;
  uint32_t months_ = 0;  // bit 1 is January
  std::bitset<kYearMax - kYearMin + 1> years_;
  // Days of the month (bit 1 is the first) and of the week (bit 1 is Sunday). Only one of the two counts.
  bool by_weekday_ = false;
  uint32_t days_ = 0;
  uint32_t weekdays_ = 0;
  int from_last_ = -1;      // L, L-3: days before the month's last
  int near_ = -1;           // 15W: the working day nearest to it
  bool near_last_ = false;  // LW
  int last_weekday_ = 0;    // 6L
  int nth_ = 0;             // SAT#3, with weekdays_
};

class Schedule {
 public:
  // Whose rules: those of EventBridge rules (UTC, strict plurals, no at) or of EventBridge Scheduler.
  enum class Service { kRules, kScheduler };

  // Throws UsageError with the service's message (ValidationException).
  static Schedule parse(std::string_view expression, Service service,
                        std::shared_ptr<const TimeZone> zone = TimeZone::utc());

  // The first firing strictly after `after`; nothing when there is none. `start` is the StartDate, or the
  // creation for a rate without one: a rate fires at `start` and then every so many milliseconds, whatever
  // clocks do; a cron does not fire before `start`; at() does not care. A cron time that the wall clock skips
  // does not fire, one that it shows twice fires the first time.
  std::optional<base::TimeMs> next(base::TimeMs after, base::TimeMs start) const;

  bool once() const { return kind_ == Kind::kAt; }

 private:
  enum class Kind { kCron, kRate, kAt };
  Kind kind_ = Kind::kAt;
  CronExpression cron_;
  base::TimeMs interval_ms_ = 0;
  std::optional<base::TimeMs> at_;
  std::shared_ptr<const TimeZone> zone_;
};

}  // namespace millrace::events
