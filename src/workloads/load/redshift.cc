#include "workloads/load/redshift.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "workloads/load/ledger.h"

namespace millrace::load {
namespace {

std::string names_of(const std::vector<std::string>& names, const std::string& alias = "") {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + alias + sql_name(name);
  return list;
}

std::string copy_options(const RedshiftLoad& load) {
  const FileShape& shape = load.shape;
  std::string options;
  switch (shape.format) {
    case Format::kParquet:
      return " FORMAT AS PARQUET";
    case Format::kJson:
      options = " FORMAT AS JSON 'auto ignorecase'";
      break;
    case Format::kDelimited:
    case Format::kAuto:
      // Redshift's CSV knows double quotes and doubled ones, nothing else.
      if (shape.delimited.quote && shape.delimited.escape != shape.delimited.quote)
        throw base::UsageError("Redshift's CSV knows no backslash before quotes");
      if (shape.delimited.newline == '\r')
        throw base::UsageError("Redshift takes no lines that end in CR alone");
      if (shape.delimited.quote)
        options = " FORMAT AS CSV QUOTE AS " + sql_text(std::string(1, shape.delimited.quote));
      options +=
          " DELIMITER AS " +
          sql_text(shape.delimited.delimiter == '\t' ? "\\t" : std::string(1, shape.delimited.delimiter));
      if (shape.delimited.header) options += " IGNOREHEADER AS 1";
      // Blanks are data, and an empty cell is NULL, as PostgreSQL's CSV has it.
      options += " EMPTYASNULL";
      if (!load.null_text.empty()) options += " NULL AS " + sql_text(load.null_text);
      break;
  }
  if (shape.compression == Compression::kGzip) options += " GZIP";
  if (shape.compression == Compression::kZstd) options += " ZSTD";
  if (shape.compression == Compression::kBzip2) options += " BZIP2";
  if (!load.encoding.empty() && !base::equals_ignore_case(load.encoding, "utf-8")) {
    const std::string lower = base::to_lower(load.encoding);
    if (lower != "utf-16" && lower != "utf-16le" && lower != "utf-16be" && lower != "iso-8859-1" &&
        lower != "latin1")
      throw base::UsageError("Redshift reads UTF-8, UTF-16 and ISO-8859-1, not " + load.encoding);
    options += " ENCODING AS " + std::string(lower == "latin1" || lower == "iso-8859-1" ? "ISO88591"
                                             : lower == "utf-16"                        ? "UTF16"
                                             : lower == "utf-16le"                      ? "UTF16LE"
                                                                                        : "UTF16BE");
  }
  options += " DATEFORMAT AS 'YYYY-MM-DD' TIMEFORMAT AS 'auto'";
  return options;
}

}  // namespace

RedshiftStatements redshift_statements(const RedshiftLoad& load) {
  if (load.max_rejects.share != 0)
    throw base::UsageError("Redshift's MAXERROR is a number; --max-rejects P% cannot be said to it");
  // The number of errors at which it fails: one more than are allowed.
  if (load.max_rejects.rows > 99'999)
    throw base::UsageError("Redshift's MAXERROR is at most 100000, so --max-rejects at most 99999");
  if (load.max_rejects.rows > 0 && load.shape.format == Format::kParquet)
    throw base::UsageError("Redshift has no MAXERROR for Parquet: --max-rejects must be 0");
  if (load.mode == Mode::kUpsert && load.columns.empty() && load.shape.format == Format::kJson)
    throw base::UsageError("the file is empty, or names no columns; say which with --columns");
  if (load.mode == Mode::kUpsert && load.key.empty())
    throw base::UsageError(
        "--mode upsert needs --key COLUMN,… with Redshift, which enforces no primary keys");
  const std::string table = load.table.sql();
  const std::string ledger = TableName{load.table.schema, "millrace_loads"}.sql();
  const std::string stage = "millrace_stage";
  RedshiftStatements out;
  out.before = {ledger_table_sql(ledger, Dialect::kRedshift)};
  // The lock makes loads queue, those of other tables of the schema, too; held to the end of the transaction.
  // Not a lock of the table itself: Redshift knows one kind only, for which readers wait as well.
  // The staging table has the file's columns in the file's order: COPY goes by position (Parquet in any
  // case).
  out.stage = {"BEGIN", "LOCK TABLE " + ledger,
               "CREATE TEMP TABLE " + stage +
                   (load.columns.empty()
                        ? " (LIKE " + table + " INCLUDING DEFAULTS)"
                        : " AS SELECT " + names_of(load.columns) + " FROM " + table + " WHERE 1 = 0")};
  out.copy =
      "COPY " + stage + " FROM " + sql_text(load.manifest) + " IAM_ROLE " +
      (load.iam_role.empty() || load.iam_role == "default" ? "default" : sql_text(load.iam_role)) +
      " MANIFEST" +
      (load.region.empty() || load.shape.format == Format::kParquet ? ""
                                                                    : " REGION AS " + sql_text(load.region)) +
      copy_options(load);
  if (load.shape.format != Format::kParquet) {
    // Statistics of a table that lives for a minute are wasted time, and so is choosing its encodings.
    out.copy += " STATUPDATE OFF COMPUPDATE OFF";
    if (load.max_rejects.rows > 0) out.copy += " MAXERROR AS " + std::to_string(load.max_rejects.rows + 1);
  }
  if (load.max_rejects.rows > 0)
    out.rejected = "SELECT COUNT(*) FROM stl_load_errors WHERE query = PG_LAST_COPY_ID()";
  if (!load.key.empty())
    out.doubles = "SELECT COUNT(*) - (SELECT COUNT(*) FROM (SELECT DISTINCT " + names_of(load.key) +
                  " FROM " + stage + ") AS k) FROM " + stage;
  if (load.mode == Mode::kReplace) {
    // Not TRUNCATE: in Redshift it commits.
    out.apply.push_back("DELETE FROM " + table);
  } else if (load.mode == Mode::kUpsert) {
    std::string same, assignments, differs;
    for (const std::string& name : load.key)
      same +=
          (same.empty() ? "" : " AND ") + table + "." + sql_name(name) + " = " + stage + "." + sql_name(name);
    for (const std::string& name : load.columns) {
      if (std::find(load.key.begin(), load.key.end(), name) != load.key.end()) continue;
      const std::string old = table + "." + sql_name(name), now = stage + "." + sql_name(name);
      assignments += (assignments.empty() ? "" : ", ") + sql_name(name) + " = " + now;
      // Redshift has no IS DISTINCT FROM.
      differs += (differs.empty() ? "" : " OR ") + old + " <> " + now + " OR (" + old + " IS NULL AND " +
                 now + " IS NOT NULL) OR (" + old + " IS NOT NULL AND " + now + " IS NULL)";
    }
    if (load.columns.empty()) {
      // The file has every column of the table, so nothing is lost with the old row.
      out.apply.push_back("DELETE FROM " + table + " USING " + stage + " WHERE " + same);
    } else {
      if (!assignments.empty())
        out.apply.push_back("UPDATE " + table + " SET " + assignments + " FROM " + stage + " WHERE " + same +
                            " AND (" + differs + ")");
      out.apply.push_back("DELETE FROM " + stage + " USING " + table + " WHERE " + same);
    }
  }
  out.apply.push_back("INSERT INTO " + table +
                      (load.columns.empty() ? "" : " (" + names_of(load.columns) + ")") + " SELECT " +
                      (load.columns.empty() ? "*" : names_of(load.columns)) + " FROM " + stage);
  out.rows = "SELECT COUNT(*) FROM " + stage;
  out.ledger = [load, ledger](const std::string& rows, const std::string& rejects) {
    const auto text = [](const std::string& value) { return sql_text(value); };
    return "INSERT INTO " + ledger + " (" + std::string(kLedgerColumns) + ") VALUES (" +
           text(load.table.shown()) + ", " + text(load.source.name) + ", " + text(load.source.version) +
           ", " + text(load.source.etag) + ", " + text(base::iso8601(load.source.modified, true)) + ", " +
           std::to_string(load.source.size) + ", " + text(mode_name(load.mode)) + ", " + rows + ", " +
           rejects + ", " + text(load.source.etag) + ", " + text(load.job) + ", " +
           std::to_string(load.attempt) + ", TO_CHAR(GETDATE(), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))";
  };
  return out;
}

std::string redshift_manifest(const SourceVersion& source) {
  return base::json::serialize(base::json::object{
             {"entries", base::json::array{base::json::object{
                             {"url", source.name},
                             {"mandatory", true},
                             {"meta", base::json::object{{"content_length", source.size}}}}}}}) +
         "\n";
}

std::string redshift_script(const RedshiftLoad& load) {
  const RedshiftStatements statements = redshift_statements(load);
  std::string script = "-- " + load.manifest + ":\n-- " + redshift_manifest(load.source);
  const auto add = [&](const std::string& statement) { script += statement + ";\n"; };
  for (const std::string& statement : statements.before) add(statement);
  for (const std::string& statement : statements.stage) add(statement);
  add(statements.copy);
  const auto look = [&](const std::string& query, const char* what) {
    if (!query.empty()) script += std::string("-- ") + what + "\n" + query + ";\n";
  };
  look(statements.rows, "$ROWS");
  look(statements.rejected, "$REJECTS");
  look(statements.doubles, "more than 0: ROLLBACK");
  for (const std::string& statement : statements.apply) add(statement);
  add(statements.ledger("$ROWS", statements.rejected.empty() ? "0" : "$REJECTS"));
  add("COMMIT");
  return script;
}

}  // namespace millrace::load
