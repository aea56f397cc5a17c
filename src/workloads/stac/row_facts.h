// What is known of the rows of a file only when they were written: its metadata needs it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace millrace::stac {

struct Extent {
  double west = std::numeric_limits<double>::infinity(), south = west;
  double east = -west, north = -west;
  bool empty() const { return south > north; }
  // A box that crosses the antimeridian (west > east) makes it go around the globe.
  void add(double w, double s, double e, double n) {
    if (w > e) w = -180, e = 180;
    west = std::min(west, w), east = std::max(east, e);
    south = std::min(south, s), north = std::max(north, n);
  }
  void add(const Extent& other) {
    if (!other.empty()) add(other.west, other.south, other.east, other.north);
  }
};

struct CollectionFacts {
  uint64_t rows = 0;
  Extent extent;
  int64_t first_us = std::numeric_limits<int64_t>::max(), last_us = std::numeric_limits<int64_t>::min();
};

struct RowFacts {
  std::vector<CollectionFacts> collections;        // by number, as in the store
  std::map<std::string, uint32_t> geometry_types;  // column -> a bit for each type, Z 8 bits higher
  std::map<std::string, uint32_t> time_forms;      // column -> a bit for each form (time_form.h)
  void add(const RowFacts& other) {
    collections.resize(std::max(collections.size(), other.collections.size()));
    for (size_t i = 0; i < other.collections.size(); ++i) {
      auto& mine = collections[i];
      const auto& theirs = other.collections[i];
      mine.rows += theirs.rows;
      mine.extent.add(theirs.extent);
      mine.first_us = std::min(mine.first_us, theirs.first_us);
      mine.last_us = std::max(mine.last_us, theirs.last_us);
    }
    for (const auto& [column, bits] : other.geometry_types) geometry_types[column] |= bits;
    for (const auto& [column, bits] : other.time_forms) time_forms[column] |= bits;
  }
};

}  // namespace millrace::stac
