#include <sqlite3.h>

#include <cerrno>

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"

namespace millrace::sql {
namespace {

constexpr int kBusyTimeoutMs = 5000;
// Another process that holds an exclusive database will not let go of it: fail soon, but outlast its exit.
constexpr int kExclusiveTimeoutMs = 500;

[[noreturn]] void raise(sqlite3* db, int result, const std::string& path) {
  const char* text = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(result);
  int system = db != nullptr ? sqlite3_system_errno(db) : 0;
  std::string message = "database " + path + ": " + text;
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw base::TransientError("database " + path + " is busy: another process is writing to it");
    case SQLITE_FULL:
      throw base::TransientError("database " + path + ": the disk is full; free some space and try again",
                                 "DiskFull");
    case SQLITE_IOERR:
      if (system == ENOSPC || system == EDQUOT) {
        throw base::TransientError("database " + path + ": the disk is full; free some space and try again",
                                   "DiskFull");
      }
      throw base::TransientError(system != 0 ? base::system_message(message, system) : message);
    case SQLITE_NOMEM:
      throw base::TransientError(message);
    case SQLITE_CONSTRAINT:
      throw base::ConflictError(message);
    case SQLITE_CORRUPT:
      throw base::CorruptError(message);
    case SQLITE_NOTADB:
      throw base::CorruptError(path + " is not a SQLite database");
    case SQLITE_CANTOPEN:
      if (system == EACCES || system == EPERM || system == EROFS) {
        throw base::DeniedError(base::system_message("open database " + path, system));
      }
      if (system == ENOSPC || system == EDQUOT) {
        throw base::TransientError("database " + path + ": the disk is full; free some space and try again",
                                   "DiskFull");
      }
      throw base::NotFoundError(system != 0 ? base::system_message("open database " + path, system)
                                            : message);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      throw base::DeniedError(message);
    default:
      throw base::InternalError(message);
  }
}

// Where what begins at `at` ends, if no parameter can be in it: a text, a quoted name, a comment. Else `at`.
size_t skip_quoted(std::string_view sql, size_t at) {
  std::string_view end;
  size_t begin = 1;
  switch (sql[at]) {
    case '\'':
    case '"':
    case '`':
      end = sql.substr(at, 1);  // a doubled one ends it and begins it anew
      break;
    case '[':
      end = "]";
      break;
    case '-':
      if (sql.substr(at, 2) == "--") end = "\n";
      break;
    case '/':
      if (sql.substr(at, 2) == "/*") end = "*/";
      begin = 2;
      break;
    default:
      break;
  }
  if (end.empty()) return at;
  const size_t found = sql.find(end, at + begin);
  return found == std::string_view::npos ? sql.size() : found + end.size();
}

bool continues_name(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$' ||
         (c & 0x80) != 0;
}

// "$2" as SQLite writes a parameter with a number: "?2". It takes "$2" for a name, finds names by looking at
// all before, and counts them as they come.
std::string with_numbered_parameters(std::string_view sql) {
  std::string text(sql);
  for (size_t i = 0; i < text.size();) {
    if (const size_t end = skip_quoted(sql, i); end != i) {
      i = end;
      continue;
    }
    if (sql[i] == '$' && i + 1 < sql.size() && sql[i + 1] >= '1' && sql[i + 1] <= '9' &&
        (i == 0 || !continues_name(sql[i - 1])))
      text[i] = '?';
    ++i;
  }
  return text;
}

class SqliteStatement final : public Statement {
 public:
  SqliteStatement(sqlite3* db, const std::string& path, std::string_view sql) : db_(db), path_(path) {
    const std::string text = with_numbered_parameters(sql);
    int result = sqlite3_prepare_v3(db, text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT,
                                    &statement_, nullptr);
    if (result != SQLITE_OK) raise(db, result, path);
    if (statement_ == nullptr) throw base::InternalError("database " + path + ": an empty statement");
    parameters_ = sqlite3_bind_parameter_count(statement_);
    for (int i = 1; i <= parameters_; ++i) {
      // Others would be counted as they come. A number that is left out has no name.
      const char* parameter = sqlite3_bind_parameter_name(statement_, i);
      if (parameter == nullptr || *parameter == '?') continue;
      sqlite3_finalize(statement_);
      throw base::InternalError("parameters are written $1, $2, …");
    }
  }
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  Statement& bind_null(int parameter) override {
    return check(sqlite3_bind_null(statement_, begin_bind(parameter)));
  }
  Statement& bind(int parameter, int64_t value) override {
    return check(sqlite3_bind_int64(statement_, begin_bind(parameter), value));
  }
  Statement& bind(int parameter, double value) override {
    return check(sqlite3_bind_double(statement_, begin_bind(parameter), value));
  }
  Statement& bind(int parameter, std::string_view text) override {
    // An empty view may have no address, which SQLite would take for NULL.
    const char* data = text.data() != nullptr ? text.data() : "";
    return check(sqlite3_bind_text64(statement_, begin_bind(parameter), data, text.size(), SQLITE_TRANSIENT,
                                     SQLITE_UTF8));
  }
  Statement& bind_view(int parameter, std::string_view text) override {
    const char* data = text.data() != nullptr ? text.data() : "";
    return check(sqlite3_bind_text64(statement_, begin_bind(parameter), data, text.size(), SQLITE_STATIC,
                                     SQLITE_UTF8));
  }
  Statement& bind_blob(int parameter, std::string_view bytes) override {
    const char* data = bytes.data() != nullptr ? bytes.data() : "";
    return check(
        sqlite3_bind_blob64(statement_, begin_bind(parameter), data, bytes.size(), SQLITE_TRANSIENT));
  }
  bool step() override {
    int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) {
      running_ = true;
      return true;
    }
    running_ = false;
    sqlite3_reset(statement_);
    if (result != SQLITE_DONE) raise(db_, result, path_);
    return false;
  }
  void reset() override {
    sqlite3_reset(statement_);
    running_ = false;
  }
  int columns() const override { return sqlite3_column_count(statement_); }
  bool is_null(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  int64_t int64(int column) const override { return sqlite3_column_int64(statement_, column); }
  double real(int column) const override { return sqlite3_column_double(statement_, column); }
  std::string_view text(int column) const override {
    const void* data = sqlite3_column_type(statement_, column) == SQLITE_BLOB
                           ? sqlite3_column_blob(statement_, column)
                           : sqlite3_column_text(statement_, column);
    if (data == nullptr) return {};
    return {static_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  // SQLite refuses to bind while rows are pending.
  int begin_bind(int parameter) {
    if (running_) reset();
    if (parameter < 1 || parameter > parameters_)
      throw base::InternalError("the statement has no parameter $" + std::to_string(parameter));
    return parameter;
  }
  Statement& check(int result) {
    if (result != SQLITE_OK) raise(db_, result, path_);
    return *this;
  }

  sqlite3* db_;
  const std::string& path_;
  sqlite3_stmt* statement_ = nullptr;
  int parameters_ = 0;
  bool running_ = false;
};

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(const std::string& path, const SqliteOptions& options) : path_(path) {
    // Nobody asks how much memory SQLite has, and counting it takes a lock for every piece. Refused when
    // somebody was here before: that only costs time.
    static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    static_cast<void>(uncounted);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    int result = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr);
    try {
      if (result != SQLITE_OK) raise(db_, result, path_);
      configure(options);
    } catch (...) {
      sqlite3_close_v2(db_);
      throw;
    }
  }
  ~SqliteConnection() override { sqlite3_close_v2(db_); }

  Dialect dialect() const override { return Dialect::kSqlite; }
  void execute(std::string_view sql) override {
    int result = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) raise(db_, result, path_);
  }
  std::unique_ptr<Statement> prepare(std::string_view sql) override {
    return std::make_unique<SqliteStatement>(db_, path_, sql);
  }
  int64_t changes() const override { return sqlite3_changes64(db_); }

 private:
  void configure(const SqliteOptions& options) {
    sqlite3_busy_timeout(db_, options.exclusive ? kExclusiveTimeoutMs : kBusyTimeoutMs);
    execute("PRAGMA foreign_keys=ON");
    if (options.read_only) {
      execute(
          "SELECT count(*) FROM sqlite_schema");  // says now, not at the first query, that it is no database
      return;
    }
    if (!options.exclusive) {
      enter_wal(options);
      return;
    }
    try {
      execute("PRAGMA locking_mode=EXCLUSIVE");
      enter_wal(options);
      execute("BEGIN EXCLUSIVE; COMMIT");  // the mode alone locks nothing before the first access
    } catch (const base::TransientError& e) {
      if (!e.code().empty()) throw;
      throw base::ConflictError("database " + path_ + " is in use by another process");
    }
    sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  }
  void enter_wal(const SqliteOptions& options) {
    execute("PRAGMA journal_mode=WAL");
    execute(options.durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    execute("PRAGMA wal_autocheckpoint=4000");
  }

  std::string path_;
  sqlite3* db_ = nullptr;
};

}  // namespace

std::unique_ptr<Connection> open_sqlite(const std::string& path, const SqliteOptions& options) {
  return std::make_unique<SqliteConnection>(path, options);
}

}  // namespace millrace::sql
