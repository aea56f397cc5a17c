// SQLite and PostgreSQL behind one small interface: prepared statements, positional parameters, transactions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::sql {

enum class Dialect { kSqlite, kPostgresql };

// A prepared statement. Parameters are written $1, $2, … in both dialects and counted from 1; columns from 0.
// Belongs to the thread of its connection and must not outlive it.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual Statement& bind_null(int parameter) = 0;
  virtual Statement& bind(int parameter, int64_t value) = 0;
  virtual Statement& bind(int parameter, double value) = 0;
  virtual Statement& bind(int parameter, std::string_view text) = 0;
  // As bind() of a text, of bytes that stay where they are until the parameter is bound again: no copy.
  virtual Statement& bind_view(int parameter, std::string_view text) { return bind(parameter, text); }
  virtual Statement& bind_blob(int parameter, std::string_view bytes) = 0;
  // PostgreSQL: a result is in memory as a whole, so ask for a page at a time (WHERE key > $1 … LIMIT n).
  // The next row; false after the last. The first call runs the statement. After false it may be bound and
  // run again; parameters keep their values. Throws as Connection says.
  virtual bool step() = 0;
  // Gives up the rest of the rows so that the statement can be run again.
  virtual void reset() = 0;
  virtual bool is_null(int column) const = 0;
  virtual int64_t int64(int column) const = 0;
  virtual double real(int column) const = 0;
  virtual std::string_view text(int column) const = 0;  // also blobs; valid until the next step() or reset()

  // Of the row that step() gave.
  virtual int columns() const = 0;

  // Runs to the end, ignoring rows.
  void run() {
    while (step()) {
    }
  }
};

// One connection, used by one thread at a time. Every call throws TransientError (busy, disk full, connection
// lost), ConflictError (a constraint), DeniedError (not allowed to), CorruptError (not a database) or
// InternalError (bad SQL); messages never contain a password.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual Dialect dialect() const = 0;
  // Runs statements separated by ';' that return no rows.
  virtual void execute(std::string_view sql) = 0;
  virtual std::unique_ptr<Statement> prepare(std::string_view sql) = 0;
  // Rows changed by the last statement that changed any.
  virtual int64_t changes() const = 0;
};

// Begins on construction; rolls back unless commit() was called.
class Transaction {
 public:
  explicit Transaction(Connection& connection);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

struct SqliteOptions {
  bool durable = true;     // synchronous=FULL; false: NORMAL (a power cut may lose the last transactions)
  bool exclusive = false;  // locking_mode=EXCLUSIVE: nobody else can open it; ConflictError when somebody has
  bool read_only = false;
};

// WAL mode, foreign keys on, busy timeout 5 s. Creates the file (not its folder: NotFoundError).
std::unique_ptr<Connection> open_sqlite(const std::string& path, const SqliteOptions& options = {});

// `url` is a libpq URI (postgresql://user:password@host:port/dbname?…).
std::unique_ptr<Connection> open_postgresql(const std::string& url);

// sqlite:///relative/path, sqlite:////absolute/path, postgresql://… or postgres://… (SQLAlchemy's forms, a
// "+driver" after the scheme is ignored). Throws UsageError for anything else.
std::unique_ptr<Connection> open_url(const std::string& url);

// The file that a sqlite URL names (":memory:" for sqlite://); nothing when it is not a sqlite URL.
std::optional<std::string> sqlite_path(const std::string& url);

// The URL with its password replaced by "***", for messages.
std::string without_password(const std::string& url);

}  // namespace millrace::sql
