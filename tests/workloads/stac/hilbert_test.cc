#include "workloads/stac/hilbert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace millrace::stac {
namespace {

TEST(HilbertKey, NeighboursOnTheCurveAreNeighboursOnTheMap) {
  // Without this row groups are strips around the globe, and a query for a region reads all of them.
  constexpr uint32_t kSide = 64, kCellsOfOne = 1u << 20;
  std::vector<std::pair<int, int>> cells(size_t{kSide} * kSide, {-1, -1});
  for (uint32_t x = 0; x < kSide; ++x) {
    for (uint32_t y = 0; y < kSide; ++y) {
      const uint32_t key =
          hilbert_key((x + 0.5) * 360 / kSide - 180, (y + 0.5) * 180 / kSide - 90) / kCellsOfOne;
      ASSERT_LT(key, cells.size());
      EXPECT_EQ(cells[key].first, -1) << "two cells have one key";
      cells[key] = {static_cast<int>(x), static_cast<int>(y)};
    }
  }
  for (size_t i = 1; i < cells.size(); ++i)
    EXPECT_EQ(std::abs(cells[i].first - cells[i - 1].first) + std::abs(cells[i].second - cells[i - 1].second),
              1)
        << i;
}

TEST(HilbertKey, TakesAnyNumber) {
  // Without this a box that is none is undefined behaviour.
  EXPECT_EQ(hilbert_key(std::nan(""), std::nan("")), hilbert_key(-180, -90));
  EXPECT_EQ(hilbert_key(1e300, 1e300), hilbert_key(180, 90));
  EXPECT_EQ(box_centre(std::numeric_limits<double>::infinity(), 0, 0, 0).first, 0);
}

TEST(BoxCentre, IsInTheBoxAcrossTheAntimeridian) {
  // Without this items of Fiji are sorted to Africa.
  EXPECT_FLOAT_EQ(box_centre(170, -20, -170, -10).first, 180);
  EXPECT_FLOAT_EQ(box_centre(178, -20, -170, -10).first, -176);
  EXPECT_FLOAT_EQ(box_centre(10, -20, 20, -10).second, -15);
}

TEST(HilbertOrder, TiesGoByTime) {
  // Without this the same items give another file every time.
  std::vector<ItemRecord> records(100);
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].centre_x = static_cast<float>(i % 3);
    records[i].datetime_us = static_cast<int64_t>(i * 7919 % 50);
    records[i].identity = i * 104729 % 1000;
  }
  const auto order = hilbert_order(records);
  ASSERT_EQ(order.size(), records.size());
  for (size_t i = 1; i < order.size(); ++i) {
    const auto& a = records[order[i - 1]];
    const auto& b = records[order[i]];
    EXPECT_LE(std::tuple(hilbert_key(a.centre_x, 0), a.datetime_us, a.identity),
              std::tuple(hilbert_key(b.centre_x, 0), b.datetime_us, b.identity));
  }
}

}  // namespace
}  // namespace millrace::stac
