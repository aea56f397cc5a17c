// A DuckDB database with one connection: settings that keep it bounded and off the network, and its errors as
// ours. Everything else is DuckDB's C API (sql/duckdb_api.h) on connection().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sql/duckdb_api.h"

namespace millrace::sql {

struct DuckDbOptions {
  std::string path = {};                 // empty: in memory
  uint64_t memory_bytes = 512ull << 20;  // DuckDB's memory_limit: of its buffers, not of all it allocates
  unsigned threads = 0;                  // 0: one a core
  std::string temporary_folder = {};     // where it may spill; empty: it may not
  bool preserve_insertion_order = true;  // false: less memory in big writes
  bool read_only = false;                // of `path`
  bool keep_no_freed_memory = false;     // what it frees goes back to the system soon, not when it likes
  bool geometry_as_wkb = false;          // GeoParquet: columns of bytes as they stand in the file
};

// Rows of a query, a chunk at a time (at most duckdb_vector_size() rows). Belongs to the thread of its
// database and must not outlive it.
class DuckDbResult {
 public:
  explicit DuckDbResult(duckdb_result result) : result_(result) {}
  ~DuckDbResult();
  DuckDbResult(DuckDbResult&& other) noexcept;
  DuckDbResult(const DuckDbResult&) = delete;
  DuckDbResult& operator=(const DuckDbResult&) = delete;

  duckdb_result* get() { return &result_; }
  idx_t columns();
  std::string_view column_name(idx_t column);
  duckdb_type column_type(idx_t column);
  int64_t rows_changed();
  // The next chunk, valid until the next call; null after the last one. Throws as DuckDb::query().
  duckdb_data_chunk next();
  // The first column of the first row as text (CAST it in the query); nothing for NULL or no row.
  std::optional<std::string> text();
  // The first column of the first row, which is a BIGINT; 0 for NULL or no row.
  int64_t int64();

 private:
  duckdb_result result_;
  duckdb_data_chunk chunk_ = nullptr;
  bool moved_ = false;
};

// One thread at a time; DuckDB's own threads work for it. Extensions are neither installed nor loaded from
// disk, and settings cannot be changed by SQL any more. Throws NotFoundError (no library, no such file),
// ConflictError (a constraint; a file that another process has open), TransientError (memory or disk full),
// CorruptError (bytes that are not what they should be: conversions, invalid input), UsageError (SQL that
// makes no sense here) and InternalError.
class DuckDb {
 public:
  explicit DuckDb(const DuckDbOptions& options = {});
  ~DuckDb();
  DuckDb(const DuckDb&) = delete;
  DuckDb& operator=(const DuckDb&) = delete;

  const DuckDbApi& api() const { return api_; }
  duckdb_connection connection() const { return connection_; }

  // Runs one or more statements, ignoring rows.
  void execute(std::string_view sql);
  // Runs one statement; its rows are in memory as a whole.
  DuckDbResult query(std::string_view sql);
  // Runs one statement whose rows come as they are fetched, in memory that does not grow with them. The
  // connection does nothing else until the result is gone.
  DuckDbResult stream(std::string_view sql);

 private:
  const DuckDbApi& api_;
  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
};

// A value as it stands in SQL: 'it''s'.
std::string duckdb_literal(std::string_view text);
// A name as it stands in SQL: "a ""b""".
std::string duckdb_identifier(std::string_view name);
// The bytes of a VARCHAR or BLOB cell; valid as long as the vector.
std::string_view duckdb_bytes(const duckdb_string_t& cell);

}  // namespace millrace::sql
