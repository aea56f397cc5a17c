#include "workloads/stac/box.h"

#include <array>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::stac {
namespace {

struct Span {
  double from, to;
};

// Meridians from west to east as spans of [-180, 180].
std::vector<Span> spans(double west, double east) {
  if (west <= east) return {{west, east}};
  return {{west, 180}, {-180, east}};
}

}  // namespace

bool Box::touches(double other_west, double other_south, double other_east, double other_north) const {
  if (other_south > north || other_north < south) return false;
  for (const Span& a : spans(west, east))
    for (const Span& b : spans(other_west, other_east))
      if (a.from <= b.to && b.from <= a.to) return true;
  // 180 and -180 are one meridian.
  for (const Span& a : spans(west, east))
    for (const Span& b : spans(other_west, other_east))
      if ((a.to >= 180 && b.from <= -180) || (b.to >= 180 && a.from <= -180)) return true;
  return false;
}

std::vector<Box> Box::halves() const {
  if (!crosses_antimeridian()) return {*this};
  std::vector<std::string_view> words = base::split(text, ',');
  auto half = [&](double w, double e, std::string_view from, std::string_view to) {
    Box box{w, south, e, north, {}};
    box.text =
        std::string(from) + "," + std::string(words[1]) + "," + std::string(to) + "," + std::string(words[3]);
    return box;
  };
  return {half(west, 180, words[0], "180"), half(-180, east, "-180", words[2])};
}

Box parse_box(std::string_view text) {
  std::vector<std::string_view> words = base::split(text, ',');
  std::array<double, 4> numbers{};
  bool good = words.size() == 4;
  std::string shown;
  for (size_t i = 0; good && i < 4; ++i) {
    auto number = base::parse_number<double>(base::trim(words[i]));
    good = number.has_value();
    if (good) numbers[i] = *number;
    shown += (i > 0 ? "," : "") + std::string(base::trim(words[i]));
  }
  auto [west, south, east, north] = numbers;
  good = good && west >= -180 && west <= 180 && east >= -180 && east <= 180 && south >= -90 && north <= 90 &&
         south <= north;
  if (!good)
    throw base::UsageError(
        "--bounding-box " + std::string(text) +
        ": write W,S,E,N in degrees, S no larger than N (W may be larger than E: across the "
        "antimeridian)");
  return {west, south, east, north, shown};
}

}  // namespace millrace::stac
