// The row of one scan in the table `scans`: who looked where, when, and what it cost.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "sql/connection.h"
#include "workloads/scan/extract.h"
#include "workloads/shard.h"

namespace millrace::scan {

struct ScanCounts {
  int64_t files_listed = 0;
  int64_t bytes_listed = 0;
  int64_t files_added = 0;
  int64_t files_changed = 0;
  int64_t files_unchanged = 0;
  int64_t files_missing = 0;
  // By type, of all files listed, unchanged ones too.
  int64_t images = 0;
  int64_t videos = 0;
  int64_t blend_files = 0;
  int64_t other_files = 0;
  int64_t errors = 0;  // items named as failed
  int64_t bytes_read = 0;
  int64_t requests = 0;  // reads of the store
};

// Inserts the row with status 'running' and returns its id. Rows of scans of the same root that died on this
// machine become 'interrupted'.
int64_t begin_scan(sql::Connection& connection, const ScanContext& context, const workloads::Shard& shard,
                   base::TimeMs now);

// `status`: complete, partial, failed or interrupted.
void finish_scan(sql::Connection& connection, int64_t scan_id, const ScanCounts& counts,
                 const std::string& status, const std::string& error, base::TimeMs now);

// Files listed by the last scan of this root that went through; 0 when there was none.
int64_t last_files_listed(sql::Connection& connection, const ScanContext& context,
                          const workloads::Shard& shard);

}  // namespace millrace::scan
