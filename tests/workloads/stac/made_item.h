// Items made up for tests.
#pragma once

#include <fmt/format.h>

#include <string>

namespace millrace::stac::testing {

struct MadeItem {
  std::string id = "A.1";
  std::string collection = "made";  // empty: none
  std::string datetime = "2024-06-01T00:06:19.072460Z";
  std::string updated = {};  // empty: none
  double x = 10, y = 20;
  std::string more = {};  // further members of properties, each with a comma before it
};

inline std::string text_of(const MadeItem& item) {
  return fmt::format(
      R"({{"type":"Feature","stac_version":"1.0.0","id":"{}",{}"properties":{{"datetime":"{}"{}{}}},)"
      R"("geometry":{{"type":"Polygon","coordinates":[[[{},{}],[{},{}],[{},{}],[{},{}]]]}},"bbox":[{},{},{},{}],)"
      R"("links":[],"assets":{{"B01":{{"href":"https://example.org/{}.tif","roles":["data"]}}}}}})",
      item.id, item.collection.empty() ? "" : "\"collection\":\"" + item.collection + "\",", item.datetime,
      item.updated.empty() ? "" : ",\"updated\":\"" + item.updated + "\"", item.more, item.x, item.y,
      item.x + 1, item.y, item.x + 1, item.y + 1, item.x, item.y, item.x, item.y, item.x + 1, item.y + 1,
      item.id);
}

}  // namespace millrace::stac::testing
