// Loading into Redshift: it fetches the object itself. The statements are what is promised here; what is
// common to PostgreSQL is run against it in the tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "workloads/load/file_shape.h"
#include "workloads/load/load.h"
#include "workloads/load/outcome.h"

namespace millrace::load {

struct RedshiftLoad {
  TableName table;
  Mode mode = Mode::kReplace;
  std::vector<std::string> key;      // upsert
  std::vector<std::string> columns;  // of the file, in its order; empty: it has them as the table has
  SourceVersion source;
  std::string manifest;  // s3://… of the manifest
  std::string iam_role;  // an ARN, or "default"
  std::string region;
  FileShape shape;
  RejectLimit max_rejects;
  std::string encoding, null_text;
  std::string job;
  int64_t attempt = 1;
};

// What is run, in order, each a statement: one transaction. Throws UsageError for what Redshift cannot do
// (shares of rejects, a quote of another kind, a Parquet file with rejects).
struct RedshiftStatements {
  std::vector<std::string> before;  // outside: the ledger's table
  std::vector<std::string> stage;   // BEGIN, the lock, the staging table
  std::string copy;                 // COPY … MANIFEST
  std::string rejected;             // how many rows the COPY passed over; empty: none, or it had failed
  std::string doubles;              // rows whose key is there twice in the staging table; empty: no key
  std::vector<std::string> apply;   // into the table
  std::string rows;                 // how many rows the staging table has
  // With the numbers of rows and rejects, or what stands for them.
  std::function<std::string(const std::string& rows, const std::string& rejects)> ledger;
};
RedshiftStatements redshift_statements(const RedshiftLoad& load);

// Exactly this object, and an error when it is not there: the COPY command's MANIFEST.
std::string redshift_manifest(const SourceVersion& source);

// What `options` ask for, of the source as it is now.
RedshiftLoad redshift_load(const LoadOptions& options, Source& source);

// Runs it against redshift://…; with dry_run says the script instead, without connecting.
Outcome load_into_redshift(const std::string& database, const LoadOptions& options, Source& source);

// All of it, as --dry-run prints it.
std::string redshift_script(const RedshiftLoad& load);

}  // namespace millrace::load
