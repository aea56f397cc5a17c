#include "workloads/load/target.h"

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"

namespace millrace::load {

bool is_redshift(const std::string& url) { return url.starts_with("redshift://"); }

std::unique_ptr<Target> open_target(const std::string& url, const TableName& table) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string::npos) {
    for (const char* ending : {".duckdb", ".ddb"})
      if (url.ends_with(ending)) return open_duckdb_target(url, table);
    for (const char* ending : {".db", ".sqlite", ".sqlite3"})
      if (url.ends_with(ending)) return open_sqlite_target(url, table);
  } else {
    const std::string scheme = url.substr(0, std::min(scheme_end, url.find('+')));
    if (scheme == "postgresql" || scheme == "postgres")
      return open_postgresql_target(scheme + url.substr(scheme_end), table);
    if (const auto path = sql::sqlite_path(url)) return open_sqlite_target(*path, table);
    // As SQLAlchemy has it: three slashes and a relative path, or four and an absolute one.
    if (url.starts_with("duckdb:///")) return open_duckdb_target(url.substr(10), table);
  }
  throw base::UsageError(
      "'" + sql::without_password(url) +
      "' is no database; write postgresql://user@host:port/database, redshift://…, or a file that "
      "ends in .db, .sqlite, .sqlite3 or .duckdb");
}

}  // namespace millrace::load
