#include "workloads/stac/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "sql/duckdb.h"
#include "workloads/stac/geoparquet.h"
#include "workloads/stac/hilbert.h"
#include "workloads/stac/local_parquet.h"
#include "workloads/stac/wkb.h"

namespace millrace::stac {
namespace {

constexpr size_t kNamed = 5;       // of each kind of problem
constexpr double kParsing = 1e-9;  // numbers of a JSON text are not read to the last bit
constexpr std::array<const char*, 5> kJudged = {"bbox, xmin", "bbox, ymin", "bbox, xmax", "bbox, ymax",
                                                "datetime"};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) { low = std::min(low, value), high = std::max(high, value); }
  bool operator==(const Range&) const = default;
};

struct Group {
  uint64_t rows = 0;
  uint32_t first_key = std::numeric_limits<uint32_t>::max(), last_key = 0;
  std::array<Range, kJudged.size()> seen, stated;
};

std::string quoted(const std::string& text) { return "'" + text + "'"; }

class Verification {
 public:
  explicit Verification(const objects::Location& parquet)
      : file_(parquet, ""), database_({.memory_bytes = 2ull << 30, .threads = 1, .geometry_as_wkb = true}) {
    from_ = "read_parquet(" + sql::duckdb_literal(file_.path()) + ", hive_partitioning = false)";
  }

  VerifyReport run(std::optional<uint64_t> rows) {
    if (check_columns()) {
      read_statistics();
      read_rows();
      check_order();
      check_statistics();
      check_duplicates();
      check_geo();
      check_collections();
      if (rows && *rows != report_.rows)
        bad(fmt::format("it has {} rows, and must have {}", report_.rows, *rows));
    }
    report_.row_groups = groups_.size();
    report_.collections.assign(collections_.begin(), collections_.end());
    return std::move(report_);
  }

 private:
  void bad(std::string what) { report_.problems.push_back(std::move(what)); }

  // Of a kind only the first are named.
  void bad_row(const std::string& kind, uint64_t row) {
    uint64_t& count = bad_rows_[kind];
    if (++count <= kNamed) bad(fmt::format("row {}: {}", row, kind));
  }

  // False where the rows cannot be read.
  bool check_columns() {
    std::map<std::string, std::string> types;
    auto described =
        database_.query("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM " + from_ + ")");
    const auto& api = database_.api();
    while (const auto chunk = described.next()) {
      const auto* names =
          static_cast<const duckdb_string_t*>(api.vector_get_data(api.data_chunk_get_vector(chunk, 0)));
      const auto* texts =
          static_cast<const duckdb_string_t*>(api.vector_get_data(api.data_chunk_get_vector(chunk, 1)));
      for (idx_t i = 0; i < api.data_chunk_get_size(chunk); ++i)
        types[std::string(sql::duckdb_bytes(names[i]))] = sql::duckdb_bytes(texts[i]);
    }
    const auto want = [&](const char* column, const std::string& begin, const std::string& end = "") {
      const auto found = types.find(column);
      if (found == types.end())
        bad("there is no column " + quoted(column));
      else if (!found->second.starts_with(begin) || !found->second.ends_with(end))
        bad(fmt::format("column '{}' is {}, not {}{}", column, found->second.substr(0, 60), begin,
                        end.empty() ? "" : "…" + end));
    };
    for (const auto* text : {"type", "stac_version", "id", "collection"}) want(text, "VARCHAR");
    want("stac_extensions", "VARCHAR[]");
    want("geometry", "BLOB");
    want("bbox", "STRUCT(xmin DOUBLE, ymin DOUBLE", ")");
    want("links", "STRUCT(", "[]");
    want("assets", "STRUCT(", ")");
    want("datetime", "TIMESTAMP WITH TIME ZONE");
    return report_.problems.empty();
  }

  void read_statistics() {
    auto rows = database_.query(
        "SELECT row_group_id, row_group_num_rows, path_in_schema, compression, "
        "CASE path_in_schema WHEN 'datetime' THEN epoch_us(stats_min_value::TIMESTAMPTZ) ELSE "
        "TRY_CAST(stats_min_value AS DOUBLE) END::DOUBLE, "
        "CASE path_in_schema WHEN 'datetime' THEN epoch_us(stats_max_value::TIMESTAMPTZ) ELSE "
        "TRY_CAST(stats_max_value AS DOUBLE) END::DOUBLE "
        "FROM parquet_metadata(" +
        sql::duckdb_literal(file_.path()) + ")");
    const auto& api = database_.api();
    uint64_t not_zstd = 0;
    while (const auto chunk = rows.next()) {
      const auto data = [&](idx_t column) {
        return api.vector_get_data(api.data_chunk_get_vector(chunk, column));
      };
      const auto has = [&](idx_t column, idx_t row) {
        auto* valid = api.vector_get_validity(api.data_chunk_get_vector(chunk, column));
        return !valid || api.validity_row_is_valid(valid, row);
      };
      for (idx_t i = 0; i < api.data_chunk_get_size(chunk); ++i) {
        const auto group = static_cast<size_t>(static_cast<const int64_t*>(data(0))[i]);
        if (groups_.size() <= group) groups_.resize(group + 1);
        groups_[group].rows = static_cast<uint64_t>(static_cast<const int64_t*>(data(1))[i]);
        not_zstd += sql::duckdb_bytes(static_cast<const duckdb_string_t*>(data(3))[i]) != "ZSTD";
        const auto path = sql::duckdb_bytes(static_cast<const duckdb_string_t*>(data(2))[i]);
        const auto* found = std::find(kJudged.begin(), kJudged.end(), path);
        if (found == kJudged.end() || !has(4, i) || !has(5, i)) continue;
        groups_[group].stated[static_cast<size_t>(found - kJudged.begin())] = {
            static_cast<const double*>(data(4))[i], static_cast<const double*>(data(5))[i]};
      }
    }
    if (not_zstd > 0) bad(fmt::format("{} column chunks are not compressed with zstd", not_zstd));
    for (size_t i = 0; i < groups_.size(); ++i)
      if (groups_[i].rows > kRowGroupRows)
        bad(fmt::format("row group {} has {} rows, more than {}", i, groups_[i].rows, kRowGroupRows));
  }

  void read_rows() {
    auto rows = database_.stream(
        "SELECT id, collection, bbox.xmin, bbox.ymin, bbox.xmax, bbox.ymax, epoch_us(datetime)::DOUBLE, "
        "geometry "
        "FROM " +
        from_);
    const auto& api = database_.api();
    size_t group = 0;
    uint64_t in_group = 0;
    std::string key;
    while (const auto chunk = rows.next()) {
      std::array<const void*, 8> data;
      std::array<uint64_t*, 8> valid;
      for (idx_t c = 0; c < data.size(); ++c) {
        const auto vector = api.data_chunk_get_vector(chunk, c);
        data[c] = api.vector_get_data(vector);
        valid[c] = api.vector_get_validity(vector);
      }
      const auto has = [&](size_t column, idx_t row) {
        return !valid[column] || (valid[column][row / 64] >> (row % 64) & 1);
      };
      const auto bytes = [&](size_t column, idx_t row) {
        return sql::duckdb_bytes(static_cast<const duckdb_string_t*>(data[column])[row]);
      };
      for (idx_t i = 0; i < api.data_chunk_get_size(chunk); ++i, ++report_.rows) {
        while (group < groups_.size() && in_group == groups_[group].rows) ++group, in_group = 0;
        if (group == groups_.size()) return bad("there are more rows than its row groups say");
        ++in_group;
        if (!has(0, i) || bytes(0, i).empty()) bad_row("no id", report_.rows);
        if (!has(1, i)) {
          bad_row("no collection", report_.rows);
        } else {
          collections_.insert(std::string(bytes(1, i)));
        }
        key.assign(has(1, i) ? bytes(1, i) : "").append(1, '\0').append(has(0, i) ? bytes(0, i) : "");
        identities_.push_back(base::xxh3(key));
        take_place(groups_[group], [&](size_t column) -> std::optional<double> {
          if (!has(2 + column, i)) return std::nullopt;
          return static_cast<const double*>(data[2 + column])[i];
        });
        if (has(7, i)) take_geometry(bytes(7, i));
      }
    }
  }

  void take_place(Group& group, const auto& value_of) {
    std::array<double, 4> box{};
    bool whole = true;
    for (size_t i = 0; i < kJudged.size(); ++i) {
      const auto value = value_of(i);
      if (value) group.seen[i].add(*value);
      if (i == box.size()) break;
      whole &= value.has_value() && std::isfinite(*value);
      box[i] = value.value_or(0);
    }
    if (!whole || box[1] > box[3]) return bad_row("its bbox is none", report_.rows);
    const auto [x, y] = box_centre(box[0], box[1], box[2], box[3]);
    const uint32_t key = hilbert_key(x, y);
    if (group.first_key <= group.last_key && key < group.last_key)
      bad_row("it is not in the order of the Hilbert curve", report_.rows);
    group.first_key = std::min(group.first_key, key);
    group.last_key = std::max(group.last_key, key);
    extent_[0].add(box[0] > box[2] ? -180 : box[0]), extent_[0].add(box[0] > box[2] ? 180 : box[2]);
    extent_[1].add(box[1]), extent_[1].add(box[3]);
  }

  void take_geometry(std::string_view wkb) {
    try {
      const auto facts = wkb_facts(wkb);
      types_.insert(geometry_type_name(facts.type, facts.has_z));
    } catch (const base::CorruptError&) {
      bad_row("its geometry is no well-known binary", report_.rows);
    }
  }

  // Row groups may be written in any order, but each is a part of the curve of its own.
  void check_order() {
    std::vector<const Group*> sorted;
    for (const auto& group : groups_) sorted.push_back(&group);
    std::sort(sorted.begin(), sorted.end(), [](const Group* a, const Group* b) {
      return std::pair(a->first_key, a->last_key) < std::pair(b->first_key, b->last_key);
    });
    uint64_t overlaps = 0;
    for (size_t i = 1; i < sorted.size(); ++i) overlaps += sorted[i - 1]->last_key > sorted[i]->first_key;
    if (overlaps > 0) bad(fmt::format("{} row groups overlap on the Hilbert curve", overlaps));
  }

  void check_statistics() {
    for (size_t g = 0; g < groups_.size(); ++g)
      for (size_t i = 0; i < kJudged.size(); ++i)
        if (!(groups_[g].seen[i] == groups_[g].stated[i]))
          bad(fmt::format("row group {}: the statistics of '{}' say {} to {}, its values are {} to {}", g,
                          kJudged[i], groups_[g].stated[i].low, groups_[g].stated[i].high,
                          groups_[g].seen[i].low, groups_[g].seen[i].high));
  }

  void check_duplicates() {
    std::sort(identities_.begin(), identities_.end());
    if (std::adjacent_find(identities_.begin(), identities_.end()) == identities_.end()) return;
    auto found = database_.query(
        "SELECT collection || ' ' || id || ' is there ' || count(*) || ' times' FROM " + from_ +
        " GROUP BY collection, id HAVING count(*) > 1 ORDER BY ALL LIMIT " + std::to_string(kNamed));
    while (const auto chunk = found.next()) {
      const auto& api = database_.api();
      const auto* texts =
          static_cast<const duckdb_string_t*>(api.vector_get_data(api.data_chunk_get_vector(chunk, 0)));
      for (idx_t i = 0; i < api.data_chunk_get_size(chunk); ++i)
        bad(std::string(sql::duckdb_bytes(texts[i])));
    }
  }

  std::optional<base::json::object> metadata(const char* key) {
    const auto text = file_text(database_, file_.path(), key);
    if (!text) {
      bad(std::string("the metadata has no '") + key + "'");
      return std::nullopt;
    }
    try {
      auto value = base::parse_json(*text, 512);
      if (value.is_object()) return std::move(value.get_object());
    } catch (const base::CorruptError&) {
      // Said below.
    }
    bad(std::string("'") + key + "' of the metadata is no JSON object");
    return std::nullopt;
  }

  void check_geo() {
    const auto geo = metadata("geo");
    if (!geo) return;
    if (base::find_string(*geo, "version") != "1.1.0") bad("'geo' is not of version 1.1.0");
    if (base::find_string(*geo, "primary_column") != "geometry") bad("the primary column is not 'geometry'");
    const auto* columns = base::find_object(*geo, "columns");
    const auto* column = columns ? base::find_object(*columns, "geometry") : nullptr;
    if (!column) return bad("'geo' says nothing of the column 'geometry'");
    if (base::find_string(*column, "encoding") != "WKB") bad("the encoding of 'geometry' is not WKB");
    std::set<std::string> stated;
    if (const auto* types = base::find_array(*column, "geometry_types"))
      for (const auto& type : *types)
        if (type.is_string()) stated.emplace(base::view(type.get_string()));
    if (stated != types_)
      bad("geometry_types is [" + base::join({stated.begin(), stated.end()}, ", ") +
          "], its geometries are [" + base::join({types_.begin(), types_.end()}, ", ") + "]");
    const auto* covering = base::find_object(*column, "covering");
    const auto* box = covering ? base::find_object(*covering, "bbox") : nullptr;
    for (const auto* field : {"xmin", "ymin", "xmax", "ymax"}) {
      const auto* path = box ? base::find_array(*box, field) : nullptr;
      if (!path || *path != base::json::array{"bbox", field})
        bad(std::string("the covering has no path to bbox.") + field);
    }
    if (const auto* bounds = base::find_array(*column, "bbox"); report_.rows > 0) {
      const std::array<double, 4> seen = {extent_[0].low, extent_[1].low, extent_[0].high, extent_[1].high};
      bool same = bounds && bounds->size() == seen.size();
      for (size_t i = 0; same && i < seen.size(); ++i)
        same = (*bounds)[i].is_number() && std::fabs((*bounds)[i].to_number<double>() - seen[i]) < kParsing;
      if (!same)
        bad(fmt::format("the bbox of 'geo' is not that of its rows: [{}, {}, {}, {}]", seen[0], seen[1],
                        seen[2], seen[3]));
    }
  }

  void check_collections() {
    const auto stac = metadata("stac-geoparquet");
    if (!stac) return;
    if (base::find_string(*stac, "version") != "1.0.0") bad("'stac-geoparquet' is not of version 1.0.0");
    const auto* known = base::find_object(*stac, "collections");
    for (const auto& name : collections_)
      if (!known || !base::find_object(*known, name))
        bad("'stac-geoparquet' says nothing of the collection " + quoted(name));
  }

  LocalParquet file_;
  sql::DuckDb database_;
  std::string from_;
  VerifyReport report_;
  std::vector<Group> groups_;
  std::set<std::string> collections_, types_;
  std::vector<uint64_t> identities_;
  std::array<Range, 2> extent_;
  std::map<std::string, uint64_t> bad_rows_;
};

}  // namespace

VerifyReport verify_geoparquet(const objects::Location& parquet, std::optional<uint64_t> rows) {
  return Verification(parquet).run(rows);
}

}  // namespace millrace::stac
