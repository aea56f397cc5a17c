// Items through a spool and a file and back, and whether they are the same afterwards.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "objects/new_object.h"
#include "tests/support/temporary_folder.h"
#include "workloads/stac/geoparquet.h"
#include "workloads/stac/item.h"
#include "workloads/stac/item_schema.h"
#include "workloads/stac/timestamp.h"

namespace millrace::stac {

inline ItemStore store_of(const std::string& folder, const std::vector<std::string>& items) {
  ItemSpool spool(folder);
  ItemChunk chunk = spool.begin("items");
  ItemChecker checker;
  for (const auto& item : items) chunk.add(checker.check(item, "made"), 202406);
  chunk.finish();
  SealReport report;
  auto parts = spool.seal({"items"}, false, report);
  return std::move(parts.at(0).items);
}

struct Written {
  std::string path;
  WriteReport report;
};

inline Written write_items(const millrace::testing::TemporaryFolder& folder,
                           const std::vector<std::string>& items, unsigned threads = 2) {
  const ItemStore store = store_of(folder / "spool", items);
  Written written;
  written.path = folder / "items.parquet";
  objects::NewObject out(objects::parse_location(written.path));
  GeoParquetOptions options;
  options.temporary_folder = folder.path();
  options.threads = threads;
  written.report = write_geoparquet(store, options, out);
  out.publish();
  return written;
}

// By id.
inline std::map<std::string, base::json::value> read_back(const std::string& path) {
  std::map<std::string, base::json::value> items;
  read_items(objects::parse_location(path), [&](std::string_view text) {
    base::json::value item = base::parse_json(text, 128);
    items[std::string(*base::find_string(item.get_object(), "id"))] = std::move(item);
  });
  return items;
}

inline double number_of(const base::json::value& value) {
  return value.is_double()  ? value.get_double()
         : value.is_int64() ? static_cast<double>(value.get_int64())
                            : static_cast<double>(value.get_uint64());
}

// Where the two differ, empty when they do not: members that are null and that are not there are the same,
// and so are 1 and 1.0. `by_time`: times of properties may be written differently.
inline std::string difference(const base::json::value& a, const base::json::value& b, const std::string& at,
                              bool by_time = false) {
  const auto texts = [&] {
    return at + ": " + base::json::serialize(a) + " and " + base::json::serialize(b);
  };
  if (a.is_object() && b.is_object()) {
    for (const auto& [mine, theirs] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      for (const auto& member : mine->get_object()) {
        const auto* other = theirs->get_object().if_contains(member.key());
        if (!other && member.value().is_null()) continue;
        if (!other) return at + ": only one has '" + std::string(member.key()) + "'";
        const bool time = at == "/properties" && is_time_property(base::json::string_view(member.key()));
        const std::string found = difference(member.value(), *other, at + "/" + std::string(member.key()),
                                             by_time && (at != "/properties" || time));
        if (!found.empty()) return found;
      }
    }
    return "";
  }
  if (a.is_array() && b.is_array()) {
    if (a.get_array().size() != b.get_array().size()) return texts();
    for (size_t i = 0; i < a.get_array().size(); ++i) {
      const std::string found = difference(a.get_array()[i], b.get_array()[i], at + "/" + std::to_string(i));
      if (!found.empty()) return found;
    }
    return "";
  }
  if (a.is_int64() && b.is_int64()) return a.get_int64() == b.get_int64() ? "" : texts();
  if (a.is_number() && b.is_number()) return number_of(a) == number_of(b) ? "" : texts();
  if (by_time && a.is_string() && b.is_string() &&
      parse_time_us(base::view(a.get_string())) == parse_time_us(base::view(b.get_string())))
    return "";
  return a == b ? "" : texts();
}

}  // namespace millrace::stac
