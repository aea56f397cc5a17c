// What became of every row of a list, over all the partitions that did it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "workloads/ingest/outcome.h"

namespace millrace::http {
class Client;
}

namespace millrace::ingest {

inline constexpr size_t kStatuses = 6;

struct ReportOptions {
  // Files, folders, s3://BUCKET/KEY, or s3://BUCKET/PREFIX: results of runs as JSON, and repos-lock.csv. In
  // folders and below prefixes: what lies in .ingest/runs/, or where there is none, those whose name ends in
  // .json or .csv and holds "result", "lock" or "ingest".
  std::vector<std::string> places = {};
  std::string job = {};    // of what lies in .ingest/runs/ only that of this job and its children
  base::TimeMs since = 0;  // what ended earlier counts as if it were not there
  // The list that was to be done: a file, s3:// or http(s)://; empty: what the results name is all there is.
  std::string list = {};
  std::shared_ptr<http::Client> client = {};
};

struct Report {
  // One for each row of the list, in its order; without a list, of what was found, by row and name. Of
  // several outcomes of a row the one that ended last.
  std::vector<Outcome> rows;
  std::array<uint64_t, kStatuses> counts{};  // by Status
  uint64_t duplicates = 0;                   // rows that another row does; not in `rows`
  uint64_t strangers = 0;                    // outcomes of repositories that the list does not name
  std::vector<std::string> sources;          // what was read
  std::vector<std::string> problems;         // what could not be read of it, in sentences
  base::TimeMs started = 0, finished = 0;    // the first and the last moment of any row

  uint64_t count(Status status) const { return counts.at(static_cast<size_t>(status)); }
  uint64_t failed() const { return rows.size() - count(Status::kPublished) - count(Status::kUnchanged); }
};

// Memory: about 1 KiB a row. Throws NotFoundError when there is no result in any of the places, and what
// keeps the list or a place from being read. A result that is none is a problem, and the others are read.
Report make_report(const ReportOptions& options);

// {"summary": {…}, "repositories": [outcomes], "sources": […], "problems": […]}
base::json::object to_json(const Report& report);
// repos-lock.csv of the whole list.
void write_lock(const Report& report, const std::function<void(std::string_view)>& out);
// One page that needs nothing else: no network, no other file; readable without scripts.
void write_page(const Report& report, base::TimeMs now, const std::function<void(std::string_view)>& out);

// A number of rows, or a share of them ("5%"). UsageError otherwise.
uint64_t parse_max_failures(std::string_view text, uint64_t rows);

}  // namespace millrace::ingest
