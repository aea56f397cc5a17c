// The job `stac`: months of STAC items from a catalogue become GeoParquet files.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "workloads/result.h"
#include "workloads/shard.h"
#include "workloads/stac/box.h"
#include "workloads/stac/month.h"

namespace millrace::stac {

enum class SourceKind { kCmr, kStacApi, kFiles };
enum class Layout {
  kMonth,            // DESTINATION/year=2024/month=06/data.parquet
  kCollectionMonth,  // DESTINATION/HLSL30_2.0/year=2024/month=06/data.parquet
};

struct StacProgress {
  std::string phase;  // "2024-06: items", "2024-06: writing"
  uint64_t days = 0, days_done = 0;
  uint64_t listed = 0, done = 0, failed = 0;  // items; done: fetched, kept or read
};

struct JobOptions {
  SourceKind source = SourceKind::kCmr;
  std::string input;          // CMR: its URL, empty: NASA's; an API's URL; a file or prefix of items
  std::vector<Month> months;  // files: only these; none: whichever there are
  std::string destination;    // a folder or s3://BUCKET/PREFIX
  Layout layout = Layout::kMonth;
  std::vector<std::string> collections;  // files: only these; a single one is that of items that name none
  std::optional<Box> box;

  std::string protocol = "https";  // of CMR's links: https or s3
  bool post = true;                // how an API is searched first
  unsigned page_size = 0;          // 0: 2000 for CMR, 100 for an API
  std::string client_id = "millrace-stac";
  std::string links;                    // where links of days are kept; empty: nowhere
  bool links_only = false;              // find and keep links, write nothing else
  bool require_complete_links = false;  // months are made of kept links alone, of which none may be missing
  bool skip_existing = false;  // kept links and files that are there stay, but of the last `refresh_days`
  unsigned refresh_days = 30;
  uint64_t allow_missing = 0;  // items of a month that may be missing in a file that is published
  bool merge = false;          // what is in the file stays, and only what is new is fetched

  std::string work;        // folder for what was fetched until the file is published
  bool keep_work = false;  // also afterwards
  // Folder or s3://BUCKET/PREFIX for the days that were fetched, for an attempt on another machine; empty:
  // nowhere.
  std::string checkpoint;
  unsigned concurrent_days = 4, concurrent_per_day = 16;
  unsigned threads = 2;  // of the writer
  int attempts_max = 6;  // of each request
  std::chrono::milliseconds retry_pause{500};
  workloads::Shard shard;  // links_only: days

  const std::atomic<bool>* stop = nullptr;
  // Called about twice a second, from one thread that is not the caller's.
  std::function<void(const StacProgress&)> on_progress;
};

// Makes the files of all months, one month after the other. What is missing (a day that could not be listed,
// an item that could not be fetched or is broken) is named in `result` with its code, and the month is
// published only when no more than allow_missing items of it are: else the file that was there stays, and
// what was fetched is kept in `work` for the next run. Throws UsageError and whatever keeps the job from
// going on: TransientError (disk full, interrupted), DeniedError (many items in a row were refused).
void run_stac(const JobOptions& options, const base::Clock& clock, workloads::JobResult& result);

}  // namespace millrace::stac
