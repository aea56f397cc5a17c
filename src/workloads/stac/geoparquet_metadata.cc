#include "workloads/stac/geoparquet_metadata.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "workloads/stac/json_tokens.h"
#include "workloads/stac/time_form.h"
#include "workloads/stac/timestamp.h"
#include "workloads/stac/wkb.h"

namespace millrace::stac {
namespace {

using base::json::array;
using base::json::object;
using base::json::string;

array box_of(const Extent& extent) { return {extent.west, extent.south, extent.east, extent.north}; }

array types_of(uint32_t bits) {
  array out;
  for (int z = 0; z < 2; ++z)
    for (int type = 1; type <= 7; ++type)
      if (bits >> (type + 8 * z) & 1) out.emplace_back(geometry_type_name(type, z == 1));
  return out;
}

object geometry_column(const RowFacts& facts, const std::string& column) {
  object out{{"encoding", "WKB"}};
  const auto found = facts.geometry_types.find(column);
  out["geometry_types"] = types_of(found == facts.geometry_types.end() ? 0 : found->second);
  return out;
}

object made_collection(const std::string& name, const CollectionFacts& facts) {
  const auto time = [&](int64_t us) {
    return facts.rows == 0 ? base::json::value(nullptr) : base::json::value(string(time_text(us)));
  };
  array spatial;
  if (!facts.extent.empty())
    spatial.push_back(box_of(facts.extent));
  else
    spatial.push_back(array{-180, -90, 180, 90});
  return {{"type", "Collection"},
          {"stac_version", "1.1.0"},
          {"id", string(name)},
          {"description", string("Items of " + name)},
          {"license", "other"},
          {"extent", object{{"spatial", object{{"bbox", std::move(spatial)}}},
                            {"temporal",
                             object{{"interval", array{array{time(facts.first_us), time(facts.last_us)}}}}}}},
          {"links", array{}}};
}

}  // namespace

std::string geo_metadata(const ItemSchema& schema, const RowFacts& facts) {
  object primary = geometry_column(facts, "geometry");
  Extent extent;
  for (const auto& collection : facts.collections) extent.add(collection.extent);
  if (!extent.empty()) primary["bbox"] = box_of(extent);
  object covering;
  for (const auto* field : {"xmin", "ymin", "zmin", "xmax", "ymax", "zmax"})
    if (field[0] != 'z' || schema.box_has_z) covering[field] = array{"bbox", field};
  primary["covering"] = object{{"bbox", std::move(covering)}};
  object columns{{"geometry", std::move(primary)}};
  for (const auto* column : schema.columns()) {
    if (column->type != ColumnType::kGeometry || column->column == "geometry") continue;
    object other = geometry_column(facts, column->column);
    other["crs"] = nullptr;  // of each row its own: proj:epsg and the like
    columns[column->column] = std::move(other);
  }
  return base::json::serialize(
      object{{"version", "1.1.0"}, {"primary_column", "geometry"}, {"columns", std::move(columns)}});
}

std::string stac_metadata(const std::vector<std::string>& names, const RowFacts& facts,
                          const std::map<std::string, std::string>& documents) {
  std::string out = R"({"version":"1.0.0","collections":{)";
  bool first = true;
  for (size_t i = 0; i < names.size(); ++i) {
    if (facts.collections[i].rows == 0) continue;
    if (!std::exchange(first, false)) out += ',';
    append_json_string(names[i], out);
    out += ':';
    object collection = made_collection(names[i], facts.collections[i]);
    if (const auto known = documents.find(names[i]); known != documents.end()) {
      const base::json::value value = base::parse_json(known->second);
      for (const auto& member : value.as_object())
        if (member.key() != "id" && member.key() != "type") collection[member.key()] = member.value();
    }
    out += base::json::serialize(collection);
  }
  return out + "}}";
}

std::string mapping_metadata(const ItemSchema& schema, const RowFacts& facts) {
  std::vector<std::pair<std::string, std::string>> times;
  for (const auto& [column, forms] : facts.time_forms)
    if (std::has_single_bit(forms))
      times.emplace_back(column, time_form_name(static_cast<uint8_t>(std::countr_zero(forms))));
  return base::json::serialize(schema.mapping(times));
}

RowFacts longest_facts(const ItemSchema& schema, size_t collections) {
  RowFacts facts;
  facts.collections.resize(collections);
  constexpr double kLong = -1.2345678901234567e-300;
  for (auto& collection : facts.collections) {
    collection.rows = 1;
    collection.extent = {kLong, kLong, -kLong, -kLong};
    collection.first_us = collection.last_us = std::numeric_limits<int64_t>::max() / 2 - 1;
  }
  for (const auto* column : schema.columns()) {
    if (column->type == ColumnType::kGeometry) facts.geometry_types[column->column] = ~0u;
    if (column->type == ColumnType::kTime) facts.time_forms[column->column] = 1u << 14;  // "6+00:00"
  }
  return facts;
}

FooterText::FooterText(size_t length) : placeholder_("{\"placeholder\":\"" + base::random_hex(32) + "\"}") {
  placeholder_.resize(std::max(length, placeholder_.size()), ' ');
}

void FooterText::replace(int fd, uint64_t footer_at, std::string_view footer, std::string_view text) const {
  const size_t at = footer.find(placeholder_);
  if (at == std::string_view::npos || footer.find(placeholder_, at + 1) != std::string_view::npos)
    throw base::InternalError("the footer of the Parquet file has not the text that was put there");
  if (text.size() > placeholder_.size())
    throw base::InternalError("no room in the footer for " + std::string(text.substr(0, 100)));
  std::string padded(text);
  padded.resize(placeholder_.size(), ' ');
  size_t done = 0;
  while (done < padded.size()) {
    const ssize_t n =
        pwrite(fd, padded.data() + done, padded.size() - done, static_cast<off_t>(footer_at + at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("write the footer", errno));
    done += static_cast<size_t>(n);
  }
}

}  // namespace millrace::stac
