#include "workloads/load/parquet_reader.h"

#include <thread>

#include "base/error.h"
#include "base/strings.h"
#include "sql/duckdb.h"

namespace millrace::load {
namespace {

constexpr uint64_t kMemoryBytes = 96ull << 20;

// Texts of a type as parse_value() reads them.
std::string as_text(const std::string& name, const std::string& type) {
  if (type == "BLOB") return "'\\x' || lower(hex(" + name + "))";
  if (type.ends_with("[]") || type.starts_with("STRUCT") || type.starts_with("MAP") || type.ends_with(']'))
    return "to_json(" + name + ")::VARCHAR";
  return name + "::VARCHAR";
}

Column column_of_duckdb(const std::string& name, const std::string& type) {
  const std::string lower = base::to_lower(type);
  Column column;
  if (lower.ends_with("]") || lower.starts_with("struct") || lower.starts_with("map")) {
    column.type = Type::kJson;
  } else if (lower == "tinyint" || lower == "utinyint") {
    column.type = Type::kInt16;
  } else if (lower == "usmallint") {
    column.type = Type::kInt32;
  } else if (lower == "uinteger") {
    column.type = Type::kInt64;
  } else if (lower == "ubigint" || lower == "hugeint" || lower == "uhugeint") {
    column.type = Type::kNumeric;
  } else if (lower.starts_with("timestamp_")) {
    column.type = Type::kTimestamp;
  } else {
    column = column_of("", type);
    if (column.type == Type::kOther) column.type = Type::kText;
    if (lower == "float") column.type = Type::kFloat;
  }
  column.declared.clear();
  column.name = name;
  return column;
}

std::vector<std::pair<std::string, std::string>> columns_of(sql::DuckDb& database, const std::string& file) {
  std::vector<std::pair<std::string, std::string>> columns;
  auto rows = database.query("DESCRIBE SELECT * FROM read_parquet(" + sql::duckdb_literal(file) + ")");
  while (const auto chunk = rows.next()) {
    const auto cell = [&](idx_t column, idx_t row) {
      const auto* cells = static_cast<const duckdb_string_t*>(
          database.api().vector_get_data(database.api().data_chunk_get_vector(chunk, column)));
      return std::string(sql::duckdb_bytes(cells[row]));
    };
    for (idx_t i = 0; i < database.api().data_chunk_get_size(chunk); ++i)
      columns.emplace_back(cell(0, i), cell(1, i));
  }
  return columns;
}

class ParquetReader final : public RowReader {
 public:
  explicit ParquetReader(Source& source) : database_({.memory_bytes = kMemoryBytes, .threads = 2}) {
    const std::string file = source.local_path();
    std::string list;
    for (const auto& [name, type] : columns_of(database_, file)) {
      names_.push_back(name);
      list += (list.empty() ? "" : ", ") + as_text(sql::duckdb_identifier(name), type);
    }
    rows_.emplace(
        database_.stream("SELECT " + list + " FROM read_parquet(" + sql::duckdb_literal(file) + ")"));
  }
  const std::vector<std::string>& names() const override { return names_; }
  size_t width() const override { return names_.size(); }

  bool next(Row& row) override {
    const auto& api = database_.api();
    while (!chunk_ || at_ == size_) {
      chunk_ = rows_->next();
      if (!chunk_) return false;
      at_ = 0;
      size_ = api.data_chunk_get_size(chunk_);
    }
    row.line = ++line_;
    row.offset = 0;
    row.problem.clear();
    row.cells.resize(names_.size());
    for (idx_t i = 0; i < names_.size(); ++i) {
      const auto vector = api.data_chunk_get_vector(chunk_, i);
      const uint64_t* validity = api.vector_get_validity(vector);
      Cell& cell = row.cells[i];
      cell = {};
      cell.quoted = true;
      cell.null = validity && !(validity[at_ / 64] >> (at_ % 64) & 1);
      if (!cell.null)
        cell.text = sql::duckdb_bytes(static_cast<const duckdb_string_t*>(api.vector_get_data(vector))[at_]);
    }
    ++at_;
    return true;
  }

 private:
  sql::DuckDb database_;
  std::vector<std::string> names_;
  std::optional<sql::DuckDbResult> rows_;
  duckdb_data_chunk chunk_ = nullptr;
  idx_t at_ = 0, size_ = 0;
  uint64_t line_ = 0;
};

}  // namespace

void describe_parquet(Source& source, FileShape& shape) {
  sql::DuckDb database({.memory_bytes = kMemoryBytes, .threads = 1});
  for (const auto& [name, type] : columns_of(database, source.local_path())) {
    shape.names.push_back(name);
    shape.types.push_back(column_of_duckdb(name, type));
  }
  shape.width = shape.names.size();
  shape.sampled_all = true;
}

std::unique_ptr<RowReader> read_parquet(Source& source) { return std::make_unique<ParquetReader>(source); }

}  // namespace millrace::load
