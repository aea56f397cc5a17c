// The job `scan`: a catalogue of a folder or a bucket prefix in a database.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/time.h"
#include "workloads/result.h"
#include "workloads/scan/scan_record.h"
#include "workloads/shard.h"

namespace millrace::scan {

struct ScanProgress {
  int64_t files_listed = 0;
  int64_t files_done = 0;
  int64_t bytes_listed = 0;
  int64_t errors = 0;
  int64_t files_expected = 0;  // as many as the last scan of this root had; 0: unknown
};

struct ScanOptions {
  std::string source;        // a folder, or s3://BUCKET[/PREFIX]; a prefix is taken as a folder
  std::string database_url;  // see sql::open_url()
  unsigned workers = 0;      // threads that read files; 0: one a core for folders, 16 for buckets
  bool full = false;         // read unchanged files again too
  workloads::Shard shard;
  const std::atomic<bool>* stop = nullptr;  // set: end soon, keep what is done
  // Called about twice a second, from one thread that is not the caller's.
  std::function<void(const ScanProgress&)> on_progress;
};

// Walks the source, reads what is new or changed, and brings the catalogue up to date: new files, changed
// files, vanished ones (status 'missing', only when the whole listing was seen), missing dependencies. Files
// are committed in groups: a scan that is killed goes on where it was when it is started again. Files that
// cannot be read get their row and are named in `result`; so are counts and details. Memory does not grow
// with the number of files.
//
// Throws what keeps the scan from being done at all: UsageError (URLs), NotFoundError (no such folder or
// bucket), TransientError (database or store out of reach), ConflictError (not a catalogue); the row in
// `scans` then says 'failed' where the database can still be reached. A stop throws TransientError
// "interrupted…".
ScanCounts run_scan(const ScanOptions& options, const base::Clock& clock, workloads::JobResult& result);

}  // namespace millrace::scan
