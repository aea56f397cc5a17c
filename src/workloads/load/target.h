// A table in some database that rows are loaded into: whole or not at all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "workloads/load/column.h"
#include "workloads/load/row.h"

namespace millrace::load {

enum class Mode { kReplace, kAppend, kUpsert };
const char* mode_name(Mode mode);

struct Table {
  std::vector<Column> columns;
  std::vector<std::string> key;  // primary key; empty: none
};

// Which cell of a row goes into which column.
struct PlannedColumn {
  size_t cell = 0;
  Column column;
};

// Whether rows that the table has already are to be told before they are sent, where a database can.
enum class Comparing { kWhenItPays, kAlways, kNever };

struct Plan {
  Mode mode = Mode::kReplace;
  std::vector<PlannedColumn> columns;
  std::vector<std::string> key;  // upsert: by these; else the primary key, maybe none
  bool covers_table = false;     // no column of the table is left out
  uint64_t source_bytes = 0;     // about what the file has, decompressed
  Comparing compare = Comparing::kWhenItPays;
};

// What is wrong with a row.
struct Problem {
  uint64_t line = 0;
  uint64_t offset = 0;
  bool has_offset = true;
  std::string column, value, reason;
};

struct Applied {
  int64_t inserted = 0, updated = 0, deleted = 0, unchanged = 0;
  int64_t not_sent = 0;  // of the unchanged ones: those that were told apart on this side
  int64_t rows_before = 0, rows_after = 0;
  bool before_estimated = false;  // by the database's statistics: counting would take long
};

// A load that was done, as the ledger keeps it (table millrace_loads beside the target).
struct LedgerEntry {
  std::string target, source, version, etag, mode, checksum, job;
  base::TimeMs modified = 0;
  uint64_t size = 0;
  int64_t rows = 0, rejects = 0, attempt = 0;
};

// Everything between begin() and commit() is one transaction, which ends with the target. Calls in the order
// in which they stand here; prepare() to apply() may be done again (another plan, or the rows once more).
// Throws as sql::Connection does.
class Target {
 public:
  virtual ~Target() = default;
  virtual Dialect dialect() const = 0;
  // Opens the transaction and waits until no other load of the table goes on; `waiting` is told when that is
  // not at once.
  // With `trial` nothing of it is to stay, not even the ledger's table.
  virtual void begin(const std::function<void()>& waiting, bool trial) = 0;
  virtual std::optional<Table> table() = 0;
  // The ledger's newest entries first: of this table, and of `source` when it is not empty.
  virtual std::vector<LedgerEntry> loads(std::string_view source, size_t entries_max) = 0;
  virtual void create(const std::vector<Column>& columns, const std::vector<std::string>& key) = 0;
  virtual void add_columns(const std::vector<Column>& columns) = 0;

  // Throws UsageError for a plan that this database or table cannot do.
  virtual void prepare(const Plan& plan) = 0;
  // Takes the row, or says in `problem` (column, value and reason) why not.
  virtual bool add(const Row& row, Problem& problem) = 0;
  // Rows that only the database can tell are wrong, by line (keys that are there already); they are left out.
  // False: they cannot be told yet: add all rows again, after prepare() with the same plan.
  virtual bool finish_rows(const std::function<void(const Problem&)>& reject) = 0;
  virtual Applied apply() = 0;
  virtual void note(const LedgerEntry& entry) = 0;
  virtual void commit() = 0;
};

// `url` as sql::open_url() takes it, and duckdb:///FILE. Also a path: *.duckdb and *.ddb are DuckDB's, *.db,
// *.sqlite and *.sqlite3 SQLite's. Throws UsageError, and what opening throws.
std::unique_ptr<Target> open_target(const std::string& url, const TableName& table);

std::unique_ptr<Target> open_postgresql_target(const std::string& url, const TableName& table);
std::unique_ptr<Target> open_sqlite_target(const std::string& path, const TableName& table);
std::unique_ptr<Target> open_duckdb_target(const std::string& path, const TableName& table);

// Redshift takes no rows by a connection: workloads/load/redshift.h.
bool is_redshift(const std::string& url);

}  // namespace millrace::load
