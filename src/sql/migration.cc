#include "sql/migration.h"

#include "base/error.h"

namespace millrace::sql {

int64_t format_of(Connection& connection) {
  auto version = connection.prepare("PRAGMA user_version");
  version->step();
  const int64_t found = version->int64(0);
  version->reset();
  return found;
}

void migrate(Connection& connection, const std::string& path, std::span<const char* const> steps,
             const std::function<void()>& made) {
  const auto found = static_cast<size_t>(format_of(connection));
  const std::string known = std::to_string(steps.size());
  if (found > steps.size())
    throw base::ConflictError(path + " was made by a newer version of Millrace (format " +
                              std::to_string(found) + ", this one knows " + known +
                              "); run that version, or choose another --data folder");
  if (found == steps.size()) return;
  Transaction transaction(connection);
  for (const char* step : steps.subspan(found)) connection.execute(step);
  connection.execute("PRAGMA user_version = " + known);
  if (found == 0) made();
  transaction.commit();
}

}  // namespace millrace::sql
