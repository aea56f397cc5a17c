// The job `copy`: brings what rows of source and destination name from one to the other.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/time.h"
#include "workloads/copy/limiter.h"
#include "workloads/copy/manifest.h"
#include "workloads/copy/merge.h"
#include "workloads/copy/row.h"
#include "workloads/copy/sites.h"
#include "workloads/result.h"
#include "workloads/shard.h"

namespace millrace::copy {

struct CopyProgress {
  uint64_t rows = 0, rows_done = 0;
  uint64_t objects_planned = 0, objects_done = 0;  // to be copied, and copied or failed
  uint64_t bytes_planned = 0, bytes_done = 0;      // done: also of objects that are still on their way
  uint64_t skipped = 0, deleted = 0, failed = 0;
  bool planned = false;  // every listing is at its end, or what is planned was counted ahead
  bool about = false;    // the latter: things may have changed since
};

// How much of a destination a row may delete: a number of objects, a share, or (as by default) whichever of
// both is larger.
struct DeleteLimit {
  uint64_t objects = 1000;
  double share = 0.1;
  bool allows(uint64_t extra, uint64_t of) const {
    return extra <= objects || static_cast<double>(extra) <= share * static_cast<double>(of);
  }
};

struct JobOptions {
  // One row, or a list of them.
  std::string source, destination;
  std::string manifest;
  Header header = Header::kAuto;
  bool own_options = true;  // rows may say how they are copied

  RowOptions row;  // unless a row says otherwise
  Compare compare = Compare::kTime;
  bool markers = false;  // copy empty objects whose key ends in '/', too
  bool thaw = false;     // archived objects were restored: copy them
  bool allow_overlap = false;
  bool allow_empty_source = false;  // delete everything when there is nothing at the source
  DeleteLimit max_delete;
  bool keep_encryption = false;
  bool verify = false;

  ServiceOptions from, to;
  Limits limits;
  uint64_t multipart_threshold = 1ull << 30;
  unsigned listings = 4;  // rows and ranges of keys that are compared at the same time

  bool dry_run = false;
  std::string plan;     // where a dry run writes its lines; "-": standard output
  std::string report;   // where a run does; empty: nowhere
  std::string journal;  // a path or s3://…; empty: by default; "none"
  bool resume = false;
  workloads::Shard shard;
  std::string share;  // where the shards meet (see shared_place.h); empty: nowhere

  const std::atomic<bool>* stop = nullptr;  // set: end soon, keep what is done
  // Called about twice a second, from one thread that is not the caller's.
  std::function<void(const CopyProgress&)> on_progress;
};

// Copies all rows. What could not be copied or deleted is named in `result`, rows that could not be read or
// were refused too; so are counts. Memory does not grow with the number of objects, and little with that of
// rows. Nothing is deleted in a row before everything of it was copied.
//
// Throws what keeps the job from being done at all: UsageError, NotFoundError (no list), TransientError; a
// stop throws TransientError "interrupted…".
void run_copy(const JobOptions& options, const base::Clock& clock, workloads::JobResult& result);

}  // namespace millrace::copy
