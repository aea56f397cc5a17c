#include "workloads/load/ledger.h"

#include <algorithm>

#include "base/time.h"

namespace millrace::load {

Ledger::Ledger(sql::Connection& connection, TableName target)
    : connection_(connection),
      target_(target.shown()),
      table_(TableName{target.schema, "millrace_loads"}.sql()) {}

void Ledger::make() {
  auto there = connection_.prepare("SELECT to_regclass($1) IS NOT NULL");
  there->bind(1, table_);
  const bool found = there->step() && there->int64(0);
  there->run();
  if (found) return;
  sql::Transaction transaction(connection_);
  make_within();
  transaction.commit();
}

void Ledger::make_within() {
  const bool sqlite = connection_.dialect() == sql::Dialect::kSqlite;
  // IF NOT EXISTS alone fails when two make it at once.
  if (!sqlite) connection_.execute("SELECT pg_advisory_xact_lock(hashtext('millrace_loads'))");
  connection_.execute(ledger_table_sql(table_, sqlite ? Dialect::kSqlite : Dialect::kPostgresql));
}

std::vector<LedgerEntry> Ledger::loads(std::string_view source, size_t entries_max) {
  auto rows = connection_.prepare("SELECT " + std::string(kLedgerColumns) + " FROM " + table_ +
                                  " WHERE target = $1" + (source.empty() ? "" : " AND source = $2") +
                                  " ORDER BY id DESC LIMIT " + std::to_string(entries_max));
  rows->bind(1, target_);
  if (!source.empty()) rows->bind(2, source);
  std::vector<LedgerEntry> entries;
  while (rows->step()) {
    LedgerEntry entry;
    entry.target = rows->text(0);
    entry.source = rows->text(1);
    entry.version = rows->text(2);
    entry.etag = rows->text(3);
    entry.modified = base::parse_iso8601(rows->text(4)).value_or(0);
    entry.size = static_cast<uint64_t>(rows->int64(5));
    entry.mode = rows->text(6);
    entry.rows = rows->int64(7);
    entry.rejects = rows->int64(8);
    entry.checksum = rows->text(9);
    entry.job = rows->text(10);
    entry.attempt = rows->int64(11);
    entries.push_back(std::move(entry));
  }
  return entries;
}

void Ledger::note(const LedgerEntry& entry) {
  auto row = connection_.prepare("INSERT INTO " + table_ + " (" + std::string(kLedgerColumns) +
                                 ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)");
  row->bind(1, target_).bind(2, entry.source).bind(3, entry.version).bind(4, entry.etag);
  row->bind(5, base::iso8601(entry.modified, true))
      .bind(6, static_cast<int64_t>(entry.size))
      .bind(7, entry.mode);
  row->bind(8, entry.rows).bind(9, entry.rejects).bind(10, entry.checksum).bind(11, entry.job);
  row->bind(12, entry.attempt).bind(13, base::iso8601(base::SystemClock().now_ms(), true));
  row->run();
}

std::string ledger_table_sql(const std::string& name, Dialect dialect) {
  const char* id = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
  const char* text = "text";
  if (dialect == Dialect::kRedshift) {
    id = "id bigint IDENTITY(1,1)";
    text = "varchar(2048)";
  }
  if (dialect == Dialect::kSqlite) id = "id integer PRIMARY KEY AUTOINCREMENT";
  if (dialect == Dialect::kDuckdb) id = "id bigint PRIMARY KEY";
  std::string sql = "CREATE TABLE IF NOT EXISTS " + name + " (" + id;
  const auto column = [&](const char* of, const char* type, bool required) {
    sql += std::string(", ") + of + " " + type + (required ? " NOT NULL" : "");
  };
  column("target", text, true);
  column("source", text, true);
  column("version", text, true);
  column("etag", text, false);
  column("modified", text, true);  // ISO 8601 in UTC with milliseconds: sorts as time does, in every database
  column("size", "bigint", true);
  column("mode", text, true);
  column("rows", "bigint", true);
  column("rejects", "bigint", true);
  column("checksum", text, true);
  column("job", text, false);
  column("attempt", "bigint", false);
  column("loaded_at", text, true);
  return sql + ")";
}

std::string create_table_sql(const TableName& table, const std::vector<Column>& columns,
                             const std::vector<std::string>& key, Dialect dialect) {
  std::string sql = "CREATE TABLE " + table.sql() + " (";
  bool first = true;
  for (const Column& column : columns) {
    const bool required = column.not_null || std::find(key.begin(), key.end(), column.name) != key.end();
    sql += (first ? "" : ", ") + sql_name(column.name) + " " + declared_type(column, dialect) +
           (required ? " NOT NULL" : "");
    first = false;
  }
  if (!key.empty()) {
    sql += ", PRIMARY KEY (";
    for (size_t i = 0; i < key.size(); ++i) sql += (i ? ", " : "") + sql_name(key[i]);
    sql += ")";
  }
  return sql + ")";
}

}  // namespace millrace::load
