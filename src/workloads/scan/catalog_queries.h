// What people ask a catalogue: each question as one SELECT with named, typed columns.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "sql/connection.h"

namespace millrace::scan {

enum class FieldType : uint8_t { kText, kInteger, kReal, kBool, kBytes, kTime, kJson };
struct Field {
  std::string name;
  FieldType type = FieldType::kText;
};

struct CatalogQuery {
  std::vector<Field> fields;  // of the SELECT, in its order
  std::string sql;            // without LIMIT
  std::vector<std::variant<std::string, int64_t>> parameters;
};

// What find looks for; empty or absent: anything.
struct FileFilter {
  std::string pattern;  // of the path: with * or ? of the whole of it or of the name, else any part; any case
  std::string type, format, status, show, codec, tag;
  std::optional<int64_t> size_min, size_max;     // bytes
  std::optional<int64_t> width_min, height_min;  // pixels
  std::optional<base::TimeMs> modified_since;
  bool fold_sequences = false;  // a sequence is one row
};

CatalogQuery find_query(const FileFilter& filter, sql::Dialect dialect);
CatalogQuery missing_query();
// Groups of equal files; `files`: every one of them.
CatalogQuery duplicates_query(bool files);
CatalogQuery sequences_query(bool inconsistent_only);
CatalogQuery unused_query();
CatalogQuery unreadable_query();
CatalogQuery scans_query();

// Runs it and calls `visit` for each row, at most `limit` of them (0: all), in constant memory.
void for_each_row(sql::Connection& connection, const CatalogQuery& query, int64_t limit,
                  const std::function<void(const sql::Statement&)>& visit);
// How many rows it has.
int64_t count_rows(sql::Connection& connection, const CatalogQuery& query);
// The value of a column as JSON: null, a number, true or false, a text, or what the JSON of the column says.
base::json::value json_value(const sql::Statement& row, int column, FieldType type);

// The id of the file that `name` means: its path, a path of this machine, or the end of exactly one path.
// Throws NotFoundError, and ConflictError that names some when there are several.
int64_t find_file(sql::Connection& connection, const std::string& name);

// All that is known about a file: {"file": {…}, "image": {…}, "scenes": […], "dependencies": […], "used_by":
// […], "sequence": {…}, "copies": […]}; lists have at most `items_max` items, and "…_count" says how many
// there are.
base::json::object describe_file(sql::Connection& connection, int64_t id, int64_t items_max);

// The numbers of the summary.
base::json::object describe_catalog(sql::Connection& connection);

}  // namespace millrace::scan
