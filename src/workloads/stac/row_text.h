// Rows of a stac-geoparquet file as items: the way back of row_filler.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "sql/duckdb_api.h"
#include "workloads/stac/json_tokens.h"

namespace millrace::stac {

// One thread at a time.
class RowText {
 public:
  // Names and types of the columns; `mapping` is what the file says under kMappingKey, nothing for files of
  // other writers. Throws CorruptError for a type that STAC items do not have, and for required columns that
  // are not there.
  RowText(const std::vector<std::string>& names, const std::vector<duckdb_logical_type>& types,
          const base::json::object* mapping);
  ~RowText();
  RowText(const RowText&) = delete;
  RowText& operator=(const RowText&) = delete;

  // The chunk whose rows follow.
  void begin(duckdb_data_chunk chunk);
  // The item of a row: compact JSON. Lives until the next call. Throws CorruptError.
  std::string_view item(size_t row);

 private:
  struct Field;
  struct Rest;
  void bind(Field& field, duckdb_vector vector);
  // `step`: the name, or 0 for the elements of a list.
  Field field_of(const base::json::value& step, duckdb_logical_type type, base::json::array path);
  void append_value(const Field& field, size_t row);
  void append_box(const Field& field, size_t row);
  void append_members(bool of_properties, size_t row, const Rest& rest);

  const sql::DuckDbApi& api_;
  std::set<std::string> json_, members_;
  std::unordered_map<std::string, std::string> names_, times_;
  std::vector<Field> fields_;
  JsonTokens tokens_;
  std::string out_, rest_text_;
};

}  // namespace millrace::stac
