// Files that have another name now, told by what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sql/connection.h"
#include "workloads/scan/catalog.h"

namespace millrace::scan {

struct VanishedFile {
  int64_t id = 0;
  std::string path, sha256;  // sha256 empty: unknown, so it cannot be found again
  int64_t size = 0;
  bool found_again = false;
};

// For each vanished file whose content is in a file of `range` that was first seen by a scan from
// `scan_id_min` on: the old row takes the new name and facts, and keeps its id; the new row is gone. Sets
// found_again; gives how many. Each new file is taken once. Call within a transaction.
int64_t adopt_renamed(sql::Connection& connection, std::vector<VanishedFile>& gone, int64_t scan_id_min,
                      const PathRange& range);

}  // namespace millrace::scan
