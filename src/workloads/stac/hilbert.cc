#include "workloads/stac/hilbert.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/error.h"

namespace millrace::stac {
namespace {

constexpr int kBits = 16;

uint32_t cell(double value, double lowest, double span) {
  const double scaled = (value - lowest) / span * (1 << kBits);
  if (!(scaled > 0)) return 0;  // also what is no number
  return static_cast<uint32_t>(std::min(scaled, static_cast<double>((1 << kBits) - 1)));
}

}  // namespace

uint32_t hilbert_key(double longitude, double latitude) {
  uint32_t x = cell(longitude, -180, 360), y = cell(latitude, -90, 180);
  uint32_t key = 0;
  for (uint32_t side = 1u << (kBits - 1); side > 0; side /= 2) {
    const uint32_t right = (x & side) != 0, up = (y & side) != 0;
    key = key * 4 + ((3 * right) ^ up);
    // Turns the quarter so that the curve goes on where it left off.
    if (up == 0) {
      if (right) x = ~x, y = ~y;
      std::swap(x, y);
    }
  }
  return key;
}

std::pair<float, float> box_centre(double west, double south, double east, double north) {
  double x = (west + (west > east ? east + 360 : east)) / 2;
  if (!std::isfinite(x)) x = 0;
  return {static_cast<float>(std::remainder(x, 360)),
          static_cast<float>(std::clamp((south + north) / 2, -90.0, 90.0))};
}

std::vector<uint32_t> hilbert_order(std::span<const ItemRecord> records) {
  if (records.size() > std::numeric_limits<uint32_t>::max())
    throw base::UsageError("more than 4,294,967,295 items in one file");
  std::vector<uint64_t> keys(records.size());
  for (uint32_t i = 0; i < keys.size(); ++i)
    keys[i] = uint64_t{hilbert_key(records[i].centre_x, records[i].centre_y)} << 32 | i;
  std::sort(keys.begin(), keys.end());
  const auto by_time = [&](uint64_t a, uint64_t b) {
    const auto& first = records[static_cast<uint32_t>(a)];
    const auto& second = records[static_cast<uint32_t>(b)];
    return std::tie(first.datetime_us, first.identity) < std::tie(second.datetime_us, second.identity);
  };
  for (auto begin = keys.begin(); begin != keys.end();) {
    auto end = begin + 1;
    while (end != keys.end() && *end >> 32 == *begin >> 32) ++end;
    std::sort(begin, end, by_time);
    begin = end;
  }
  std::vector<uint32_t> order(keys.size());
  std::transform(keys.begin(), keys.end(), order.begin(),
                 [](uint64_t k) { return static_cast<uint32_t>(k); });
  return order;
}

}  // namespace millrace::stac
