// Time as AWS's APIs carry it: milliseconds since the epoch, UTC. The clock is a parameter of what must be
// tested.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {

// Milliseconds since 1970-01-01T00:00:00Z.
using TimeMs = int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeMs now_ms() const = 0;
};

// The wall clock. Thread-safe.
class SystemClock final : public Clock {
 public:
  TimeMs now_ms() const override;
};

// A clock that stands still until told otherwise. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimeMs now) : now_(now) {}
  TimeMs now_ms() const override { return now_; }
  void set(TimeMs now) { now_ = now; }
  void advance(TimeMs by) { now_ += by; }

 private:
  TimeMs now_;
};

// "2026-11-21T14:18:25Z", and with milliseconds "2026-11-21T14:18:25.123Z" (RFC 3339, UTC).
std::string iso8601(TimeMs time, bool with_ms = false);

// "20261121T141825Z", the form of x-amz-date.
std::string amz_date(TimeMs time);

// "Sat, 21 Nov 2026 14:18:25 GMT" (RFC 9110 section 5.6.7, IMF-fixdate).
std::string http_date(TimeMs time);

// Reads what iso8601() writes, also with an offset such as +01:00 and any number of fractional digits;
// nothing when the text is not such a time.
std::optional<TimeMs> parse_iso8601(std::string_view text);
std::optional<TimeMs> parse_amz_date(std::string_view text);
std::optional<TimeMs> parse_http_date(std::string_view text);

// Days since the epoch of a proleptic Gregorian date, and back.
int64_t days_from_civil(int64_t year, unsigned month, unsigned day);
struct Civil {
  int64_t year;
  unsigned month, day, hour, minute, second, ms;
  unsigned weekday;  // 0 = Sunday
};
Civil to_civil(TimeMs time);

}  // namespace millrace::base
