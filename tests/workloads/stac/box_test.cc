#include "workloads/stac/box.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace millrace::stac {
namespace {

// Without this nonsense is sent to a server as a box.
TEST(Box, IsReadOrRefused) {
  Box box = parse_box("170, -10,-170.50,1e1");
  EXPECT_TRUE(box.crosses_antimeridian());
  EXPECT_EQ(box.text, "170,-10,-170.50,1e1");
  for (std::string_view text :
       {"", "1,2,3", "1,2,3,4,5", "1,2,3,x", "181,0,10,10", "0,-91,1,1", "0,5,1,4", "nan,0,1,1", "0,0,inf,1"})
    EXPECT_THROW(parse_box(text), base::UsageError) << text;
}

// Without this items at the antimeridian are in no half of a box, or those on the other side of the earth in
// one.
TEST(Box, HalvesTouchWhatTheWholeTouches) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  auto degree = [&](int most) {
    return static_cast<int>(random() % (2U * static_cast<unsigned>(most) + 1)) - most;
  };
  int touched = 0;
  for (int i = 0; i < 5000; ++i) {
    int south = degree(90), other_south = degree(90);
    Box box = parse_box(
        std::to_string(degree(180)) + "," + std::to_string(south) + "," + std::to_string(degree(180)) + "," +
        std::to_string(south + static_cast<int>(random() % static_cast<unsigned>(91 - south))));
    double west = degree(180), east = degree(180), north = other_south + 5;
    // Point by point, every half degree.
    auto inside = [](double x, double w, double e) { return w <= e ? x >= w && x <= e : x >= w || x <= e; };
    bool expected = false;
    for (double x = -180; x <= 180 && !expected; x += 0.5) {
      double other = x == 180 ? -180 : x == -180 ? 180 : x;
      bool a = inside(x, box.west, box.east) || inside(other, box.west, box.east);
      bool b = inside(x, west, east) || inside(other, west, east);
      expected = a && b;
    }
    expected = expected && !(other_south > box.north || north < box.south);
    EXPECT_EQ(box.touches(west, other_south, east, north), expected)
        << box.text << " and " << west << "," << other_south << "," << east << "," << north;
    bool halves = false;
    for (const Box& half : box.halves()) {
      EXPECT_FALSE(half.crosses_antimeridian());
      halves |= half.touches(west, other_south, east, north);
    }
    EXPECT_EQ(halves, expected) << box.text;
    touched += expected;
  }
  EXPECT_GT(touched, 100);
}

}  // namespace
}  // namespace millrace::stac
