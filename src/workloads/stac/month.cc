#include "workloads/stac/month.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"

namespace millrace::stac {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;
constexpr size_t kMonthsMax = 2400;

std::string midnight(int64_t time_us) { return base::iso8601(time_us / 1000); }

}  // namespace

int64_t Day::begin_us() const { return base::days_from_civil(year, month, day) * kDayUs; }
int64_t Day::end_us() const { return begin_us() + kDayUs; }
std::string Day::text() const { return fmt::format("{:04}-{:02}-{:02}", year, month, day); }
std::string Day::window(std::string_view separator) const {
  return midnight(begin_us()).append(separator).append(midnight(end_us()));
}

std::string Month::text() const { return fmt::format("{:04}-{:02}", year, month); }

std::vector<Day> Month::days() const {
  const Month after = next();
  auto count = static_cast<unsigned>(base::days_from_civil(after.year, after.month, 1) -
                                     base::days_from_civil(year, month, 1));
  std::vector<Day> days;
  for (unsigned day = 1; day <= count; ++day) days.push_back({year, month, day});
  return days;
}

Month parse_month(std::string_view text) {
  std::string digits = base::replace_all(std::string(text), "-", "");
  auto number = base::parse_number<uint32_t>(digits);
  bool good = digits.size() == 6 && number && (text.size() == 6 || (text.size() == 7 && text[4] == '-'));
  if (good) {
    Month month = month_of_number(*number);
    if (month.year >= 1900 && month.year <= 2999 && month.month >= 1 && month.month <= 12) return month;
  }
  throw base::UsageError("'" + std::string(text) + "' is no month; write it as 202406");
}

Day parse_day(std::string_view text) {
  std::string digits = base::replace_all(std::string(text), "-", "");
  if (digits.size() == 8 && (text.size() == 8 || (text.size() == 10 && text[4] == '-' && text[7] == '-'))) {
    Month month = parse_month(std::string_view(digits).substr(0, 6));
    auto day = base::parse_number<unsigned>(std::string_view(digits).substr(6));
    if (day && *day >= 1 && *day <= month.days().size()) return {month.year, month.month, *day};
  }
  throw base::UsageError("'" + std::string(text) + "' is no day; write it as 2024-06-01");
}

Month month_of(int64_t time_us) {
  int64_t ms = time_us >= 0 ? time_us / 1000 : (time_us - 999) / 1000;
  base::Civil civil = base::to_civil(ms);
  return {static_cast<int>(civil.year), civil.month};
}

Month month_of_number(uint32_t number) { return {static_cast<int>(number / 100), number % 100}; }

std::vector<Month> months_between(Month from, Month to) {
  std::vector<Month> months;
  for (Month month = from; month <= to; month = month.next()) {
    if (months.size() == kMonthsMax) throw base::UsageError("more than 2,400 months");
    months.push_back(month);
  }
  if (months.empty()) throw base::UsageError("--from " + from.text() + " is later than --to " + to.text());
  return months;
}

}  // namespace millrace::stac
