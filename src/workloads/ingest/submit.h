// `millrace ingest submit`: a checked list, stored under its digest, becomes one array job (or, as the
// original did it, a job for each range of rows).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "workloads/ingest/repository_list.h"

namespace millrace::http {
class Client;
}
namespace millrace::workloads {
class JobResult;
}

namespace millrace::ingest {

// Rows first..last, 1-based and inclusive.
struct Range {
  uint64_t first = 0, last = 0;
  bool operator==(const Range&) const = default;
};
// Every row in exactly one of them, in order; `size` rows each but the last. `size` must not be 0.
std::vector<Range> partitions(uint64_t rows, uint64_t size);

// The calls of Batch that a submission needs, by name: "submitjob", "listjobs".
using BatchCall =
    std::function<base::json::object(const std::string& operation, const base::json::object& input)>;

struct SubmitOptions {
  std::string list;
  std::string store;  // where the snapshot of the list goes: a folder or s3://BUCKET/PREFIX
  uint64_t partition_size = 10;
  bool compat =
      false;  // one job for each range, with parameters Start and End, and `partition_size` + 1 rows
  bool preflight = false;       // also ask whether the hosts can be reached
  bool allow_problems = false;  // rows that cannot be done are submitted: they fail by name
  bool again = false;           // also when the same submission is there already
  bool dry_run = false;
  std::string job_name, job_queue, job_definition;
  std::string token;  // tells apart submissions that are alike but meant anew: the id of the job that submits
  std::vector<std::pair<std::string, std::string>> parameters;  // further ones for the job
};

struct Checked {
  uint64_t rows = 0, duplicates = 0;
  std::string sha256;
  std::vector<RowProblem> problems;  // the first kProblemsShown
  uint64_t problem_count = 0;
  static constexpr size_t kProblemsShown = 1000;
};

// Throws UsageError, CorruptError for a list that is none, and what storing and Batch throw. Problems of rows
// are in `result` as failed items; nothing is submitted then, unless they are allowed.
void run_submit(const SubmitOptions& options, const std::shared_ptr<http::Client>& client,
                const BatchCall& batch, workloads::JobResult& result);

}  // namespace millrace::ingest
