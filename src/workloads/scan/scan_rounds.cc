#include "workloads/scan/scan_rounds.h"

#include <algorithm>

#include "workloads/scan/scan_record.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

// SQLite's transactions begin with the write lock; PostgreSQL's need one.
void lock_rounds(sql::Connection& connection) {
  if (connection.dialect() == sql::Dialect::kPostgresql)
    connection.execute("SELECT pg_advisory_xact_lock(7263549002)");
}

}  // namespace

bool ShardRound::all_ended() const {
  return std::all_of(parts.begin(), parts.end(),
                     [](const Part& part) { return part.status == "complete" || part.status == "partial"; });
}

ShardRound find_round(sql::Connection& connection, const ScanContext& context, uint32_t shards,
                      const std::string& run_id) {
  ShardRound round;
  round.parts.resize(shards);
  // Newest first: shards of the round under way, then the merge that ended the one before.
  auto query = connection.prepare(
      "SELECT id,kind,status,shard_index,error FROM scans WHERE root=$1 AND shard_count=$2 AND "
      "coalesce(run_id,'')=$3 AND id<$4 ORDER BY id DESC LIMIT 200");
  query->bind(1, workloads::storage_text(context.root)).bind(2, int64_t{shards}).bind(3, run_id);
  int64_t before = INT64_MAX;
  bool any = false;
  for (bool more = true; more;) {
    more = false;
    query->bind(4, before);
    while (query->step()) {
      more = true;
      before = query->int64(0);
      if (!query->is_null(1) && query->text(1) == "merge") {
        std::string status(query->text(2));
        const bool done = status == "complete" || status == "partial";
        if (done && (any || round.merged())) return round;  // the round before this one
        if (round.merge_id == 0) {
          round.merge_id = before;
          round.merge_status = std::move(status);
        }
        continue;
      }
      const int64_t index = query->int64(3);
      if (index < 0 || index >= shards) continue;
      any = any || !round.merged();
      ShardRound::Part& part = round.parts[static_cast<size_t>(index)];
      if (part.scan_id != 0) continue;
      part.scan_id = before;
      part.status = query->text(2);
      if (!query->is_null(4)) part.error = query->text(4);
    }
  }
  return round;
}

uint32_t newest_shard_count(sql::Connection& connection, const ScanContext& context,
                            const std::string& run_id) {
  auto query = connection.prepare(
      "SELECT shard_count FROM scans WHERE root=$1 AND shard_count>1 AND coalesce(run_id,'')=$2 ORDER BY id "
      "DESC "
      "LIMIT 1");
  query->bind(1, workloads::storage_text(context.root)).bind(2, run_id);
  return query->step() ? static_cast<uint32_t>(query->int64(0)) : 0;
}

int64_t claim_round(sql::Connection& connection, const ScanContext& context, uint32_t shards,
                    const std::string& run_id, base::TimeMs now) {
  sql::Transaction transaction(connection);
  lock_rounds(connection);
  end_dead_scans(connection, context, now);
  ShardRound round = find_round(connection, context, shards, run_id);
  if (!round.all_ended() || round.merged() || round.merge_status == "running") return 0;
  int64_t id = insert_scan(connection, context, {0, shards}, {run_id, "merge"}, now);
  transaction.commit();
  return id;
}

}  // namespace millrace::scan
