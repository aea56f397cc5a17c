// A part of the earth between two meridians and two parallels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::stac {

// Degrees; west > east: across the antimeridian (RFC 7946 section 5.2).
struct Box {
  double west = -180, south = -90, east = 180, north = 90;
  bool crosses_antimeridian() const { return west > east; }
  // "W,S,E,N" as it was written: digits are not made up.
  std::string text;

  // True when they have a point in common, the edges included.
  bool touches(double other_west, double other_south, double other_east, double other_north) const;
  // Itself, or the two halves on either side of the antimeridian.
  std::vector<Box> halves() const;
};

// "W,S,E,N": -180 <= W, E <= 180, -90 <= S <= N <= 90. Throws UsageError.
Box parse_box(std::string_view text);

}  // namespace millrace::stac
