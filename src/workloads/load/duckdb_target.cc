#include <algorithm>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "sql/duckdb.h"
#include "workloads/load/canonical.h"
#include "workloads/load/ledger.h"
#include "workloads/load/target.h"

namespace millrace::load {
namespace {

constexpr std::chrono::minutes kWaitMax{60};
constexpr std::chrono::milliseconds kWaitEvery{200};  // DuckDB announces nothing: a file is free or not

using TextRow = std::vector<std::optional<std::string>>;

class DuckDbTarget final : public Target {
 public:
  DuckDbTarget(std::string path, const TableName& table) : path_(std::move(path)), name_(table) {
    if (name_.schema.empty()) name_.schema = "main";
    ledger_ = TableName{name_.schema, "millrace_loads"}.sql();
  }
  ~DuckDbTarget() override { close_appender(); }
  DuckDbTarget(const DuckDbTarget&) = delete;
  DuckDbTarget& operator=(const DuckDbTarget&) = delete;

  Dialect dialect() const override { return Dialect::kDuckdb; }

  // One process at a time has the file, so that is the queue, too.
  void begin(const std::function<void()>& waiting, bool) override {
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    for (bool told = false;;) {
      try {
        database_.emplace(sql::DuckDbOptions{
            .path = path_, .memory_bytes = 160ull << 20, .threads = 2, .temporary_folder = path_ + ".tmp"});
        break;
      } catch (const base::ConflictError&) {
        if (std::chrono::steady_clock::now() > deadline) throw;
        if (!told) waiting();
        told = true;
        std::this_thread::sleep_for(kWaitEvery);
      }
    }
    database_->execute("BEGIN TRANSACTION");
    database_->execute(ledger_table_sql(ledger_, dialect()));
  }

  std::optional<Table> table() override {
    const std::string which =
        " WHERE database_name = current_database() AND schema_name = " + sql_text(name_.schema) +
        " AND lower(table_name) = lower(" + sql_text(name_.name) + ")";
    Table table;
    for (const TextRow& row :
         text_rows("SELECT column_name, data_type, (NOT is_nullable)::VARCHAR, (column_default IS "
                   "NOT NULL)::VARCHAR FROM duckdb_columns()" +
                   which + " ORDER BY column_index")) {
      Column column = column_of(*row[0], *row[1]);
      if (base::to_lower(*row[1]) == "float") column.type = Type::kFloat;
      column.not_null = row[2] == "true";
      column.has_default = row[3] == "true";
      table.columns.push_back(std::move(column));
    }
    if (table.columns.empty()) return std::nullopt;
    for (const TextRow& row : text_rows("SELECT unnest(constraint_column_names) FROM duckdb_constraints()" +
                                        which + " AND constraint_type = 'PRIMARY KEY'"))
      table.key.push_back(*row[0]);
    return table;
  }

  std::vector<LedgerEntry> loads(std::string_view source, size_t entries_max) override {
    std::vector<LedgerEntry> entries;
    for (const TextRow& row : text_rows("SELECT source, version, modified, rows::VARCHAR, mode FROM " +
                                        ledger_ + " WHERE target = " + sql_text(name_.shown()) +
                                        (source.empty() ? "" : " AND source = " + sql_text(source)) +
                                        " ORDER BY id DESC LIMIT " + std::to_string(entries_max))) {
      LedgerEntry entry;
      entry.target = name_.shown();
      entry.source = *row[0];
      entry.version = *row[1];
      entry.modified = base::parse_iso8601(*row[2]).value_or(0);
      entry.rows = base::parse_number<int64_t>(*row[3]).value_or(0);
      entry.mode = *row[4];
      entries.push_back(std::move(entry));
    }
    return entries;
  }

  void create(const std::vector<Column>& columns, const std::vector<std::string>& key) override {
    database_->execute(create_table_sql(name_, columns, key, dialect()));
  }
  void add_columns(const std::vector<Column>& columns) override {
    for (const Column& column : columns)
      database_->execute("ALTER TABLE " + name_.sql() + " ADD COLUMN " + sql_name(column.name) + " " +
                         declared_type(column, dialect()));
  }

  // Checked texts into a staging table; DuckDB makes values of them, which cannot fail any more.
  void prepare(const Plan& plan) override {
    plan_ = plan;
    numbers_ = {};
    close_appender();
    database_->execute("DROP TABLE IF EXISTS temp.main.millrace_stage");
    std::string columns;
    for (const PlannedColumn& planned : plan_.columns)
      columns += sql_name(planned.column.name) + " VARCHAR, ";
    database_->execute("CREATE TEMP TABLE millrace_stage (" + columns + "millrace_number BIGINT)");
    const auto state =
        database_->api().appender_create(database_->connection(), nullptr, "millrace_stage", &appender_);
    check(state);
  }

  bool add(const Row& row, Problem& problem) override {
    // A row is begun only when all of it is good.
    texts_.resize(plan_.columns.size());
    for (size_t i = 0; i < plan_.columns.size(); ++i) {
      const PlannedColumn& planned = plan_.columns[i];
      const Cell& cell = row.cells[planned.cell];
      bool null = false;
      if (const char* reason = check_cell(planned.column, cell, value_, null)) {
        problem.column = planned.column.name;
        problem.value = cell.text;
        problem.reason = reason;
        return false;
      }
      if (null)
        texts_[i].reset();
      else
        texts_[i] = canonical_text(planned.column.type, value_, cell.text);
    }
    const auto& api = database_->api();
    for (const auto& text : texts_)
      check(text ? api.append_varchar_length(appender_, text->data(), text->size())
                 : api.append_null(appender_));
    check(api.append_int64(appender_, numbers_.next(row.line)));
    check(api.appender_end_row(appender_));
    return true;
  }

  bool finish_rows(const std::function<void(const Problem&)>& reject) override {
    check(database_->api().appender_flush(appender_));
    close_appender();
    if (plan_.key.empty()) return true;
    const std::string key = values(plan_.key, "s.");
    const std::string doubles =
        plan_.mode == Mode::kUpsert ? "millrace_number DESC" : "millrace_number";  // the last line wins
    const std::string numbered = "SELECT millrace_number, concat_ws(', ', " + names(plan_.key, "s.") +
                                 ") AS shown, row_number() OVER (PARTITION BY " + key + " ORDER BY " +
                                 doubles + ") AS n FROM millrace_stage s";
    if (plan_.mode != Mode::kUpsert)
      drop("SELECT millrace_number, shown FROM (" + numbered + ") WHERE n > 1",
           "the key stands in the file before", reject);
    else
      database_->execute(
          "DELETE FROM millrace_stage WHERE millrace_number IN (SELECT millrace_number FROM (" + numbered +
          ") WHERE n > 1)");
    if (plan_.mode == Mode::kAppend)
      drop("SELECT millrace_number, concat_ws(', ', " + names(plan_.key, "s.") +
               ") AS shown FROM millrace_stage s WHERE EXISTS "
               "(SELECT 1 FROM " +
               name_.sql() + " t WHERE " + same_key() + ")",
           "the key is in the table already", reject);
    return true;
  }

  Applied apply() override {
    Applied applied;
    applied.rows_before = number("SELECT count(*) FROM " + name_.sql());
    std::vector<std::string> all;
    std::string assignments, differs;
    for (const PlannedColumn& planned : plan_.columns) {
      const std::string& name = planned.column.name;
      all.push_back(name);
      if (std::find(plan_.key.begin(), plan_.key.end(), name) != plan_.key.end()) continue;
      assignments +=
          (assignments.empty() ? "" : ", ") + sql_name(name) + " = " + value_of(planned.column, "s.");
      differs += (differs.empty() ? "" : " OR ") + value_of(planned.column, "s.") + " IS DISTINCT FROM t." +
                 sql_name(name);
    }
    const bool by_key = !plan_.key.empty() &&
                        (plan_.mode == Mode::kUpsert || (plan_.mode == Mode::kReplace && plan_.covers_table));
    if (plan_.mode == Mode::kReplace)
      applied.deleted = changed(
          "DELETE FROM " + name_.sql() + " t" +
          (by_key ? " WHERE NOT EXISTS (SELECT 1 FROM millrace_stage s WHERE " + same_key() + ")" : ""));
    if (by_key && !assignments.empty())
      applied.updated = changed("UPDATE " + name_.sql() + " t SET " + assignments +
                                " FROM millrace_stage s WHERE " + same_key() + " AND (" + differs + ")");
    applied.inserted = changed(
        "INSERT INTO " + name_.sql() + " (" + names(all, "") + ") SELECT " + values(all, "s.") +
        " FROM millrace_stage s" +
        (by_key ? " WHERE NOT EXISTS (SELECT 1 FROM " + name_.sql() + " t WHERE " + same_key() + ")" : "") +
        " ORDER BY millrace_number");
    applied.unchanged = number("SELECT count(*) FROM millrace_stage") - applied.inserted - applied.updated;
    applied.rows_after = applied.rows_before + applied.inserted - applied.deleted;
    return applied;
  }

  void note(const LedgerEntry& entry) override {
    const auto text = [](const std::string& value) { return sql_text(value); };
    database_->execute("INSERT INTO " + ledger_ + " (id, " + std::string(kLedgerColumns) +
                       ") SELECT coalesce(max(id), 0) + 1, " + text(name_.shown()) + ", " +
                       text(entry.source) + ", " + text(entry.version) + ", " + text(entry.etag) + ", " +
                       text(base::iso8601(entry.modified, true)) + ", " + std::to_string(entry.size) + ", " +
                       text(entry.mode) + ", " + std::to_string(entry.rows) + ", " +
                       std::to_string(entry.rejects) + ", " + text(entry.checksum) + ", " + text(entry.job) +
                       ", " + std::to_string(entry.attempt) + ", " +
                       text(base::iso8601(base::SystemClock().now_ms(), true)) + " FROM " + ledger_);
  }
  void commit() override { database_->execute("COMMIT"); }

 private:
  std::vector<TextRow> text_rows(const std::string& query) {
    std::vector<TextRow> rows;
    auto result = database_->query(query);
    const auto& api = database_->api();
    while (const auto chunk = result.next()) {
      for (idx_t i = 0; i < api.data_chunk_get_size(chunk); ++i) {
        TextRow& row = rows.emplace_back();
        for (idx_t column = 0; column < result.columns(); ++column) {
          const auto vector = api.data_chunk_get_vector(chunk, column);
          const uint64_t* validity = api.vector_get_validity(vector);
          if (validity && !(validity[i / 64] >> (i % 64) & 1))
            row.emplace_back();
          else
            row.emplace_back(
                sql::duckdb_bytes(static_cast<const duckdb_string_t*>(api.vector_get_data(vector))[i]));
        }
      }
    }
    return rows;
  }
  int64_t number(const std::string& query) { return database_->query(query).int64(); }
  int64_t changed(const std::string& command) { return database_->query(command).rows_changed(); }
  void check(duckdb_state state) {
    if (state == DuckDBSuccess) return;
    const auto& api = database_->api();
    auto error = api.appender_error_data(appender_);
    const char* text = api.error_data_message(error);
    const std::string message = text ? text : "no reason given";
    api.destroy_error_data(&error);
    throw base::TransientError("DuckDB: " + message);
  }
  void close_appender() {
    if (appender_) database_->api().appender_destroy(&appender_);
    appender_ = nullptr;
  }
  const Column& planned(const std::string& name) const {
    for (const PlannedColumn& planned : plan_.columns)
      if (planned.column.name == name) return planned.column;
    throw base::InternalError("column " + name + " is not loaded");
  }
  static std::string value_of(const Column& column, const std::string& alias) {
    const std::string name = alias + sql_name(column.name);
    if (column.type == Type::kText) return name;
    if (column.type == Type::kBytes) return "unhex(" + name + "[3:])";
    return "CAST(" + name + " AS " + column.declared + ")";
  }
  std::string values(const std::vector<std::string>& columns, const std::string& alias) const {
    std::string list;
    for (const std::string& name : columns)
      list += (list.empty() ? "" : ", ") + value_of(planned(name), alias);
    return list;
  }
  static std::string names(const std::vector<std::string>& columns, const std::string& alias) {
    std::string list;
    for (const std::string& name : columns) list += (list.empty() ? "" : ", ") + alias + sql_name(name);
    return list;
  }
  std::string same_key() const {
    std::string list;
    for (const std::string& name : plan_.key)
      list += (list.empty() ? "" : " AND ") + value_of(planned(name), "s.") + " = t." + sql_name(name);
    return list;
  }
  void drop(const std::string& wrong, const char* reason, const std::function<void(const Problem&)>& reject) {
    database_->execute("CREATE OR REPLACE TEMP TABLE millrace_wrong AS " + wrong);
    auto rows = text_rows(
        "SELECT millrace_number::VARCHAR, shown FROM millrace_wrong ORDER BY millrace_number LIMIT 10000");
    const int64_t all = number("SELECT count(*) FROM millrace_wrong");
    for (int64_t i = 0; i < all; ++i) {
      Problem problem;
      problem.has_offset = false;
      problem.column = base::join(plan_.key, ", ");
      problem.reason = reason;
      if (static_cast<size_t>(i) < rows.size()) {
        const TextRow& row = rows[static_cast<size_t>(i)];
        problem.line = RowNumbers::line_of(base::parse_number<int64_t>(row[0].value_or("0")).value_or(0));
        problem.value = row[1].value_or("");
      }
      reject(problem);
    }
    database_->execute(
        "DELETE FROM millrace_stage WHERE millrace_number IN (SELECT millrace_number FROM millrace_wrong)");
  }

  const std::string path_;
  TableName name_;
  std::string ledger_;
  std::optional<sql::DuckDb> database_;
  duckdb_appender appender_ = nullptr;
  Plan plan_;
  RowNumbers numbers_;
  Value value_;
  std::vector<std::optional<std::string>> texts_;
};

}  // namespace

std::unique_ptr<Target> open_duckdb_target(const std::string& path, const TableName& table) {
  return std::make_unique<DuckDbTarget>(path, table);
}

}  // namespace millrace::load
