// The job `scan`: a catalogue of a folder or a bucket prefix in a database.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "workloads/filter.h"
#include "workloads/result.h"
#include "workloads/scan/scan_record.h"
#include "workloads/scan/sequence_names.h"
#include "workloads/shard.h"

namespace millrace::scan {

struct ScanProgress {
  int64_t files_listed = 0;
  int64_t files_done = 0;
  int64_t bytes_listed = 0;
  int64_t errors = 0;
  int64_t files_expected = 0;  // as many as the last scan of this root had; 0: unknown
};

// How many files may fail before the whole job counts as failed: an absolute number, or a share of the files
// listed. Neither: any number, the job is partial.
struct ErrorLimit {
  std::optional<int64_t> count;
  std::optional<double> share;
  bool exceeded(int64_t errors, int64_t files) const;
  std::string text() const;  // "10", "2.5%"
};

struct ScanOptions {
  std::string source;        // a folder, or s3://BUCKET[/PREFIX]; a prefix is taken as a folder
  std::string database_url;  // see sql::open_url()
  unsigned workers = 0;      // threads that read files; 0: one a core for folders, 16 for buckets
  bool full = false;         // read unchanged files again too
  std::string thumbnails;    // folder for a small JPEG of every picture, video and .blend read; empty: none
  bool hash = false;         // SHA-256 of every file: finds copies and renamed files; reads all of each
  bool dry_run = false;      // list and compare only; nothing is read or written
  std::optional<base::TimeMs> since;           // do not read files that were last modified before
  std::vector<workloads::FilterRule> filters;  // of paths below the source; the rest is not there
  SequenceRules sequences;
  ErrorLimit max_errors;
  std::string run_id;  // the same for all shards of one run, of no others; may be empty
  workloads::Shard shard;
  const std::atomic<bool>* stop = nullptr;  // set: end soon, keep what is done
  // Called about twice a second, from one thread that is not the caller's.
  std::function<void(const ScanProgress&)> on_progress;
  // Of a dry run: "add", "change" or "skip" with the path as in files.file_path.
  std::function<void(std::string_view action, std::string_view path)> on_plan;
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
//
// Of several shards the last one to end does what needs all of them: vanished and renamed files, sequences,
// dependencies.
ScanCounts run_scan(const ScanOptions& options, const base::Clock& clock, workloads::JobResult& result);

// Reads no file: brings together what the shards of the newest scan of options.source left in the catalogue,
// in `result`: counts, what failed, and which shards have no result (then the whole has failed). Does what
// the last shard would have done, had it not been killed. Throws as run_scan(); NotFoundError when there was
// no sharded scan.
ScanCounts merge_shards(const ScanOptions& options, const base::Clock& clock, workloads::JobResult& result);

}  // namespace millrace::scan
