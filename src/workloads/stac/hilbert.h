// The order of rows: along a Hilbert curve over longitude and latitude, so that items near each other are in
// the same row groups.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "workloads/stac/item_store.h"

namespace millrace::stac {

// Of a point in degrees, on a grid of 65,536 x 65,536 (600 m at the equator).
uint32_t hilbert_key(double longitude, double latitude);

// The middle of a box, as ItemRecord has it; across the antimeridian where west > east.
std::pair<float, float> box_centre(double west, double south, double east, double north);

// Numbers of the records by key of their centre, those of one key by time and identity. 4 bytes an item, and
// 8 more while it is made.
std::vector<uint32_t> hilbert_order(std::span<const ItemRecord> records);

}  // namespace millrace::stac
