// Geometries as GeoJSON (RFC 7946) and as well-known binary (ISO 19125, little endian, Z as type + 1000).
#pragma once

#include <limits>
#include <string>
#include <string_view>

#include "workloads/stac/json_tokens.h"

namespace millrace::stac {

struct GeometryFacts {
  // False: no geometry, or one without a position where WKB must have one; nothing was appended.
  bool valid = false;
  // False: the GeoJSON says more than WKB can: further members, positions of different or of more than three
  // numbers.
  bool exact = true;
  bool has_z = false;
  int type = 0;  // 1 Point, 2 LineString, 3 Polygon, 4 to 6 their Multi…, 7 GeometryCollection
  double west = std::numeric_limits<double>::infinity(), south = west;
  double east = -std::numeric_limits<double>::infinity(), north = east;
};

// Takes the value that comes next, which is an object, and appends its WKB.
GeometryFacts append_wkb(JsonTokens& tokens, std::string& out);

// "Polygon", "MultiPolygon Z", as GeoParquet's geometry_types has them.
std::string geometry_type_name(int type, bool has_z);

// Either byte order. Throws CorruptError (also for M).
void append_geojson(std::string_view wkb, std::string& out);
// Type and extent of a whole WKB. Throws CorruptError.
GeometryFacts wkb_facts(std::string_view wkb);

}  // namespace millrace::stac
