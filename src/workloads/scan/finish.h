// What follows when all of a tree was listed, by one process or by several: what has vanished or was renamed,
// which files are sequences, which files that others need are there.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "objects/store.h"
#include "sql/connection.h"
#include "workloads/filter.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/extract.h"
#include "workloads/scan/sequence_names.h"

namespace millrace::scan {

struct FinishOptions {
  std::vector<int64_t> scan_ids;        // the scan of each shard; one for the whole
  std::vector<std::string> unlistable;  // as in the database: files below these are not taken for vanished
  std::vector<workloads::FilterRule> filters;
  SequenceRules sequences;
  bool anything_new = true;  // false: no file was added or changed, so sequences are as they were
  const std::atomic<bool>* stop = nullptr;
};

struct FinishCounts {
  int64_t files_missing = 0;
  int64_t files_renamed = 0;  // vanished, and found under another name by the hash of their content
  int64_t sequences = 0;
  bool of_all_shards = false;
};

// Throws what the database and the store throw; TransientError "interrupted…" after a stop. Memory does not
// grow with the number of files.
FinishCounts finish_tree(sql::Connection& connection, objects::ObjectReader& reader,
                         const ScanContext& context, const PathRange& range, const FinishOptions& options);

}  // namespace millrace::scan
