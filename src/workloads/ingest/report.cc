#include "workloads/ingest/report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "objects/local_reader.h"
#include "objects/store.h"
#include "workloads/csv_reader.h"
#include "workloads/ingest/repository.h"
#include "workloads/ingest/repository_list.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

constexpr size_t kResultBytesMax = 512 << 20;
constexpr size_t kSourcesMax = 200'000;

bool is_result_name(std::string_view key) {
  const std::string name = base::to_lower(key.substr(key.rfind('/') + 1));
  auto holds = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  return (name.ends_with(".json") || name.ends_with(".csv")) &&
         (holds("result") || holds("lock") || holds("ingest")) && name != "package-lock.json";
}

// The results below a folder or prefix.
void list_results(const objects::Location& location, const std::string& below,
                  const std::function<bool(const std::string& key)>& wanted,
                  std::vector<std::string>& found) {
  auto take = [&](const std::string& url) {
    if (found.size() == kSourcesMax)
      throw base::UsageError("more than " + std::to_string(kSourcesMax) + " results in one place");
    found.push_back(url);
  };
  if (location.is_s3) {
    const std::string prefix =
        location.path.empty() || location.path.ends_with('/') ? location.path : location.path + '/';
    objects::open_reader({.is_s3 = true, .bucket = location.bucket, .path = ""})
        ->list(prefix + below, [&](const objects::ObjectInfo& info) {
          const std::string key = info.key.substr(prefix.size());
          if (is_result_name(key) && wanted(key)) take("s3://" + location.bucket + '/' + info.key);
          return true;
        });
    return;
  }
  const std::string folder = location.path.ends_with('/') ? location.path : location.path + '/';
  std::error_code error;
  if (!std::filesystem::is_directory(folder + below, error)) return;
  objects::open_local(folder + below)->list("", [&](const objects::ObjectInfo& info) {
    const std::string key = below + info.key;
    if (is_result_name(key) && wanted(key)) take(folder + key);
    return true;
  });
}

// Places that can be read one by one.
std::vector<std::string> sources_of(const std::string& place, const std::string& job) {
  if (place == "-" || place.starts_with("http://") || place.starts_with("https://")) return {place};
  const objects::Location location = objects::parse_location(place);
  std::error_code error;
  if (location.is_s3 ? is_result_name(location.path) : !std::filesystem::is_directory(location.path, error))
    return {location.is_s3 ? place : location.path};
  static constexpr std::string_view kRuns = ".ingest/runs/";
  // A child of an array job has the index of its partition behind the job's name.
  const std::string mine = std::string(kRuns) + base::replace_all(base::replace_all(job, ":", "-"), "/", "-");
  std::vector<std::string> found;
  list_results(
      location, std::string(kRuns),
      [&](const std::string& key) {
        return job.empty() || (key.starts_with(mine) && (key[mine.size()] == '/' || key[mine.size()] == '-'));
      },
      found);
  if (found.empty() && job.empty())
    list_results(location, "", [](const std::string&) { return true; }, found);
  std::sort(found.begin(), found.end());
  return found;
}

// The outcomes of a result, whatever its form. CorruptError when it is none.
std::vector<Outcome> outcomes_in(const std::string& bytes, bool& is_ingest) {
  std::vector<Outcome> outcomes;
  is_ingest = true;
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && bytes[first] == '{') {
    const base::json::value value = base::parse_json(bytes);
    const base::json::array* rows = base::find_array(value.as_object(), "items");
    if (base::find_string(value.as_object(), "job").value_or("") != "ingest") rows = nullptr;
    if (rows == nullptr) rows = base::find_array(value.as_object(), "repositories");
    if (rows == nullptr) {
      // The result of another job, or a record of one repository.
      is_ingest = false;
      if (base::find_string(value.as_object(), "outcome") && base::find_string(value.as_object(), "origin")) {
        is_ingest = true;
        outcomes.push_back(outcome_from_json(value.as_object()));
      }
      return outcomes;
    }
    for (const base::json::value& row : *rows) {
      if (!row.is_object()) throw base::CorruptError("a repository is no object");
      outcomes.push_back(outcome_from_json(row.as_object()));
    }
    return outcomes;
  }
  std::vector<std::string> header;
  std::string bad;
  workloads::CsvReader csv(
      [&](workloads::CsvRecord record) {
        if (header.empty()) {
          header = std::move(record.fields);
          auto has = [&](std::string_view name) {
            return std::find(header.begin(), header.end(), name) != header.end();
          };
          is_ingest = has("outcome") && has("path") && has("row");
        } else if (is_ingest) {
          outcomes.push_back(outcome_from_lock(header, record.fields));
          outcomes.back().wanted_branch.clear();  // a lock has the branch that was found
        }
      },
      [&](uint64_t line, const std::string& why) {
        if (bad.empty()) bad = "line " + std::to_string(line) + ": " + why;
      });
  csv.feed(bytes);
  csv.finish();
  if (is_ingest && !bad.empty()) throw base::CorruptError(bad);
  return outcomes;
}

struct Wanted {
  Outcome outcome;  // lost, until one is found
  bool found = false;
};

class Merger {
 public:
  explicit Merger(bool has_list) : has_list_(has_list) {}

  void want(const Repository& repository, const RowProblem* problem) {
    Wanted wanted;
    wanted.outcome = outcome_of(repository);
    wanted.outcome.status = Status::kLost;
    wanted.outcome.code = "lost";
    wanted.outcome.reason = "no result says anything of this row";
    if (problem != nullptr) wanted.outcome.reason += "; the list: " + problem->what;
    by_place_[place_of(wanted.outcome)].push_back(wanted_.size());
    wanted_.push_back(std::move(wanted));
  }

  // False: the list does not name it.
  bool take(Outcome outcome) {
    const std::optional<size_t> at = find(outcome);
    if (!at) {
      if (has_list_) return false;
      by_place_[place_of(outcome)].push_back(wanted_.size());
      wanted_.push_back({std::move(outcome), true});
      return true;
    }
    Wanted& wanted = wanted_[*at];
    // A repository that is in the lists of two runs: the later run counts.
    if (wanted.found && ends_before(outcome, wanted.outcome)) return true;
    const uint64_t row = wanted.outcome.row;
    const std::string branch = wanted.outcome.wanted_branch;
    if (outcome.columns.empty()) outcome.columns = std::move(wanted.outcome.columns);
    wanted.outcome = std::move(outcome);
    if (has_list_) {
      wanted.outcome.row = row;
      wanted.outcome.wanted_branch = branch;
    }
    wanted.found = true;
    return true;
  }

  std::vector<Outcome> rows() {
    if (!has_list_)
      std::stable_sort(wanted_.begin(), wanted_.end(), [](const Wanted& a, const Wanted& b) {
        return a.outcome.row != b.outcome.row ? a.outcome.row < b.outcome.row
                                              : place_of(a.outcome) < place_of(b.outcome);
      });
    std::vector<Outcome> rows;
    rows.reserve(wanted_.size());
    for (Wanted& wanted : wanted_) rows.push_back(std::move(wanted.outcome));
    return rows;
  }

 private:
  static std::string place_of(const Outcome& outcome) { return outcome.origin + '\n' + outcome.path; }
  static bool ends_before(const Outcome& a, const Outcome& b) { return a.finished < b.finished; }

  // By origin, path and branch. A lock says only the real branch: then the row that has it, or else none, or
  // else the same number.
  std::optional<size_t> find(const Outcome& outcome) const {
    auto places = by_place_.find(place_of(outcome));
    if (places == by_place_.end()) return std::nullopt;
    const std::vector<size_t>& same = places->second;
    for (size_t at : same)
      if (wanted_[at].outcome.row == outcome.row && fits(wanted_[at].outcome, outcome)) return at;
    for (size_t at : same)
      if (wanted_[at].outcome.wanted_branch == outcome.wanted_branch) return at;
    for (size_t at : same)
      if (fits(wanted_[at].outcome, outcome)) return at;
    return std::nullopt;
  }
  static bool fits(const Outcome& wanted, const Outcome& outcome) {
    if (wanted.wanted_branch == outcome.wanted_branch) return true;
    return outcome.wanted_branch.empty() && wanted.wanted_branch == outcome.branch;
  }

  const bool has_list_;
  std::vector<Wanted> wanted_;
  std::unordered_map<std::string, std::vector<size_t>> by_place_;
};

std::string read_whole(const std::string& source, const ReportOptions& options) {
  std::string bytes;
  read_list(source, options.client, [&](std::string_view piece) {
    if (bytes.size() + piece.size() > kResultBytesMax)
      throw base::CorruptError("it has more than " + base::human_bytes(kResultBytesMax));
    bytes += piece;
  });
  return bytes;
}

}  // namespace

Report make_report(const ReportOptions& options) {
  Report report;
  Merger merger(!options.list.empty());
  if (!options.list.empty()) {
    RepositoryListReader reader([&](const Repository& row, uint64_t duplicate_of, const RowProblem* problem) {
      if (duplicate_of != 0)
        ++report.duplicates;
      else
        merger.want(row, problem);
    });
    read_list(options.list, options.client, [&](std::string_view bytes) { reader.feed(bytes); });
    reader.finish();
  }
  for (const std::string& place : options.places) {
    for (const std::string& source : sources_of(place, options.job)) {
      try {
        bool is_ingest = false;
        std::vector<Outcome> outcomes = outcomes_in(read_whole(source, options), is_ingest);
        if (!is_ingest) continue;
        report.sources.push_back(source);
        for (Outcome& outcome : outcomes)
          if (outcome.finished >= options.since && !merger.take(std::move(outcome))) ++report.strangers;
      } catch (const base::CorruptError& error) {
        report.problems.push_back(workloads::printable(source) + ": " + error.what());
      }
    }
  }
  if (report.sources.empty() && report.problems.empty())
    throw base::NotFoundError(
        "no result of an ingest in " + base::join(options.places, ", ") +
        (options.job.empty() ? "" : " of the job " + options.job) +
        "; looked for .ingest/runs/, and for *.json and *.csv with result, lock or ingest "
        "in their name");
  report.rows = merger.rows();
  for (const Outcome& row : report.rows) {
    ++report.counts.at(static_cast<size_t>(row.status));
    if (row.started != 0 && (report.started == 0 || row.started < report.started))
      report.started = row.started;
    report.finished = std::max(report.finished, row.finished);
  }
  return report;
}

base::json::object to_json(const Report& report) {
  base::json::object summary;
  summary["rows"] = static_cast<int64_t>(report.rows.size());
  for (size_t i = 0; i < kStatuses; ++i)
    summary[to_text(static_cast<Status>(i))] = static_cast<int64_t>(report.counts[i]);
  summary["duplicates"] = static_cast<int64_t>(report.duplicates);
  summary["strangers"] = static_cast<int64_t>(report.strangers);
  int64_t bytes = 0;
  for (const Outcome& row : report.rows) bytes += static_cast<int64_t>(row.published_bytes);
  summary["publishedBytes"] = bytes;
  if (report.started != 0) summary["startedAt"] = base::iso8601(report.started);
  if (report.finished != 0) summary["finishedAt"] = base::iso8601(report.finished);
  base::json::array rows, sources, problems;
  for (const Outcome& row : report.rows) rows.push_back(to_json(row));
  for (const std::string& source : report.sources) sources.emplace_back(workloads::storage_text(source));
  for (const std::string& problem : report.problems) problems.emplace_back(workloads::storage_text(problem));
  base::json::object object;
  object["summary"] = std::move(summary);
  object["repositories"] = std::move(rows);
  object["sources"] = std::move(sources);
  object["problems"] = std::move(problems);
  return object;
}

void write_lock(const Report& report, const std::function<void(std::string_view)>& out) {
  // Partitions of one list have the same columns; of several lists, all of them.
  std::vector<std::pair<std::string, std::string>> columns;
  for (const Outcome& row : report.rows)
    for (const auto& column : row.columns)
      if (std::none_of(columns.begin(), columns.end(),
                       [&](const auto& had) { return had.first == column.first; }))
        columns.push_back(column);
  const std::vector<std::string> header = lock_header(columns);
  out(csv_line(header));
  for (const Outcome& row : report.rows) out(lock_row(row, header));
}

uint64_t parse_max_failures(std::string_view text, uint64_t rows) {
  if (text.ends_with('%')) {
    const auto share = base::parse_number<double>(text.substr(0, text.size() - 1));
    if (share && *share >= 0 && *share <= 100)
      return static_cast<uint64_t>(static_cast<double>(rows) * *share / 100.0);
  } else if (const auto number = base::parse_number<uint64_t>(text)) {
    return *number;
  }
  throw base::UsageError("--max-failures is a number of repositories or a share such as 5%, not '" +
                         std::string(text) + "'");
}

}  // namespace millrace::ingest
