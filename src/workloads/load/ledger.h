// The table millrace_loads beside a target: which versions of what were loaded. A row is written in the
// transaction of its load, so it is there when and only when the rows are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/connection.h"
#include "workloads/load/target.h"

namespace millrace::load {

// For databases behind sql::Connection (PostgreSQL, Redshift by the former's rules, SQLite).
class Ledger {
 public:
  Ledger(sql::Connection& connection, TableName target);
  // Outside of a transaction, so that loads of other tables need not wait for this one's.
  void make();
  // Within the one that goes on.
  void make_within();
  // As Target::loads().
  std::vector<LedgerEntry> loads(std::string_view source, size_t entries_max);
  void note(const LedgerEntry& entry);

 private:
  sql::Connection& connection_;
  const std::string target_;  // as shown
  const std::string table_;   // the ledger's own name in SQL
};

// The ledger's table; its names and order are the same everywhere.
std::string ledger_table_sql(const std::string& name, Dialect dialect);
inline constexpr std::string_view kLedgerColumns =
    "target, source, version, etag, modified, size, mode, rows, rejects, checksum, job, attempt, loaded_at";

std::string create_table_sql(const TableName& table, const std::vector<Column>& columns,
                             const std::vector<std::string>& key, Dialect dialect);

}  // namespace millrace::load
