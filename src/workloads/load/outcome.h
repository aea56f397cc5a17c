// What became of a load into one database.
#pragma once

#include <string>

#include "workloads/load/source.h"
#include "workloads/load/target.h"

namespace millrace::load {

struct Outcome {
  std::string status;  // "loaded", "already", "superseded", "dry-run", "explained"
  SourceVersion version;
  int64_t rows = 0, rejects = 0;
  Applied applied;
  std::string shown_table;
};

// Why a version need not be loaded, from the ledger's newest entries ("already", "superseded"); null: it must
// be. `of_source` are those of this source, `of_table` the newest one of the table, if any.
const char* needless(Mode mode, const SourceVersion& version, const std::vector<LedgerEntry>& of_source,
                     const std::vector<LedgerEntry>& of_table);

}  // namespace millrace::load
