#include "workloads/stac/timestamp.h"

#include <gtest/gtest.h>

#include <random>

namespace millrace::stac {
namespace {

// Without this the last digits of a time, or its zone, are lost on the way into a file.
TEST(Timestamp, ReadsWhatCatalogsWrite) {
  const int64_t second = 1'717'200'379;
  for (auto [text, us] : std::initializer_list<std::pair<std::string_view, int64_t>>{
           {"2024-06-01T00:06:19.072460Z", second * 1'000'000 + 72'460},
           {"2024-06-01T00:06:19Z", second * 1'000'000},
           {"2024-06-01t00:06:19z", second * 1'000'000},
           {"2024-06-01 00:06:19+00:00", second * 1'000'000},
           {"2024-06-01T01:06:19+01:00", second * 1'000'000},
           {"2024-05-31T22:36:19-0130", second * 1'000'000},
           {"2024-06-01T02:06:19+02", second * 1'000'000},
           {"2024-06-01T00:06:19", second * 1'000'000},
           {"2024-06-01T00:06:19.123456789Z", second * 1'000'000 + 123'456},
           {"1969-12-31T23:59:59.999999Z", -1},
           {"2016-12-31T23:59:60Z", 1'483'228'799'999'999}})
    EXPECT_EQ(parse_time_us(text), us) << text;
}

// Without this what is no time becomes one.
TEST(Timestamp, RefusesWhatIsNone) {
  for (std::string_view text :
       {"", "2024", "2024-06-01", "2024-06-01T00:06", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z", "2024-06-01T24:00:00Z", "2024-06-01T00:60:00Z", "2024-06-01T00:06:19.Z",
        "2024-06-01T00:06:19 Z", "2024-06-01T00:06:19ZZ", "2024-06-01T00:06:19+1", "2024-06-01T00:06:19+01:0",
        "2024-06-01T00:06:19+01:00Z", "2024/06/01T00:06:19Z", "notadate", "-024-06-01T00:06:19Z"})
    EXPECT_FALSE(parse_time_us(text)) << text;
}

// Without this a time that was written is read as another one.
TEST(Timestamp, WhatIsWrittenIsReadAgain) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int64_t> any(-2'000'000'000'000'000, 4'000'000'000'000'000);
  for (int i = 0; i < 10'000; ++i) {
    int64_t us = any(random);
    if (i % 3 == 0) us -= us % 1000;
    if (i % 7 == 0) us -= us % 1'000'000;
    ASSERT_EQ(parse_time_us(time_text(us)), us) << time_text(us);
  }
}

}  // namespace
}  // namespace millrace::stac
