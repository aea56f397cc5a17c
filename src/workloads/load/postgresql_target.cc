#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "sql/connection.h"
#include "workloads/load/binary_rows.h"
#include "workloads/load/canonical.h"
#include "workloads/load/comparison.h"
#include "workloads/load/copy_sender.h"
#include "workloads/load/ledger.h"
#include "workloads/load/target.h"

namespace millrace::load {
namespace {

constexpr size_t kSendBytes = 512 * 1024;
constexpr int64_t kCountMax = 5'000'000;  // rows, by the statistics: above it the count before is theirs
constexpr const char* kStage = "pg_temp.millrace_stage";

Type type_of_oid(int64_t oid) {
  switch (oid) {  // pg_type.dat
    case 16:
      return Type::kBool;
    case 17:
      return Type::kBytes;
    case 20:
      return Type::kInt64;
    case 21:
      return Type::kInt16;
    case 23:
      return Type::kInt32;
    case 25:
    case 1042:
    case 1043:
      return Type::kText;
    case 114:
      return Type::kJson;
    case 700:
      return Type::kFloat;
    case 701:
      return Type::kDouble;
    case 1082:
      return Type::kDate;
    case 1114:
      return Type::kTimestamp;
    case 1184:
      return Type::kTimestampTz;
    case 1700:
      return Type::kNumeric;
    case 2950:
      return Type::kUuid;
    case 3802:
      return Type::kJsonb;
    default:
      return Type::kOther;
  }
}

class PostgresqlTarget final : public Target {
 public:
  PostgresqlTarget(const std::string& url, const TableName& table)
      : connection_(sql::open_postgresql(url)), name_(table) {
    // Values mean the same whatever the server's settings are. And the source may be slow, while nothing is
    // asked of the server as long as all rows are known.
    connection_->execute(
        "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits "
        "= 1; SET standard_conforming_strings = on; SET idle_in_transaction_session_timeout = 0");
    resolve_name();
  }

  Dialect dialect() const override { return Dialect::kPostgresql; }

  void begin(const std::function<void()>& waiting, bool trial) override {
    ledger_.emplace(*connection_, name_);
    if (!trial) ledger_->make();
    transaction_.emplace(*connection_);
    if (trial) ledger_->make_within();
    // Also two loads that both find no table must not run at once: the lock is on the name.
    const std::string digest = base::sha256("millrace load " + name_.shown());
    uint64_t key = 0;
    for (size_t i = 0; i < 8; ++i) key = key << 8 | static_cast<unsigned char>(digest[i]);
    const std::string lock = "(" + std::to_string(static_cast<int64_t>(key)) + ")";
    if (one_number("SELECT pg_try_advisory_xact_lock" + lock + "::int") == 0) {
      waiting();
      auto wait = connection_->prepare("SELECT pg_advisory_xact_lock" + lock);
      wait->run();
    }
  }

  std::optional<Table> table() override {
    auto found = connection_->prepare(
        "SELECT c.oid::bigint, c.relkind IN ('r', 'p', 'f') FROM pg_class c JOIN pg_namespace n ON n.oid = "
        "c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 'S', 'c', "
        "'t')");
    found->bind(1, name_.schema).bind(2, name_.name);
    if (!found->step()) return std::nullopt;
    const int64_t oid = found->int64(0);
    if (!found->int64(1)) throw base::UsageError(name_.shown() + " is no table");
    found->run();
    Table table;
    auto rows = connection_->prepare(
        "SELECT a.attname, t.oid::bigint, a.atttypmod, a.attnotnull, a.atthasdef OR a.attidentity <> '', "
        "a.attgenerated <> '', a.attidentity <> '', format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY a.attnum");
    rows->bind(1, oid);
    while (rows->step()) {
      Column column;
      column.name = rows->text(0);
      column.type = type_of_oid(rows->int64(1));
      const auto modifier = static_cast<int>(rows->int64(2));
      column.not_null = rows->int64(3) != 0;
      column.has_default = rows->int64(4) != 0;
      column.generated = rows->int64(5) != 0;
      column.identity = rows->int64(6) != 0;
      column.declared = rows->text(7);
      if (column.type == Type::kText && modifier > 4) column.length_max = static_cast<uint32_t>(modifier - 4);
      if (column.type == Type::kNumeric && modifier > 4) {
        column.precision = ((modifier - 4) >> 16) & 0xffff;
        column.scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
      }
      table.columns.push_back(std::move(column));
    }
    auto key = connection_->prepare(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY "
        "(i.indkey) WHERE i.indrelid = $1 AND i.indisprimary ORDER BY array_position(i.indkey::int2[], "
        "a.attnum)");
    key->bind(1, oid);
    while (key->step()) table.key.emplace_back(key->text(0));
    primary_key_ = table.key;
    return table;
  }

  std::vector<LedgerEntry> loads(std::string_view source, size_t entries_max) override {
    return ledger_->loads(source, entries_max);
  }

  void create(const std::vector<Column>& columns, const std::vector<std::string>& key) override {
    connection_->execute(create_table_sql(name_, columns, key, dialect()));
    primary_key_ = key;
  }

  void add_columns(const std::vector<Column>& columns) override {
    for (const Column& column : columns)
      connection_->execute("ALTER TABLE " + name_.sql() + " ADD COLUMN " + sql_name(column.name) + " " +
                           declared_type(column, dialect()));
  }

  void prepare(const Plan& plan) override {
    sender_.reset();
    sieve_.reset();
    plan_ = plan;
    if (!savepoint_) {
      estimate_before();
      connection_->execute("SAVEPOINT millrace");
      savepoint_ = true;
    } else {
      connection_->execute("ROLLBACK TO SAVEPOINT millrace");
    }
    bool cast = false;
    identity_ = false;
    for (const PlannedColumn& planned : plan_.columns) {
      cast |= planned.column.type == Type::kOther;
      identity_ |= planned.column.identity;
    }
    // Straight into the table where no row can meet another one: an empty table, or rows that are added. It
    // is tried, too, where there is a key, and done over by way of the staging table when rows do meet.
    const bool by_difference = plan_.mode == Mode::kUpsert || (plan_.covers_table && !plan_.key.empty());
    const bool meeting_shows = plan_.mode != Mode::kUpsert || same_names(plan_.key, primary_key_);
    direct_ = !cast && !met_ && meeting_shows && (empty_ || plan_.mode == Mode::kAppend || !by_difference);
    names_.clear();
    for (const PlannedColumn& planned : plan_.columns)
      names_ += (names_.empty() ? "" : ", ") + sql_name(planned.column.name);
    deleted_ = 0;
    if (direct_) {
      if (plan_.mode == Mode::kReplace && !empty_) {
        delete_all();
      } else {
        count_before();
      }
      sender_.emplace(*connection_,
                      "COPY " + name_.sql() + " (" + names_ + ") FROM STDIN WITH (FORMAT binary)");
    }
    rows_ = BinaryRows();
    begins_.clear();
    numbers_ = {};
    staged_ = false;
    if (direct_) return;
    if (auto comparison = empty_ ? std::nullopt : compare(*connection_, name_, plan_, before_)) {
      header_ = rows_.take();
      sieve_.emplace(*connection_, std::move(*comparison));
    } else {
      count_before();
      header_.clear();
      stage();
    }
  }

  bool add(const Row& row, Problem& problem) override {
    const size_t begin = rows_.size();
    rows_.begin_row(plan_.columns.size() + (direct_ ? 0 : 1));
    for (const PlannedColumn& planned : plan_.columns) {
      const Cell& cell = row.cells[planned.cell];
      const Column& column = planned.column;
      bool null = false;
      const char* reason = check_cell(column, cell, value_, null);
      if (null) {
        rows_.add_null();
      } else if (!reason) {
        rows_.add(column, value_);
      }
      if (reason) {
        rows_.drop_row();
        problem.column = column.name;
        problem.value = cell.text;
        problem.reason = reason;
        return false;
      }
    }
    if (!direct_) rows_.add_int64(numbers_.next(row.line));
    if (sieve_) begins_.push_back(static_cast<uint32_t>(begin));
    if (rows_.size() >= kSendBytes) send_rows();
    return true;
  }

  bool finish_rows(const std::function<void(const Problem&)>& reject) override {
    if (sieve_) {
      send_rows();
      sieve_->finish();
      send_passed();
      copied_ = sieve_->kept_back();
      if (!staged_) {
        count_sifted();
        return true;
      }
    }
    rows_.end();
    sender_->push(rows_.take());
    try {
      copied_ = sender_->finish() + (sieve_ ? sieve_->kept_back() : 0);
      sender_.reset();
    } catch (const base::ConflictError& error) {
      // 23505 unique_violation, 23P01 exclusion_violation: which rows those were, only the staging table can
      // tell. Other constraints name the row's values themselves.
      if (!direct_ || error.code() != "23505" || plan_.key.empty()) throw;
      met_ = true;
      return false;
    }
    if (direct_) return true;
    if (sieve_) count_sifted();
    // The join below is planned by what there is, not by guesses.
    connection_->execute(std::string("ANALYZE ") + kStage);
    if (plan_.mode == Mode::kUpsert || plan_.key.empty()) return true;
    reject_doubles(reject);
    return true;
  }

  Applied apply() override {
    Applied applied;
    applied.rows_before = before_;
    applied.before_estimated = estimated_;
    if (sieve_) applied.not_sent = sieve_->kept_back();
    if (direct_) {
      applied.inserted = copied_;
      applied.deleted = deleted_;
    } else if (plan_.mode == Mode::kAppend || plan_.key.empty() ||
               (plan_.mode == Mode::kReplace && !plan_.covers_table)) {
      if (plan_.mode == Mode::kReplace) delete_all();
      connection_->execute(insert_head() + " SELECT " + stage_values("s.") + " FROM " + kStage +
                           " s ORDER BY millrace_number");
      applied.inserted = connection_->changes();
      applied.deleted = deleted_;
    } else if (!staged_) {
      applied.unchanged = copied_;
    } else {
      apply_difference(applied);
    }
    applied.rows_after = applied.rows_before + applied.inserted - applied.deleted;
    return applied;
  }

  void note(const LedgerEntry& entry) override { ledger_->note(entry); }

  void commit() override {
    connection_->execute("COMMIT");
    transaction_->forget();
  }

 private:
  // Rolls back unless it is told to forget.
  class Open {
   public:
    explicit Open(sql::Connection& connection) : connection_(connection) {
      // Whatever the server's default: what others committed while this one waited for the lock must be seen.
      connection_.execute("BEGIN ISOLATION LEVEL READ COMMITTED");
    }
    ~Open() {
      if (!open_) return;
      try {
        connection_.execute("ROLLBACK");
      } catch (const base::Error&) {
        // The connection is gone, and the transaction with it.
      }
    }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    void forget() { open_ = false; }

   private:
    sql::Connection& connection_;
    bool open_ = true;
  };

  int64_t one_number(const std::string& sql) {
    auto statement = connection_->prepare(sql);
    const int64_t number = statement->step() ? statement->int64(0) : 0;
    statement->run();
    return number;
  }

  // The schema it is found in, or made in: locks, the ledger and messages name it in full.
  void resolve_name() {
    if (!name_.schema.empty()) return;
    auto found = connection_->prepare(
        "SELECT coalesce((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE "
        "c.oid = to_regclass($1)), current_schema()::name)");
    found->bind(1, sql_name(name_.name));
    if (found->step() && !found->is_null(0)) name_.schema = found->text(0);
    if (name_.schema.empty())
      throw base::UsageError("the database has no schema to look in (search_path); write SCHEMA." +
                             name_.name);
  }

  void estimate_before() {
    before_ = one_number("SELECT coalesce(max(reltuples), 0)::bigint FROM pg_class WHERE oid = to_regclass(" +
                         sql_text(name_.sql()) + ")");
    estimated_ = before_ > kCountMax;
    empty_ = !estimated_ && one_number("SELECT EXISTS (SELECT FROM " + name_.sql() + ")::int") == 0;
  }
  void count_before() {
    if (!estimated_) before_ = empty_ ? 0 : one_number("SELECT count(*) FROM " + name_.sql());
  }

  void count_sifted() {
    const auto rows = sieve_->table_rows();
    if (rows && !estimated_)
      before_ = *rows;
    else
      count_before();
  }

  void stage() {
    make_stage();
    sender_.emplace(*connection_, std::string("COPY ") + kStage + " FROM STDIN WITH (FORMAT binary)");
    sender_->push(std::move(header_));
    staged_ = true;
  }
  void send(std::string bytes) {
    if (!sender_->push(std::move(bytes))) sender_->finish();  // throws
  }
  void send_rows() {
    if (!sieve_) return send(rows_.take());
    sieve_->push(rows_.take(), std::exchange(begins_, {}));
    if (sieve_->complete()) send_passed();
  }
  void send_passed() {
    for (std::string passed = sieve_->take(); !passed.empty(); passed = sieve_->take()) {
      if (!staged_) stage();
      send(std::move(passed));
    }
  }

  // Not TRUNCATE: it would lock readers out until the commit, and show an empty table to transactions that
  // began before it.
  void delete_all() {
    connection_->execute("DELETE FROM " + name_.sql());
    deleted_ = connection_->changes();
    before_ = deleted_;
    estimated_ = false;
  }

  void make_stage() {
    connection_->execute("DROP TABLE IF EXISTS pg_temp.millrace_stage, pg_temp.millrace_changed");
    std::string columns;
    for (const PlannedColumn& planned : plan_.columns) {
      const bool cast = planned.column.type == Type::kOther;
      columns += sql_name(planned.column.name) + " " + (cast ? "text" : planned.column.declared) + ", ";
    }
    connection_->execute("CREATE TEMP TABLE millrace_stage (" + columns +
                         "millrace_number bigint) ON COMMIT DROP");
  }

  // The planned columns as they go into the table; `alias` as "s.".
  std::string stage_value(const Column& column, const std::string& alias) const {
    const std::string name = alias + sql_name(column.name);
    return column.type == Type::kOther ? name + "::" + column.declared : name;
  }
  std::string stage_values(const std::string& alias) const {
    std::string list;
    for (const PlannedColumn& planned : plan_.columns)
      list += (list.empty() ? "" : ", ") + stage_value(planned.column, alias);
    return list;
  }
  std::string key_names(const std::string& alias) const {
    std::string list;
    for (const std::string& name : plan_.key) list += (list.empty() ? "" : ", ") + alias + sql_name(name);
    return list;
  }
  const Column& planned(const std::string& name) const {
    for (const PlannedColumn& planned : plan_.columns)
      if (planned.column.name == name) return planned.column;
    throw base::UsageError("the file has no column " + name + ", which is in the key");
  }
  // s.key = t.key
  std::string same_key(const std::string& s, const std::string& t) const {
    std::string list;
    for (const std::string& name : plan_.key)
      list += (list.empty() ? "" : " AND ") + stage_value(planned(name), s) + " = " + t + sql_name(name);
    return list;
  }
  bool in_key(const std::string& name) const {
    return std::find(plan_.key.begin(), plan_.key.end(), name) != plan_.key.end();
  }
  std::string differs(const std::string& s, const std::string& t) const {
    std::string list;
    for (const PlannedColumn& planned : plan_.columns) {
      const Column& column = planned.column;
      if (in_key(column.name)) continue;
      // json and types we do not know may have no equality.
      const char* as = column.type == Type::kJson || column.type == Type::kOther ? "::text" : "";
      list += (list.empty() ? "" : " OR ") + stage_value(column, s) + as + " IS DISTINCT FROM " + t +
              sql_name(column.name) + as;
    }
    return list.empty() ? "false" : "(" + list + ")";
  }
  std::string insert_head() const {
    return "INSERT INTO " + name_.sql() + " (" + names_ + ")" + (identity_ ? " OVERRIDING SYSTEM VALUE" : "");
  }

  // Rows whose key stands in the file before, or (append) in the table already.
  void reject_doubles(const std::function<void(const Problem&)>& reject) {
    const std::string shown = "concat_ws(', ', " + key_names("s.") + ")";
    const auto tell = [&](const std::string& sql, const char* reason) {
      connection_->execute("DECLARE millrace_doubles NO SCROLL CURSOR FOR " + sql);
      auto page = connection_->prepare("FETCH 1000 FROM millrace_doubles");
      int64_t count = 0, before = -1;
      while (before != count) {
        before = count;
        while (page->step()) {
          Problem problem;
          problem.line = RowNumbers::line_of(page->int64(0));
          problem.has_offset = false;
          problem.column = base::join(plan_.key, ", ");
          problem.value = page->text(1);
          problem.reason = reason;
          reject(problem);
          ++count;
        }
      }
      page.reset();
      connection_->execute("CLOSE millrace_doubles");
      return count;
    };
    const std::string doubles = std::string("SELECT millrace_number, row_number() OVER (PARTITION BY ") +
                                key_names("s.") + " ORDER BY millrace_number) AS n, " + shown +
                                " AS shown FROM " + kStage + " s";
    const int64_t distinct =
        one_number("SELECT count(*) FROM (SELECT DISTINCT " + key_names("s.") + " FROM " + kStage + " s) k");
    if (distinct != copied_) {
      tell("SELECT millrace_number, shown FROM (" + doubles + ") d WHERE n > 1 ORDER BY millrace_number",
           "the key stands in the file before");
      connection_->execute(std::string("DELETE FROM ") + kStage +
                           " WHERE millrace_number IN (SELECT millrace_number FROM (" + doubles +
                           ") d WHERE n > 1)");
      copied_ -= connection_->changes();
    }
    if (plan_.mode != Mode::kAppend) return;
    const std::string known = std::string(" FROM ") + kStage + " s WHERE EXISTS (SELECT FROM " + name_.sql() +
                              " t WHERE " + same_key("s.", "t.") + ")";
    if (tell("SELECT s.millrace_number, " + shown + known + " ORDER BY 1",
             "the key is in the table already") > 0) {
      connection_->execute(std::string("DELETE") + known);
      copied_ -= connection_->changes();
    }
  }

  // Only rows that differ are written: a repeated load of the same rows costs a join.
  void apply_difference(Applied& applied) {
    connection_->execute("SET LOCAL work_mem = '64MB'");
    const std::string key = base::join(quoted(plan_.key), ", ");
    connection_->execute("CREATE TEMP TABLE millrace_changed ON COMMIT DROP AS SELECT " + key_names("s.") +
                         " FROM " + kStage + " s LEFT JOIN " + name_.sql() + " t ON " + same_key("s.", "t.") +
                         " WHERE t." + sql_name(plan_.key[0]) + " IS NULL OR " + differs("s.", "t."));
    if (plan_.mode == Mode::kReplace) {
      connection_->execute("DELETE FROM " + name_.sql() + " t WHERE NOT EXISTS (SELECT FROM " + kStage +
                           " s WHERE " + same_key("s.", "t.") + ")");
      applied.deleted = connection_->changes();
    }
    const int64_t changed = one_number("SELECT count(*) FROM pg_temp.millrace_changed");
    if (changed > 0) {
      connection_->execute("ANALYZE pg_temp.millrace_changed");
      // The last line of a key wins, as if they had been applied one after the other.
      const std::string last = "(SELECT DISTINCT ON (" + key_names("a.") + ") a.* FROM " + kStage +
                               " a WHERE (" + key_names("a.") + ") IN (SELECT " + key +
                               " FROM pg_temp.millrace_changed) ORDER BY " + key_names("a.") +
                               ", a.millrace_number DESC)";
      std::string assignments;
      for (const PlannedColumn& planned : plan_.columns) {
        const Column& column = planned.column;
        if (in_key(column.name)) continue;
        assignments +=
            (assignments.empty() ? "" : ", ") + sql_name(column.name) + " = " + stage_value(column, "s.");
      }
      if (!assignments.empty()) {
        connection_->execute("UPDATE " + name_.sql() + " t SET " + assignments + " FROM " + last +
                             " s WHERE " + same_key("s.", "t.") + " AND " + differs("s.", "t."));
        applied.updated = connection_->changes();
      }
      connection_->execute(insert_head() + " SELECT " + stage_values("s.") + " FROM " + last +
                           " s WHERE NOT EXISTS (SELECT FROM " + name_.sql() + " t WHERE " +
                           same_key("s.", "t.") + ") ORDER BY s.millrace_number");
      applied.inserted = connection_->changes();
    }
    applied.unchanged = copied_ - applied.inserted - applied.updated;
  }

  static bool same_names(std::vector<std::string> a, std::vector<std::string> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
  }

  static std::vector<std::string> quoted(const std::vector<std::string>& names) {
    std::vector<std::string> list;
    for (const std::string& name : names) list.push_back(sql_name(name));
    return list;
  }

  std::unique_ptr<sql::Connection> connection_;
  TableName name_;
  std::optional<Ledger> ledger_;
  std::optional<Open> transaction_;
  Plan plan_;
  std::string names_;
  std::vector<std::string> primary_key_;
  bool savepoint_ = false, direct_ = false, identity_ = false;
  bool empty_ = false, estimated_ = false;
  bool met_ = false;  // rows met others: straight into the table will not do
  bool staged_ = false;
  int64_t before_ = 0, deleted_ = 0, copied_ = 0;
  BinaryRows rows_;
  std::string header_;  // of the COPY, until there is one
  std::vector<uint32_t> begins_;
  RowNumbers numbers_;
  Value value_;
  std::optional<Sieve> sieve_;
  std::optional<CopySender> sender_;  // last: both end before the connection does
};

}  // namespace

std::unique_ptr<Target> open_postgresql_target(const std::string& url, const TableName& table) {
  return std::make_unique<PostgresqlTarget>(url, table);
}

}  // namespace millrace::load
