#include "workloads/scan/scan_record.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "workloads/text.h"

namespace millrace::scan {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string user_name() {
  if (const passwd* user = getpwuid(geteuid())) return user->pw_name;
  return std::to_string(geteuid());
}

}  // namespace

void end_dead_scans(sql::Connection& connection, const ScanContext& context, base::TimeMs now) {
  // An earlier attempt of this Batch job ran elsewhere, and is over since there is this one.
  const char* job = std::getenv("AWS_BATCH_JOB_ID");
  const std::string host = host_name();
  std::vector<int64_t> dead;
  auto running =
      connection.prepare("SELECT id,pid,host,job_id FROM scans WHERE root=$1 AND status='running'");
  running->bind(1, workloads::storage_text(context.root));
  while (running->step()) {
    const bool here = running->text(2) == host;
    const int64_t pid = running->int64(1);
    const bool own_job = job != nullptr && !running->is_null(3) && running->text(3) == job;
    if (here ? kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH : own_job)
      dead.push_back(running->int64(0));
  }
  auto end = connection.prepare(
      "UPDATE scans SET status='interrupted',finished=$1 WHERE id=$2 AND status='running'");
  for (int64_t id : dead) end->bind(1, database_time(now)).bind(2, id).run();
}

int64_t insert_scan(sql::Connection& connection, const ScanContext& context, const workloads::Shard& shard,
                    const ScanKind& kind, base::TimeMs now) {
  const char* job = std::getenv("AWS_BATCH_JOB_ID");
  auto insert = connection.prepare(
      "INSERT INTO "
      "scans(root,storage,bucket,status,started,host,pid,user_name,job_id,shard_index,shard_count,run_id,"
      "kind) "
      "VALUES ($1,$2,$3,'running',$4,$5,$6,$7,$8,$9,$10,$11,$12) RETURNING id");
  insert->bind(1, workloads::storage_text(context.root)).bind(2, context.storage);
  context.bucket.empty() ? insert->bind_null(3) : insert->bind(3, context.bucket);
  insert->bind(4, database_time(now)).bind(5, host_name()).bind(6, int64_t{getpid()}).bind(7, user_name());
  job == nullptr ? insert->bind_null(8) : insert->bind(8, std::string_view(job));
  insert->bind(9, int64_t{shard.index}).bind(10, int64_t{shard.count});
  kind.run_id.empty() ? insert->bind_null(11) : insert->bind(11, kind.run_id);
  kind.kind.empty() ? insert->bind_null(12) : insert->bind(12, kind.kind);
  insert->step();
  int64_t id = insert->int64(0);
  insert->reset();
  return id;
}

int64_t begin_scan(sql::Connection& connection, const ScanContext& context, const workloads::Shard& shard,
                   const ScanKind& kind, base::TimeMs now) {
  sql::Transaction transaction(connection);
  end_dead_scans(connection, context, now);
  int64_t id = insert_scan(connection, context, shard, kind, now);
  transaction.commit();
  return id;
}

void add_scan_problem(sql::Connection& connection, int64_t scan_id, std::string_view item,
                      std::string_view code, std::string_view error) {
  auto insert = connection.prepare("INSERT INTO scan_problems(scan_id,item,code,error) VALUES ($1,$2,$3,$4)");
  insert->bind(1, scan_id).bind(2, workloads::storage_text(item));
  code.empty() ? insert->bind_null(3) : insert->bind(3, code);
  insert->bind(4, workloads::storage_text(error)).run();
}

void finish_scan(sql::Connection& connection, int64_t scan_id, const ScanCounts& counts,
                 const std::string& status, const std::string& error, const std::string& rules,
                 base::TimeMs now) {
  auto update = connection.prepare(
      "UPDATE scans SET "
      "status=$1,error=$2,finished=$3,rules=$4,files_listed=$5,bytes_listed=$6,files_added=$7,files_changed=$"
      "8,"
      "files_unchanged=$9,files_missing=$10,images=$11,videos=$12,blend_files=$13,other_files=$14,errors=$15,"
      "bytes_read=$16,requests=$17,files_renamed=$18,sequences=$19 WHERE id=$20");
  update->bind(1, status);
  error.empty() ? update->bind_null(2) : update->bind(2, workloads::storage_text(error));
  update->bind(3, database_time(now));
  rules.empty() ? update->bind_null(4) : update->bind(4, rules);
  int parameter = 4;
  for (int64_t count : {counts.files_listed, counts.bytes_listed, counts.files_added, counts.files_changed,
                        counts.files_unchanged, counts.files_missing, counts.images, counts.videos,
                        counts.blend_files, counts.other_files, counts.errors, counts.bytes_read,
                        counts.requests, counts.files_renamed, counts.sequences, scan_id}) {
    update->bind(++parameter, count);
  }
  update->run();
}

int64_t last_files_listed(sql::Connection& connection, const ScanContext& context,
                          const workloads::Shard& shard) {
  auto query = connection.prepare(
      "SELECT files_listed FROM scans WHERE root=$1 AND kind IS NULL AND shard_index=$2 AND shard_count=$3 "
      "AND status IN "
      "('complete','partial') ORDER BY id DESC LIMIT 1");
  query->bind(1, workloads::storage_text(context.root))
      .bind(2, int64_t{shard.index})
      .bind(3, int64_t{shard.count});
  return query->step() ? query->int64(0) : 0;
}

}  // namespace millrace::scan
