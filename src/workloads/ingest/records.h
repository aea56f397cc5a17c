// What a run leaves about its repositories: a record of each for the next run, repos-lock.csv, and the logs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "workloads/ingest/outcome.h"
#include "workloads/ingest/publisher.h"
#include "workloads/ingest/repository.h"
#include "workloads/ingest/zip_writer.h"

namespace millrace::ingest {

// One object for each repository, so that runs over other ranges, and several at once, do not disturb each
// other. Thread-safe as the publisher is.
class StateRecords {
 public:
  StateRecords(Publisher& place, std::string prefix) : place_(place), prefix_(std::move(prefix)) {}
  // What the last run that published it noted, and which job that was. Nothing when there is no record, or
  // none that can be read: it is done again then.
  struct Known {
    Outcome outcome;
    std::string job;
  };
  std::optional<Known> find(const Repository& repository);
  void write(const Outcome& outcome, const std::string& job);

 private:
  std::string key_of(const std::string& repository_key) const;
  Publisher& place_;
  std::string prefix_;
};

// Rows come in any order and leave in that of the list. One thread at a time.
class LockFile {
 public:
  explicit LockFile(const std::vector<std::pair<std::string, std::string>>& input_columns)
      : header_(lock_header(input_columns)) {}
  void add(const Outcome& outcome) { rows_[outcome.row] = lock_row(outcome, header_); }
  bool has(uint64_t row) const { return rows_.contains(row); }
  std::string text() const;

 private:
  std::vector<std::string> header_;
  std::map<uint64_t, std::string> rows_;
};

// What one repository's git and build said: the beginning and the end of it, and a remark between.
class LogText {
 public:
  void add(std::string_view bytes);
  std::string text() const;
  bool empty() const { return head_.empty(); }

 private:
  static constexpr size_t kHead = 64 * 1024, kTail = 192 * 1024;
  std::string head_, tail_;
  uint64_t left_out_ = 0;
};

// Where the logs of a run over `range` ("1-10", "all", "org-X") go that began at `time`, as the original
// named them: below ".logs" in buckets, else below "io/moderne/ingest-log".
std::string log_key(bool is_s3, const std::string& range, base::TimeMs time);

}  // namespace millrace::ingest
