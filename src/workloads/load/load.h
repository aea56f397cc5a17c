// The job `load`: the rows of a file or object, in tables, whole or not at all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "workloads/load/file_shape.h"
#include "workloads/load/rejects.h"
#include "workloads/load/target.h"
#include "workloads/result.h"

namespace millrace::load {

enum class Drift { kRefuse, kAdd, kIgnore };

struct LoadOptions {
  std::string source;                  // a path, "-" or s3://BUCKET/KEY
  std::string version_id;              // of the object, as an event named it; empty: the newest
  std::vector<std::string> databases;  // URLs or files; not empty
  std::string table;                   // [SCHEMA.]NAME
  Mode mode = Mode::kReplace;
  std::vector<std::string> key;        // empty: the primary key
  std::vector<NamedColumn> columns;    // names of the file's columns, or which of them, and types
  bool create = false;                 // the table, when it is not there
  Drift new_columns = Drift::kRefuse;  // columns of the file that the table has not
  bool refuse_missing = false;  // columns of the table that the file has not; else they get their default
  bool force = false;           // also what was loaded already
  bool explain = false;         // say how it would be loaded, and load nothing
  bool dry_run = false;         // do everything but the commit; Redshift: print the statements
  ReadOptions read;
  std::string manifest;  // Redshift: where the manifest of the COPY is put; empty: beside the object
  std::string iam_role;  // Redshift: an ARN; empty: the cluster's default
  std::string rejects;   // where; empty: nowhere
  RejectLimit max_rejects;
  Comparing compare = Comparing::kWhenItPays;
  std::string job;  // for the ledger
  int64_t attempt = 1;
  // A sentence for people, as it happens.
  std::function<void(const std::string&)> say = [](const std::string&) {};
  const std::atomic<bool>* stop = nullptr;
};

// Loads into every database; all of them get the same version. What each did is in `result` under "targets";
// a database that got nothing is a failed item. Throws UsageError for options that make no sense, and what
// opening the source throws.
void run_load(const LoadOptions& options, workloads::JobResult& result);

}  // namespace millrace::load
