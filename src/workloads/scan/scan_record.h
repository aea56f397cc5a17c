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
  int64_t files_renamed = 0;  // vanished, and found under another name
  int64_t files_skipped = 0;  // unknown, and older than --since
  // By type, of all files listed, unchanged ones too.
  int64_t images = 0;
  int64_t videos = 0;
  int64_t blend_files = 0;
  int64_t other_files = 0;
  int64_t errors = 0;  // items named as failed
  int64_t bytes_read = 0;
  int64_t requests = 0;  // reads of the store
  int64_t sequences = 0;
  bool ended_all_shards = false;  // this process was the last of several and has brought them together
};

// What a scan was told beside its root.
struct ScanKind {
  std::string run_id;  // of the array job that it is part of; empty: none
  std::string kind;    // "merge": finishes what shards have read; empty: reads itself
};

// Inserts the row with status 'running' and returns its id. Rows of scans of the same root that died on this
// machine become 'interrupted'.
int64_t begin_scan(sql::Connection& connection, const ScanContext& context, const workloads::Shard& shard,
                   const ScanKind& kind, base::TimeMs now);
// Rows of scans of this root that died on this machine, or were an earlier attempt of this Batch job
// anywhere, become 'interrupted'.
void end_dead_scans(sql::Connection& connection, const ScanContext& context, base::TimeMs now);
// As begin_scan() within a transaction of the caller, without looking for dead ones.
int64_t insert_scan(sql::Connection& connection, const ScanContext& context, const workloads::Shard& shard,
                    const ScanKind& kind, base::TimeMs now);

// Remembers what failed and has no row in `files`, for whoever brings shards together.
void add_scan_problem(sql::Connection& connection, int64_t scan_id, std::string_view item,
                      std::string_view code, std::string_view error);

// `status`: complete, partial, failed or interrupted.
// `rules`: by which sequences were found; empty where they were not looked for.
void finish_scan(sql::Connection& connection, int64_t scan_id, const ScanCounts& counts,
                 const std::string& status, const std::string& error, const std::string& rules,
                 base::TimeMs now);

// Files listed by the last scan of this root that went through; 0 when there was none.
int64_t last_files_listed(sql::Connection& connection, const ScanContext& context,
                          const workloads::Shard& shard);

}  // namespace millrace::scan
