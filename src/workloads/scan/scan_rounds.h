// Shards of one tree: when all have ended, one of them (or a later command) finishes what no shard can alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "sql/connection.h"
#include "workloads/scan/extract.h"

namespace millrace::scan {

// What `scans` says of the newest scan of each shard since the shards were last brought together.
struct ShardRound {
  struct Part {
    int64_t scan_id = 0;  // 0: this shard has not begun
    std::string status, error;
  };
  std::vector<Part> parts;   // by shard
  int64_t merge_id = 0;      // of the scan that finishes or has finished them; 0: none has begun
  std::string merge_status;  // "running", "complete", "partial", "interrupted", "failed"
  bool merged() const { return merge_status == "complete" || merge_status == "partial"; }
  bool all_ended() const;
};

// The round that is under way; when nothing of the next one has begun, the last one. `run_id` tells the
// shards of one run from those of others; empty where nobody gave one.
ShardRound find_round(sql::Connection& connection, const ScanContext& context, uint32_t shards,
                      const std::string& run_id);

// How many shards the newest sharded scan of this root had; 0 when there was none.
uint32_t newest_shard_count(sql::Connection& connection, const ScanContext& context,
                            const std::string& run_id);

// Makes the caller the one that finishes the round: the id of its row in `scans` (kind 'merge', to be ended
// by finish_scan()). 0: not all have ended yet, or another process does it or has done it.
int64_t claim_round(sql::Connection& connection, const ScanContext& context, uint32_t shards,
                    const std::string& run_id, base::TimeMs now);

}  // namespace millrace::scan
