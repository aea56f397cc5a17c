#include "sql/connection.h"

#include "base/error.h"
#include "base/strings.h"

namespace millrace::sql {
namespace {

constexpr std::string_view kSchemeEnd = "://";

// The scheme without its driver: "postgresql+psycopg2://…" gives "postgresql"; empty when there is none.
std::string_view scheme_of(std::string_view url) {
  size_t end = url.find(kSchemeEnd);
  if (end == std::string_view::npos) return {};
  return url.substr(0, std::min(end, url.find('+')));
}

bool is_postgresql(std::string_view scheme) { return scheme == "postgresql" || scheme == "postgres"; }

// Blanks out the value of every "password=", also in "sslpassword=".
void hide_password_fields(std::string& text) {
  constexpr std::string_view kField = "password=";
  for (size_t at = text.find(kField); at != std::string::npos; at = text.find(kField, at)) {
    at += kField.size();
    size_t end = text.find_first_of("& '", at);
    text.replace(at, (end == std::string::npos ? text.size() : end) - at, "***");
  }
}

}  // namespace

Transaction::Transaction(Connection& connection) : connection_(connection) {
  // SQLite: taking the write lock at once is what lets the busy timeout work; upgrading later would not wait.
  connection_.execute(connection_.dialect() == Dialect::kSqlite ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    connection_.execute("ROLLBACK");
  } catch (const base::Error&) {
    // The database ended the transaction itself (disk full, connection lost): there is nothing left to undo.
  }
}

void Transaction::commit() {
  connection_.execute("COMMIT");
  open_ = false;
}

std::optional<std::string> sqlite_path(const std::string& url) {
  if (scheme_of(url) != "sqlite") return std::nullopt;
  std::string_view rest = std::string_view(url).substr(url.find(kSchemeEnd) + kSchemeEnd.size());
  rest = rest.substr(0, rest.find('?'));
  if (rest.empty() || rest == "/" || rest == "/:memory:") return ":memory:";
  if (rest.front() != '/') return std::nullopt;
  return std::string(rest.substr(1));
}

std::unique_ptr<Connection> open_url(const std::string& url) {
  if (auto path = sqlite_path(url)) return open_sqlite(*path);
  std::string_view scheme = scheme_of(url);
  if (is_postgresql(scheme)) {
    return open_postgresql(std::string(scheme) + url.substr(url.find(kSchemeEnd)));
  }
  throw base::UsageError(
      "'" + without_password(url) +
      "' is no database URL; write sqlite:///relative/file.db, sqlite:////absolute/file.db or "
      "postgresql://user:password@host:port/database");
}

std::string without_password(const std::string& url) {
  std::string shown = url;
  if (scheme_of(shown) == "sqlite") return shown;
  size_t start = shown.find(kSchemeEnd);
  if (start != std::string::npos) {
    start += kSchemeEnd.size();
    // The last '@' wherever it stands: a password may hold '@', '/' or '?' that nobody encoded.
    size_t at = shown.rfind('@');
    size_t colon = shown.find(':', start);
    if (at != std::string::npos && colon < at) shown.replace(colon + 1, at - colon - 1, "***");
  }
  hide_password_fields(shown);
  return shown;
}

}  // namespace millrace::sql
