#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"
#include "workloads/load/canonical.h"
#include "workloads/load/ledger.h"
#include "workloads/load/target.h"

namespace millrace::load {
namespace {

constexpr std::chrono::minutes kWaitMax{60};

// What SQLite takes a declared type as ("Datatypes In SQLite", section 3.1), where the name says no more.
Type affinity_of(const std::string& declared) {
  const std::string lower = base::to_lower(declared);
  const auto has = [&](const char* part) { return lower.find(part) != std::string::npos; };
  if (has("int")) return Type::kInt64;
  if (has("char") || has("clob") || has("text") || lower.empty()) return Type::kText;
  if (has("blob")) return Type::kBytes;
  if (has("real") || has("floa") || has("doub")) return Type::kDouble;
  return Type::kText;
}

class SqliteTarget final : public Target {
 public:
  SqliteTarget(const std::string& path, const TableName& table)
      : connection_(sql::open_sqlite(path)), name_(table) {
    if (!name_.schema.empty() && name_.schema != "main")
      throw base::UsageError("SQLite has no schemas; write --table " + name_.name);
    name_.schema.clear();
  }
  Dialect dialect() const override { return Dialect::kSqlite; }

  void begin(const std::function<void()>& waiting, bool) override {
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    ledger_.emplace(*connection_, name_);
    // The connection itself waits 5 s a time for the one that writes.
    for (bool told = false;;) {
      try {
        transaction_.emplace(*connection_);
        ledger_->make_within();
        return;
      } catch (const base::TransientError&) {
        if (std::chrono::steady_clock::now() > deadline) throw;
        if (!told) waiting();
        told = true;
      }
    }
  }

  std::optional<Table> table() override {
    auto rows = connection_->prepare(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo($1) "
        "ORDER BY cid");
    rows->bind(1, name_.name);
    Table table;
    std::vector<std::pair<int64_t, std::string>> key;
    while (rows->step()) {
      Column column = column_of(std::string(rows->text(0)), rows->text(1));
      if (column.type == Type::kOther) column.type = affinity_of(column.declared);
      if (column.type == Type::kInt16 || column.type == Type::kInt32) column.type = Type::kInt64;
      if (column.type == Type::kFloat) column.type = Type::kDouble;
      column.not_null = rows->int64(2) != 0;
      column.has_default = rows->int64(3) != 0;
      column.generated = rows->int64(5) > 1;
      if (rows->int64(4) > 0) key.emplace_back(rows->int64(4), column.name);
      table.columns.push_back(std::move(column));
    }
    if (table.columns.empty()) return std::nullopt;
    std::sort(key.begin(), key.end());
    for (auto& [position, name] : key) table.key.push_back(std::move(name));
    return table;
  }

  std::vector<LedgerEntry> loads(std::string_view source, size_t entries_max) override {
    return ledger_->loads(source, entries_max);
  }
  void create(const std::vector<Column>& columns, const std::vector<std::string>& key) override {
    connection_->execute(create_table_sql(name_, columns, key, dialect()));
  }
  void add_columns(const std::vector<Column>& columns) override {
    for (const Column& column : columns)
      connection_->execute("ALTER TABLE " + name_.sql() + " ADD COLUMN " + sql_name(column.name) + " " +
                           declared_type(column, dialect()));
  }

  // Straight into the table: nobody sees it before the commit, and nobody else writes meanwhile.
  void prepare(const Plan& plan) override {
    plan_ = plan;
    applied_ = {};
    applied_.rows_before = count();
    if (plan_.mode == Mode::kReplace) {
      connection_->execute("DELETE FROM " + name_.sql());
      applied_.deleted = applied_.rows_before;
    }
    std::string names, values, assignments, differs;
    int number = 0;
    for (const PlannedColumn& planned : plan_.columns) {
      const std::string name = sql_name(planned.column.name);
      names += (names.empty() ? "" : ", ") + name;
      values += (values.empty() ? "$" : ", $") + std::to_string(++number);
      if (std::find(plan_.key.begin(), plan_.key.end(), planned.column.name) != plan_.key.end()) continue;
      assignments += (assignments.empty() ? "" : ", ") + name + " = excluded." + name;
      differs += (differs.empty() ? "" : " OR ") + std::string("excluded.") + name + " IS NOT " +
                 name_.sql() + "." + name;
    }
    std::string command = "INSERT INTO " + name_.sql() + " (" + names + ") VALUES (" + values + ")";
    if (plan_.mode == Mode::kUpsert) {
      std::string key;
      for (const std::string& name : plan_.key) key += (key.empty() ? "" : ", ") + sql_name(name);
      command += " ON CONFLICT (" + key + ") DO " +
                 (assignments.empty() ? "NOTHING" : "UPDATE SET " + assignments + " WHERE " + differs);
    }
    try {
      insert_ = connection_->prepare(command);
    } catch (const base::InternalError& error) {
      if (plan_.mode != Mode::kUpsert) throw;
      throw base::UsageError("--mode upsert: " + std::string(error.what()) +
                             "; SQLite needs a unique index on the key");
    }
    counter_ = connection_->prepare("SELECT total_changes()");
    changes_before_ = total_changes();
    rows_ = 0;
  }

  bool add(const Row& row, Problem& problem) override {
    int parameter = 0;
    for (const PlannedColumn& planned : plan_.columns) {
      const Cell& cell = row.cells[planned.cell];
      ++parameter;
      const char* reason = check_cell(planned.column, cell, value_, null_);
      if (reason) {
        problem.column = planned.column.name;
        problem.value = cell.text;
        problem.reason = reason;
        return false;
      }
      bind(parameter, planned.column.type, cell);
    }
    try {
      insert_->run();
      ++rows_;
      return true;
    } catch (const base::ConflictError& error) {
      // Only this row's statement was undone.
      insert_->reset();
      problem.column = base::join(plan_.key, ", ");
      problem.value.clear();
      problem.reason = error.what();
      return false;
    }
  }

  bool finish_rows(const std::function<void(const Problem&)>& /*reject*/) override { return true; }

  Applied apply() override {
    applied_.rows_after = count();
    applied_.inserted = applied_.rows_after - applied_.rows_before + applied_.deleted;
    applied_.updated = total_changes() - changes_before_ - applied_.inserted;
    applied_.unchanged = rows_ - applied_.inserted - applied_.updated;
    return applied_;
  }
  void note(const LedgerEntry& entry) override { ledger_->note(entry); }
  void commit() override {
    insert_.reset();
    counter_.reset();
    transaction_->commit();
  }

 private:
  int64_t count() {
    auto statement = connection_->prepare("SELECT count(*) FROM " + name_.sql());
    statement->step();
    return statement->int64(0);
  }
  int64_t total_changes() {
    counter_->step();
    const int64_t changes = counter_->int64(0);
    counter_->reset();
    return changes;
  }
  void bind(int parameter, Type type, const Cell& cell) {
    if (null_) {
      insert_->bind_null(parameter);
      return;
    }
    switch (type) {
      case Type::kBool:
      case Type::kInt16:
      case Type::kInt32:
      case Type::kInt64:
        insert_->bind(parameter, value_.integer);
        return;
      case Type::kFloat:
      case Type::kDouble:
        insert_->bind(parameter, value_.real);
        return;
      case Type::kBytes:
        insert_->bind_blob(parameter, value_.text);
        return;
      default:
        insert_->bind(parameter, std::string_view(canonical_text(type, value_, cell.text)));
    }
  }

  std::unique_ptr<sql::Connection> connection_;
  TableName name_;
  std::optional<Ledger> ledger_;
  std::optional<sql::Transaction> transaction_;
  Plan plan_;
  Applied applied_;
  int64_t rows_ = 0, changes_before_ = 0;
  Value value_;
  bool null_ = false;
  std::unique_ptr<sql::Statement> insert_, counter_;
};

}  // namespace

std::unique_ptr<Target> open_sqlite_target(const std::string& path, const TableName& table) {
  return std::make_unique<SqliteTarget>(path, table);
}

}  // namespace millrace::load
