// `millrace ingest run`: clones, builds and publishes the repositories of a list, or of a range of its rows.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "workloads/ingest/build.h"
#include "workloads/ingest/git.h"
#include "workloads/ingest/outcome.h"
#include "workloads/ingest/publisher.h"

namespace millrace::workloads {
class JobResult;
}

namespace millrace::ingest {

// The longest that each step of one repository may take.
struct StepLimits {
  std::chrono::milliseconds check{60'000}, clone{900'000}, build{2'700'000}, snapshot{900'000},
      inventory{900'000};
};

// "10" or "5%".
struct FailureLimit {
  std::optional<uint64_t> count;
  std::optional<double> share;  // of the selected rows
};

struct RunProgress {
  uint64_t selected = 0, published = 0, unchanged = 0, failed = 0, in_work = 0;
};

struct RunOptions {
  std::string list;
  uint64_t start = 0, end = 0;  // 1-based, inclusive; both 0: every row
  std::string organization;     // only rows of it; empty: all
  std::string publish;
  PublishLogin login;
  std::string state;  // where is noted what was published; empty: below `publish`; "none"
  std::string lock;   // a file or s3:// object; empty: below `publish` (not over HTTP)
  std::string job;    // the Batch job, "local" on a shell: names the files of this run
  std::string work_folder;
  GitOptions git;  // but its files, which the run makes from these:
  std::string git_credentials, ssh_key;
  unsigned jobs = 2, checks = 16;
  uint64_t disk_budget = 8ull << 30, memory_budget = 0;
  StepLimits limits;
  int attempts = 3;  // of a clone
  std::chrono::milliseconds retry_pause{2'000};
  FailureLimit max_failures;
  std::optional<std::chrono::seconds> max_age;
  bool force = false;
  std::string build = "none";
  std::vector<BuildRule> rules;
  std::vector<std::string> build_environment;  // names that builds see of ours
  bool snapshot = true, inventory = true, symbols = true, logs = true;
  uint64_t entries_max = 5'000'000;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const RunProgress&)> on_progress;
  std::function<void(const Outcome&)> on_outcome;
};

// Every selected row gets exactly one outcome: in `result` (items, and failed items by name), in
// repos-lock.csv, and, when it was published, in its record for the next run. Throws what keeps it from
// working at all: UsageError, CorruptError for the list, and errors of the places it writes to.
void run_ingest(const RunOptions& options, const base::Clock& clock, workloads::JobResult& result);

}  // namespace millrace::ingest
