#include "workloads/stac/month.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace millrace::stac {
namespace {

// Without this a moment of a month is in no day of it, or in two.
TEST(Month, ItsDaysAreAllOfItAndOnce) {
  for (Month month : months_between({1999, 11}, {2001, 3})) {
    std::vector<Day> days = month.days();
    for (size_t i = 0; i + 1 < days.size(); ++i) EXPECT_EQ(days[i].end_us(), days[i + 1].begin_us());
    EXPECT_EQ(month_of(days.front().begin_us()), month);
    EXPECT_EQ(month_of(days.front().begin_us() - 1).next(), month);
    EXPECT_EQ(month_of(days.back().end_us() - 1), month);
    EXPECT_EQ(month_of(days.back().end_us()), month.next());
  }
  EXPECT_EQ((Month{2000, 2}).days().size(), 29U);
  EXPECT_EQ((Month{1900, 2}).days().size(), 28U);
  EXPECT_EQ((Day{2024, 12, 31}).window(","), "2024-12-31T00:00:00Z,2025-01-01T00:00:00Z");
}

// Without this a typing error is another month.
TEST(Month, IsReadOrRefused) {
  EXPECT_EQ(parse_month("202406"), (Month{2024, 6}));
  EXPECT_EQ(parse_month("2024-06"), (Month{2024, 6}));
  for (std::string_view text :
       {"", "2024", "202413", "202400", "20240", "2024006", "20-2406", "2024/06", "x02406", "189912"})
    EXPECT_THROW(parse_month(text), base::UsageError) << text;
  EXPECT_EQ(parse_day("2024-02-29"), (Day{2024, 2, 29}));
  for (std::string_view text : {"2023-02-29", "202406", "2024-06-00", "2024-0601"})
    EXPECT_THROW(parse_day(text), base::UsageError) << text;
  EXPECT_THROW(months_between({2024, 6}, {2024, 5}), base::UsageError);
  EXPECT_EQ(months_between({2024, 11}, {2025, 2}).size(), 4U);
}

// Without this times before 1970 are in the wrong month.
TEST(Month, OfAnyTime) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int64_t> any(-4'000'000'000'000'000, 4'000'000'000'000'000);
  for (int i = 0; i < 2000; ++i) {
    int64_t time = any(random);
    std::vector<Day> days = month_of(time).days();
    EXPECT_TRUE(time >= days.front().begin_us() && time < days.back().end_us()) << time;
  }
}

}  // namespace
}  // namespace millrace::stac
