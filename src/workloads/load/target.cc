#include "workloads/load/target.h"

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"

namespace millrace::load {

std::unique_ptr<Target> open_target(const std::string& url, const TableName& table) {
  if (url.starts_with("postgresql://") || url.starts_with("postgres://") || url.starts_with("postgresql+"))
    return open_postgresql_target(base::replace_all(url, "+psycopg2", ""), table);
  throw base::UsageError("'" + sql::without_password(url) + "' is no database");
}

}  // namespace millrace::load
