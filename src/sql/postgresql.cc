#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"
#include "sql/copy_in.h"
#include "sql/copy_out.h"

namespace millrace::sql {
namespace {

constexpr Oid kByteaOid = 17;  // pg_type.oid of bytea, fixed by PostgreSQL

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

struct ForgetNotice {
  static void notice(void*, const char*) {}
};

// What every statement of a connection needs of it.
struct Link {
  PGconn* connection = nullptr;
  std::string shown_url;  // without password
  int64_t changes = 0;
  uint64_t prepared = 0;  // statements so far, for their names

  [[noreturn]] void raise(const PGresult* result) const {
    const char* state = result != nullptr ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
    const char* primary = result != nullptr ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
    std::string code = state != nullptr ? state : "";
    std::string text(base::trim(primary != nullptr ? primary : PQerrorMessage(connection)));
    std::string message = "database " + shown_url + ": " + text;
    // "Key (id)=(7) already exists." is what one wants to know of a constraint.
    const char* detail = result != nullptr ? PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL) : nullptr;
    if (detail != nullptr && code.starts_with("23")) message += std::string(": ") + detail;
    // Classes of PostgreSQL's documentation, appendix A.
    std::string_view group = std::string_view(code).substr(0, 2);
    if (group == "23") throw base::ConflictError(message, code);
    if (code == "42501" || group == "28") throw base::DeniedError(message, code);
    if (PQstatus(connection) != CONNECTION_OK || code.empty() || group == "08" || group == "40" ||
        group == "53" || group == "55" || group == "57" || group == "58") {
      throw base::TransientError(message, code);
    }
    throw base::InternalError(message, code);
  }
  void note_changes(PGresult* result) {
    if (auto count = base::parse_number<int64_t>(PQcmdTuples(result)); count && PQnfields(result) == 0) {
      changes = *count;
    }
  }
};

class PostgresqlStatement final : public Statement {
 public:
  PostgresqlStatement(Link& link, std::string_view sql)
      : link_(link), name_("m" + std::to_string(++link.prepared)) {
    Result result(PQprepare(link_.connection, name_.c_str(), std::string(sql).c_str(), 0, nullptr));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) link_.raise(result.get());
    Result described(PQdescribePrepared(link_.connection, name_.c_str()));
    if (PQresultStatus(described.get()) != PGRES_COMMAND_OK) link_.raise(described.get());
    parameters_.resize(static_cast<size_t>(PQnparams(described.get())));
  }
  ~PostgresqlStatement() override { Result(PQexec(link_.connection, ("DEALLOCATE " + name_).c_str())); }

  Statement& bind_null(int parameter) override {
    at(parameter).reset();
    return *this;
  }
  Statement& bind(int parameter, int64_t value) override { return bind_number(parameter, value); }
  Statement& bind(int parameter, double value) override { return bind_number(parameter, value); }
  Statement& bind(int parameter, std::string_view text) override {
    if (text.find('\0') != std::string_view::npos) {
      throw base::InternalError("text for PostgreSQL may not contain a NUL byte");
    }
    at(parameter) = std::string(text);
    return *this;
  }
  Statement& bind_blob(int parameter, std::string_view bytes) override {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string& text = at(parameter).emplace("\\x");
    text.reserve(2 + bytes.size() * 2);
    for (unsigned char byte : bytes) {
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
    return *this;
  }
  bool step() override {
    if (result_ == nullptr) {
      run_now();
    } else {
      ++row_;
    }
    decoded_.clear();
    if (row_ < PQntuples(result_.get())) return true;
    reset();
    return false;
  }
  void reset() override {
    result_.reset();
    decoded_.clear();
    row_ = 0;
  }
  int columns() const override { return result_ != nullptr ? PQnfields(result_.get()) : 0; }
  bool is_null(int column) const override { return PQgetisnull(result_.get(), row_, column) != 0; }
  int64_t int64(int column) const override {
    std::string_view value = raw(column);
    if (value == "t") return 1;
    if (auto number = base::parse_number<int64_t>(value)) return *number;
    return static_cast<int64_t>(real(column));
  }
  double real(int column) const override { return base::parse_number<double>(raw(column)).value_or(0); }
  std::string_view text(int column) const override {
    if (PQftype(result_.get(), column) != kByteaOid || is_null(column)) return raw(column);
    auto [found, added] = decoded_.try_emplace(column);
    if (added) {
      size_t length = 0;
      unsigned char* bytes = PQunescapeBytea(
          reinterpret_cast<const unsigned char*>(PQgetvalue(result_.get(), row_, column)), &length);
      if (bytes == nullptr) throw base::TransientError("out of memory");
      found->second.assign(reinterpret_cast<char*>(bytes), length);
      PQfreemem(bytes);
    }
    return found->second;
  }

 private:
  std::optional<std::string>& at(int parameter) {
    if (parameter < 1 || static_cast<size_t>(parameter) > parameters_.size()) {
      throw base::InternalError("the statement has no parameter $" + std::to_string(parameter));
    }
    result_.reset();
    row_ = 0;
    return parameters_[static_cast<size_t>(parameter) - 1];
  }
  template <typename Number>
  Statement& bind_number(int parameter, Number value) {
    std::array<char, 32> text;
    auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    at(parameter).emplace(text.data(), end);
    return *this;
  }
  void run_now() {
    values_.resize(parameters_.size());
    for (size_t i = 0; i < values_.size(); ++i) {
      values_[i] = parameters_[i] ? parameters_[i]->c_str() : nullptr;
    }
    // Text for every parameter: PostgreSQL then reads each as the type its column has.
    result_.reset(PQexecPrepared(link_.connection, name_.c_str(), static_cast<int>(values_.size()),
                                 values_.data(), nullptr, nullptr, 0));
    row_ = 0;
    ExecStatusType status = PQresultStatus(result_.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      Result failed = std::move(result_);
      link_.raise(failed.get());
    }
    link_.note_changes(result_.get());
  }
  std::string_view raw(int column) const {
    return {PQgetvalue(result_.get(), row_, column),
            static_cast<size_t>(PQgetlength(result_.get(), row_, column))};
  }

  Link& link_;
  std::string name_;
  std::vector<std::optional<std::string>> parameters_;
  std::vector<const char*> values_;
  Result result_;
  int row_ = 0;
  mutable std::map<int, std::string> decoded_;  // bytea columns of this row
};

class PostgresqlCopy final : public CopyIn {
 public:
  PostgresqlCopy(Link& link, std::string_view sql) : link_(link) {
    Result result(PQexec(link_.connection, std::string(sql).c_str()));
    if (PQresultStatus(result.get()) != PGRES_COPY_IN) link_.raise(result.get());
  }
  ~PostgresqlCopy() override {
    if (ended_) return;
    PQputCopyEnd(link_.connection, "given up");
    while (Result(PQgetResult(link_.connection))) {
    }
  }
  PostgresqlCopy(const PostgresqlCopy&) = delete;
  PostgresqlCopy& operator=(const PostgresqlCopy&) = delete;

  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const size_t piece = std::min<size_t>(bytes.size(), 1 << 20);
      if (PQputCopyData(link_.connection, bytes.data(), static_cast<int>(piece)) != 1) fail();
      bytes.remove_prefix(piece);
    }
  }
  int64_t finish() override {
    ended_ = true;
    if (PQputCopyEnd(link_.connection, nullptr) != 1) link_.raise(nullptr);
    int64_t rows = 0;
    Result failed;
    while (Result result{PQgetResult(link_.connection)}) {
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
        failed = std::move(result);
      else
        rows = base::parse_number<int64_t>(PQcmdTuples(result.get())).value_or(0);
    }
    if (failed) link_.raise(failed.get());
    return rows;
  }

 private:
  // The server may have said why before it went away.
  [[noreturn]] void fail() {
    ended_ = true;
    Result first;
    while (Result result{PQgetResult(link_.connection)}) {
      if (!first && PQresultStatus(result.get()) == PGRES_FATAL_ERROR) first = std::move(result);
    }
    link_.raise(first.get());
  }

  Link& link_;
  bool ended_ = false;
};

class PostgresqlCopyOut final : public CopyOut {
 public:
  PostgresqlCopyOut(Link& link, std::string_view sql) : link_(link) {
    Result result(PQexec(link_.connection, std::string(sql).c_str()));
    if (PQresultStatus(result.get()) != PGRES_COPY_OUT) link_.raise(result.get());
  }
  ~PostgresqlCopyOut() override {
    if (ended_) return;
    if (PGcancel* cancel = PQgetCancel(link_.connection)) {
      std::array<char, 256> why{};
      PQcancel(cancel, why.data(), static_cast<int>(why.size()));
      PQfreeCancel(cancel);
    }
    // What was under way still has to be read, cancelled or not.
    char* bytes = nullptr;
    while (PQgetCopyData(link_.connection, &bytes, 0) > 0) PQfreemem(bytes);
    while (Result(PQgetResult(link_.connection))) {
    }
  }
  PostgresqlCopyOut(const PostgresqlCopyOut&) = delete;
  PostgresqlCopyOut& operator=(const PostgresqlCopyOut&) = delete;

  bool read(std::string& bytes) override {
    if (ended_) return false;
    char* piece = nullptr;
    const int size = PQgetCopyData(link_.connection, &piece, 0);
    if (size > 0) {
      bytes.append(piece, static_cast<size_t>(size));
      PQfreemem(piece);
      return true;
    }
    ended_ = true;
    if (size < -1) link_.raise(nullptr);
    Result failed;
    while (Result result{PQgetResult(link_.connection)})
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK && !failed) failed = std::move(result);
    if (failed) link_.raise(failed.get());
    return false;
  }

 private:
  Link& link_;
  bool ended_ = false;
};

// A password that nobody encoded, so that parts of it were taken for host, port or database; what the server
// or libpq say of those would show it.
bool is_odd(const std::string& url, const PQconninfoOption* options) {
  bool user = false;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view name = option->keyword, value = option->val;
    user |= name == "user" || name == "password";
    if (name == "port" && value.find_first_not_of("0123456789,") != std::string_view::npos) return true;
  }
  const std::string_view before = std::string_view(url).substr(0, url.find('?'));
  return std::count(before.begin(), before.end(), '@') > (user ? 1 : 0);
}

class PostgresqlConnection final : public Connection {
 public:
  explicit PostgresqlConnection(const std::string& url) {
    link_.shown_url = without_password(url);
    char* problem = nullptr;
    PQconninfoOption* parsed = PQconninfoParse(url.c_str(), &problem);
    if (parsed == nullptr) {
      PQfreemem(problem);  // not shown: libpq quotes parts of the URL, maybe the password
      throw base::UsageError(
          "'" + link_.shown_url +
          "' is no PostgreSQL URL; write postgresql://user:password@host:port/database and "
          "percent-encode special characters in the password");
    }
    const bool odd = is_odd(url, parsed);
    PQconninfoFree(parsed);
    if (odd)
      throw base::UsageError(
          "'" + link_.shown_url +
          "' cannot be told apart: percent-encode '@', '/', ':' and '?' in user and password");
    // What stands before the URL is a default, what stands behind it overrules it.
    // Keepalives: networks forget connections that are silent for some minutes (AWS' after 350 seconds), and
    // a server that is gone is to be noticed within two.
    const std::array<const char*, 8> names = {
        "connect_timeout",           "keepalives_idle", "keepalives_interval", "keepalives_count",
        "fallback_application_name", "dbname",          "client_encoding",     nullptr};
    const std::array<const char*, 8> values = {"10",       "60",        "15",   "4",
                                               "millrace", url.c_str(), "UTF8", nullptr};
    link_.connection = PQconnectdbParams(names.data(), values.data(), 1);
    if (link_.connection == nullptr) throw base::TransientError("out of memory");
    if (PQstatus(link_.connection) != CONNECTION_OK) {
      std::string message =
          "cannot connect to " + link_.shown_url + ": " +
          base::replace_all(std::string(base::trim(PQerrorMessage(link_.connection))), "\n", " ");
      PQfinish(link_.connection);
      throw base::TransientError(message);
    }
    PQsetNoticeProcessor(link_.connection, ForgetNotice::notice, nullptr);
  }
  ~PostgresqlConnection() override { PQfinish(link_.connection); }

  Dialect dialect() const override { return Dialect::kPostgresql; }
  void execute(std::string_view sql) override {
    Result result(PQexec(link_.connection, std::string(sql).c_str()));
    ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
      link_.raise(result.get());
    }
    // After an error inside it PostgreSQL answers COMMIT with success and rolls back.
    if (sql == "COMMIT" && std::string_view(PQcmdStatus(result.get())) == "ROLLBACK") {
      throw base::ConflictError("database " + link_.shown_url +
                                ": the transaction failed and was rolled back");
    }
    link_.note_changes(result.get());
  }
  std::unique_ptr<Statement> prepare(std::string_view sql) override {
    return std::make_unique<PostgresqlStatement>(link_, sql);
  }
  int64_t changes() const override { return link_.changes; }
  std::unique_ptr<CopyIn> copy(std::string_view sql) { return std::make_unique<PostgresqlCopy>(link_, sql); }
  std::unique_ptr<CopyOut> copy_out(std::string_view sql) {
    return std::make_unique<PostgresqlCopyOut>(link_, sql);
  }

 private:
  Link link_;
};

}  // namespace

std::unique_ptr<Connection> open_postgresql(const std::string& url) {
  return std::make_unique<PostgresqlConnection>(url);
}

std::unique_ptr<CopyIn> copy_in(Connection& connection, std::string_view sql) {
  if (auto* postgresql = dynamic_cast<PostgresqlConnection*>(&connection)) return postgresql->copy(sql);
  throw base::UsageError("COPY … FROM STDIN is PostgreSQL's");
}

std::unique_ptr<CopyOut> copy_out(Connection& connection, std::string_view sql) {
  if (auto* postgresql = dynamic_cast<PostgresqlConnection*>(&connection)) return postgresql->copy_out(sql);
  throw base::UsageError("COPY … TO STDOUT is PostgreSQL's");
}

}  // namespace millrace::sql
