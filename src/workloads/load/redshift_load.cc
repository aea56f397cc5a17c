#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/strings.h"
#include "objects/new_object.h"
#include "objects/s3_client.h"
#include "objects/store.h"
#include "sql/connection.h"
#include "workloads/load/ledger.h"
#include "workloads/load/outcome.h"
#include "workloads/load/plan.h"
#include "workloads/load/redshift.h"

namespace millrace::load {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

int64_t number(sql::Connection& connection, const std::string& sql) {
  auto statement = connection.prepare(sql);
  const int64_t value = statement->step() ? statement->int64(0) : 0;
  statement->run();
  return value;
}

// The manifest, as long as the COPY needs it.
class Manifest {
 public:
  explicit Manifest(const RedshiftLoad& load) : place_(objects::parse_location(load.manifest)) {
    objects::NewObject object(place_, "application/json");
    object.write(redshift_manifest(load.source));
    object.publish();
  }
  ~Manifest() {
    try {
      objects::open_s3(place_.bucket)->remove(place_.path);
    } catch (const base::Error&) {
      // It stays, and the next load of the object overwrites it.
    }
  }
  Manifest(const Manifest&) = delete;
  Manifest& operator=(const Manifest&) = delete;

 private:
  const objects::Location place_;
};

}  // namespace

RedshiftLoad redshift_load(const LoadOptions& options, Source& source) {
  RedshiftLoad load;
  load.table = parse_table_name(options.table);
  load.mode = options.mode;
  load.key = options.key;
  load.source = source.version();
  if (!load.source.name.starts_with("s3://"))
    throw base::UsageError("Redshift fetches from S3 itself: the source must be s3://BUCKET/KEY, not " +
                           load.source.name);
  // Manifests beside their objects make events of their own: a rule for all of the bucket would go on for
  // ever.
  if (load.source.name.ends_with(".manifest"))
    throw base::UsageError(load.source.name + " is a manifest of a COPY and no data");
  load.manifest = options.manifest.empty() ? load.source.name + ".manifest" : options.manifest;
  if (!objects::parse_location(load.manifest).is_s3)
    throw base::UsageError("--manifest: '" + load.manifest +
                           "' is not s3://BUCKET/KEY, where Redshift reads it");
  load.iam_role = options.iam_role;
  load.region = variable("AWS_REGION").empty() ? variable("AWS_DEFAULT_REGION") : variable("AWS_REGION");
  load.max_rejects = options.max_rejects;
  load.encoding = options.read.encoding;
  load.null_text = options.read.null_text;
  load.job = options.job;
  load.attempt = options.attempt;
  std::vector<std::string> known;
  for (const NamedColumn& column : options.columns) known.push_back(column.column.name);
  load.shape = examine(source, options.read, known, false);
  // Redshift folds names to lower case, in quotes, too.
  for (const std::string& name :
       load.shape.format == Format::kJson && !known.empty() ? known : file_names(load.shape, options))
    load.columns.push_back(base::to_lower(name));
  for (std::string& name : load.key) {
    name = base::to_lower(name);
    if (!load.columns.empty() &&
        std::find(load.columns.begin(), load.columns.end(), name) == load.columns.end())
      throw base::UsageError("the key has the column " + name + ", which the file has not");
  }
  return load;
}

Outcome load_into_redshift(const std::string& database, const LoadOptions& options, Source& source) {
  const RedshiftLoad load = redshift_load(options, source);
  Outcome outcome;
  outcome.version = source.version();
  outcome.shown_table = load.table.shown();
  if (options.dry_run || options.explain) {
    options.say(redshift_script(load));
    outcome.status = options.explain ? "explained" : "dry-run";
    return outcome;
  }
  const RedshiftStatements statements = redshift_statements(load);
  std::string url = "postgresql" + database.substr(database.find("://"));
  auto connection = sql::open_postgresql(url);
  for (const std::string& statement : statements.before) connection->execute(statement);
  for (const std::string& statement : statements.stage) connection->execute(statement);
  // Behind the lock, as with every other database.
  Ledger ledger(*connection, load.table);
  if (!options.force)
    if (const char* why =
            needless(options.mode, load.source, ledger.loads(load.source.name, 1000), ledger.loads({}, 1))) {
      connection->execute("ROLLBACK");
      outcome.status = why;
      return outcome;
    }
  const Manifest manifest(load);
  outcome.applied.rows_before = number(*connection, "SELECT COUNT(*) FROM " + load.table.sql());
  connection->execute(statements.copy);
  // The manifest names a key, not a version: what was copied is what we mean only if it is still there.
  if (open_source(options.source)->version().version != load.source.version)
    throw base::ConflictError(
        load.source.name + " was overwritten, and Redshift can fetch the newest version only; it was " +
            load.source.version,
        options.mode == Mode::kAppend ? "" : "SourceChanged");
  const int64_t rejected = statements.rejected.empty() ? 0 : number(*connection, statements.rejected);
  outcome.rejects = rejected;
  if (!statements.doubles.empty() && number(*connection, statements.doubles) > 0)
    throw base::CorruptError(
        "the file has the same key more than once, and Redshift could not tell which row is the last");
  outcome.rows = number(*connection, statements.rows);
  for (const std::string& statement : statements.apply) {
    connection->execute(statement);
    const int64_t changes = connection->changes();
    if (statement.starts_with("UPDATE"))
      outcome.applied.updated = changes;
    else if (statement.starts_with("INSERT"))
      outcome.applied.inserted = changes;
    else if (statement.starts_with("DELETE FROM " + load.table.sql()))
      outcome.applied.deleted = changes;
    else
      outcome.applied.unchanged = changes - outcome.applied.updated;
  }
  connection->execute(statements.ledger(std::to_string(outcome.rows), std::to_string(rejected)));
  connection->execute("COMMIT");
  outcome.applied.rows_after =
      outcome.applied.rows_before + outcome.applied.inserted - outcome.applied.deleted;
  outcome.status = "loaded";
  return outcome;
}

}  // namespace millrace::load
