#include "events/schedule.h"

#include <array>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::events {
namespace {

struct Unit {
  const char *one, *many;
  base::TimeMs ms;
};
constexpr std::array<Unit, 3> kUnits = {
    {{"minute", "minutes", 60'000}, {"hour", "hours", 3'600'000}, {"day", "days", 86'400'000}}};
// A rate longer than this would pass the end of time as milliseconds count it.
constexpr int64_t kRateMax = 1'000'000'000;

// What stands between "name(" and ")".
std::optional<std::string_view> inside(std::string_view text, std::string_view name) {
  if (text.size() < name.size() + 2 || !text.starts_with(name) || text[name.size()] != '(' ||
      text.back() != ')') {
    return std::nullopt;
  }
  return text.substr(name.size() + 1, text.size() - name.size() - 2);
}

std::optional<base::TimeMs> parse_rate(std::string_view text, bool strict) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(0, space), unit = text.substr(space + 1);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const auto value = base::parse_number<int64_t>(digits);
  if (!value || *value < 1 || *value > kRateMax) return std::nullopt;
  for (const Unit& u : kUnits) {
    const bool fits = strict ? unit == (*value == 1 ? u.one : u.many) : unit == u.one || unit == u.many;
    if (fits) return *value * u.ms;
  }
  return std::nullopt;
}

// yyyy-mm-ddThh:mm:ss as seconds on the wall clock.
std::optional<int64_t> parse_local(std::string_view text) {
  if (text.size() != 19) return std::nullopt;
  const auto ms = base::parse_iso8601(std::string(text) + "Z");
  if (!ms || base::iso8601(*ms) != std::string(text) + "Z") return std::nullopt;
  return *ms / 1000;
}

}  // namespace

Schedule Schedule::parse(std::string_view expression, Service service, std::shared_ptr<const TimeZone> zone) {
  Schedule schedule;
  schedule.zone_ = std::move(zone);
  if (const auto fields = inside(expression, "cron")) {
    if (const auto cron = CronExpression::parse(*fields)) {
      schedule.kind_ = Kind::kCron;
      schedule.cron_ = *cron;
      return schedule;
    }
  } else if (const auto rate = inside(expression, "rate")) {
    if (const auto interval = parse_rate(*rate, service == Service::kRules)) {
      schedule.kind_ = Kind::kRate;
      schedule.interval_ms_ = *interval;
      return schedule;
    }
  } else if (const auto at = inside(expression, "at"); at && service == Service::kScheduler) {
    if (const auto local = parse_local(*at)) {
      auto utc = schedule.zone_->to_utc(*local);
      // A time that the clocks skip: the offset from before the change, so that it is not lost.
      if (!utc) utc = *local - schedule.zone_->offset_at(*local - 86400);
      schedule.at_ = *utc * 1000;
      return schedule;
    }
  }
  const std::string message = service == Service::kRules
                                  ? "Parameter ScheduleExpression is not valid."
                                  : "Invalid Schedule Expression " + std::string(expression) + ".";
  throw base::UsageError(message, "ValidationException");
}

std::optional<base::TimeMs> Schedule::next(base::TimeMs after, base::TimeMs start) const {
  switch (kind_) {
    case Kind::kAt:
      if (*at_ > after) return at_;
      return std::nullopt;
    case Kind::kRate:
      if (after < start) return start;
      return start + ((after - start) / interval_ms_ + 1) * interval_ms_;
    case Kind::kCron:
      break;
  }
  // The last second that does not count.
  int64_t utc = std::max(after, start - 1) / 1000;
  if (std::max(after, start - 1) < 0) utc = -1;
  int64_t local = utc + zone_->offset_at(utc);
  for (;;) {
    const auto fitting = cron_.next(local);
    if (!fitting) return std::nullopt;
    const auto instant = zone_->to_utc(*fitting);
    if (instant && *instant > utc) return *instant * 1000;
    local = *fitting;
  }
}

}  // namespace millrace::events
