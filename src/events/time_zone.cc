#include "events/time_zone.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/time.h"

namespace millrace::events {
namespace {

constexpr int64_t kDay = 86400;
constexpr size_t kFileMax = 1U << 20;
constexpr int32_t kOffsetMax = 26 * 3600;  // east or west (RFC 8536 section 3.2)

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > 50 || name.front() == '/' || name.find("..") != std::string_view::npos)
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '/';
  });
}

bool is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

}  // namespace

// Big-endian numbers, one after another (RFC 8536 section 3).
class TimeZone::Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::string_view take(size_t count) {
    if (bytes_.size() - at_ < count) throw base::CorruptError("the time zone file ends early");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  int64_t number(size_t bytes) {
    uint64_t value = 0;
    for (const char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
    return bytes == 4 ? static_cast<int32_t>(value) : static_cast<int64_t>(value);
  }
  std::string_view rest() const { return bytes_.substr(at_); }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

// The footer: a TZ string as in POSIX, with hours up to 167 (RFC 8536 section 3.3).
class TimeZone::RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  std::optional<Rule> read() {
    Rule rule;
    if (text_.empty()) return std::nullopt;
    name();
    rule.standard = -time(kOffsetHoursMax);
    if (at_ == text_.size()) return rule;
    rule.has_summer = true;
    name();
    rule.summer = rule.standard + 3600;
    if (at_ < text_.size() && text_[at_] != ',') rule.summer = -time(kOffsetHoursMax);
    expect(',');
    rule.begin = date();
    expect(',');
    rule.end = date();
    if (at_ != text_.size()) fail();
    return rule;
  }

 private:
  static constexpr int kOffsetHoursMax = 24, kChangeHoursMax = 167;
  [[noreturn]] void fail() const {
    throw base::CorruptError("the time zone file has a footer that is no TZ string");
  }
  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  void expect(char c) {
    if (!next_is(c)) fail();
    ++at_;
  }
  void name() {
    const size_t from = at_;
    if (next_is('<')) {
      while (at_ < text_.size() && text_[at_] != '>') ++at_;
      expect('>');
      return;
    }
    while (at_ < text_.size() && ((text_[at_] | 0x20) >= 'a' && (text_[at_] | 0x20) <= 'z')) ++at_;
    if (at_ == from) fail();
  }
  int number(int max) {
    int value = 0;
    const size_t from = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && value <= max) {
      value = value * 10 + (text_[at_++] - '0');
    }
    if (at_ == from || value > max) fail();
    return value;
  }
  int32_t time(int hours_max) {
    int sign = 1;
    if (next_is('-') || next_is('+')) sign = text_[at_++] == '-' ? -1 : 1;
    int32_t seconds = number(hours_max) * 3600;
    if (next_is(':')) {
      ++at_;
      seconds += number(59) * 60;
      if (next_is(':')) {
        ++at_;
        seconds += number(59);
      }
    }
    return sign * seconds;
  }
  YearlyDate date() {
    YearlyDate d;
    if (next_is('M')) {
      ++at_;
      d.kind = YearlyDate::Kind::kMonthWeekday;
      d.month = number(12);
      expect('.');
      d.week = number(5);
      expect('.');
      d.weekday = number(6);
      if (d.month < 1 || d.week < 1) fail();
    } else {
      if (next_is('J')) {
        ++at_;
        d.kind = YearlyDate::Kind::kJulian;
      }
      d.day = number(365);
    }
    d.seconds = 2 * 3600;
    if (next_is('/')) {
      ++at_;
      d.seconds = time(kChangeHoursMax);
    }
    return d;
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::shared_ptr<const TimeZone> TimeZone::utc() {
  static const auto zone = std::make_shared<const TimeZone>();
  return zone;
}

std::shared_ptr<const TimeZone> TimeZone::load(const std::string& name) {
  if (!is_name(name)) throw base::UsageError("'" + name + "' is not the name of a time zone");
  if (name == "UTC" || name == "Etc/UTC") return utc();
  const char* folder = std::getenv("TZDIR");
  const std::string path = std::string(folder && *folder ? folder : "/usr/share/zoneinfo") + "/" + name;
  std::ifstream in(path, std::ios::binary);
  std::string bytes(kFileMax, '\0');
  if (!in || !(in.read(bytes.data(), kFileMax) || in.gcount() > 0)) {
    throw base::NotFoundError("there is no time zone '" + name + "' in the time zone database (" + path +
                              ")");
  }
  bytes.resize(static_cast<size_t>(in.gcount()));
  return parse(bytes);
}

std::shared_ptr<const TimeZone> TimeZone::parse(std::string_view file) {
  Reader in(file);
  auto zone = std::make_shared<TimeZone>();
  // The header stands twice: before the data in 32 bits, which is skipped, and before the data in 64 bits.
  for (const bool last : {false, true}) {
    if (in.take(4) != "TZif") throw base::CorruptError("not a time zone file");
    const char version = in.take(1)[0];
    in.take(15);
    std::array<size_t, 6> counts{};
    for (size_t& count : counts) {
      count = static_cast<size_t>(in.number(4));
      if (count > kFileMax) throw base::CorruptError("not a time zone file");
    }
    const auto [isut, isstd, leaps, times, types, letters] = counts;
    const bool wide = last;
    const size_t width = wide ? 8 : 4;
    const bool final = last || version < '2';
    if (!final) {
      in.take(times * 5 + types * 6 + letters + leaps * 8 + isstd + isut);
      continue;
    }
    std::vector<int64_t> at;
    for (size_t i = 0; i < times; ++i) at.push_back(in.number(width));
    const std::string_view kinds = in.take(times);
    std::vector<int32_t> offsets;
    for (size_t i = 0; i < types; ++i) {
      offsets.push_back(static_cast<int32_t>(in.number(4)));
      if (std::abs(int64_t{offsets.back()}) > kOffsetMax)
        throw base::CorruptError("the time zone file has an offset of more than a day");
      in.take(2);
    }
    if (offsets.empty()) throw base::CorruptError("the time zone file has no local time");
    in.take(letters + leaps * (width + 4) + isstd + isut);
    zone->first_offset_ = offsets[0];
    for (size_t i = 0; i < times; ++i) {
      const auto kind = static_cast<unsigned char>(kinds[i]);
      if (kind >= offsets.size() || (i > 0 && at[i] <= at[i - 1]))
        throw base::CorruptError("not a time zone file");
      zone->transitions_.push_back({at[i], offsets[kind]});
    }
    if (last) {
      const std::string_view footer = in.rest();
      const size_t end = footer.size() > 1 ? footer.find('\n', 1) : std::string_view::npos;
      if (end != std::string_view::npos) zone->rule_ = RuleReader(footer.substr(1, end - 1)).read();
    }
    return zone;
  }
  return zone;
}

// When, in that year, a clock `offset` east of UTC shows the date.
int64_t TimeZone::instant(const YearlyDate& date, int64_t year, int32_t offset) {
  int64_t day = 0;
  switch (date.kind) {
    case YearlyDate::Kind::kDay:
      day = base::days_from_civil(year, 1, 1) + date.day;
      break;
    case YearlyDate::Kind::kJulian:  // February 29 is never counted
      day = base::days_from_civil(year, 1, 1) + date.day - 1 + (is_leap(year) && date.day >= 60 ? 1 : 0);
      break;
    case YearlyDate::Kind::kMonthWeekday: {
      const int64_t first = base::days_from_civil(year, static_cast<unsigned>(date.month), 1);
      const int64_t next = date.month == 12
                               ? base::days_from_civil(year + 1, 1, 1)
                               : base::days_from_civil(year, static_cast<unsigned>(date.month) + 1, 1);
      const int64_t weekday = ((first % 7) + 11) % 7;  // 1970-01-01 was a Thursday
      day = first + (date.weekday - weekday + 7) % 7 + (date.week - 1) * 7;
      if (day >= next) day -= 7;
      break;
    }
  }
  return day * kDay + date.seconds - offset;
}

int32_t TimeZone::offset_by_rule(int64_t utc) const {
  if (!rule_->has_summer) return rule_->standard;
  const int64_t year = base::to_civil((utc + rule_->standard) * 1000).year;
  // The last change before now; around New Year it may be one of the year before.
  int64_t latest = INT64_MIN;
  int32_t offset = rule_->standard;
  for (int64_t y = year - 1; y <= year + 1; ++y) {
    const int64_t begin = instant(rule_->begin, y, rule_->standard),
                  end = instant(rule_->end, y, rule_->summer);
    if (begin <= utc && begin >= latest) {
      latest = begin;
      offset = rule_->summer;
    }
    if (end <= utc && end > latest) {
      latest = end;
      offset = rule_->standard;
    }
  }
  return offset;
}

int32_t TimeZone::offset_at(int64_t utc) const {
  if (transitions_.empty() || utc < transitions_.front().at) {
    return transitions_.empty() && rule_ ? offset_by_rule(utc) : first_offset_;
  }
  if (utc >= transitions_.back().at && rule_) return offset_by_rule(utc);
  const auto after =
      std::upper_bound(transitions_.begin(), transitions_.end(), utc,
                       [](int64_t t, const Transition& transition) { return t < transition.at; });
  return std::prev(after)->offset;
}

std::optional<int64_t> TimeZone::to_utc(int64_t local) const {
  // Offsets are within 26 hours; those in force around are the candidates.
  std::optional<int64_t> first;
  for (int64_t around = -2; around <= 2; ++around) {
    const int64_t utc = local - offset_at(local + around * kDay * 3 / 4);
    if (utc + offset_at(utc) == local && (!first || utc < *first)) first = utc;
  }
  return first;
}

}  // namespace millrace::events
