// `millrace ingest report`: what became of every row of a list, over all partitions.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/ingest.h"
#include "cli/table.h"
#include "http/client.h"
#include "objects/new_object.h"
#include "workloads/ingest/report.h"
#include "workloads/result.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

constexpr size_t kReasonMax = 300;  // bytes of a line of the table

constexpr const char* kHelp =
    R"help(Reads what the runs left (below .ingest/runs/ of the place that was published to; or their --result and --lock
files, wherever they are), and brings it together. With --list every row of the list is accounted for: one of which no
result says anything is lost, and named.

Examples:
  millrace ingest report s3://mirror/ingest --list repos.csv
  millrace ingest report s3://mirror/ingest --list s3://lists/repos.csv --job JOB --html report.html
  millrace ingest report results/ --csv > repos-lock.csv

Exit code: 0 every repository was published or is unchanged; 3 some were not, are lost, or a result could not be read;
1 there is no result, or more than --max-failures were not done; 2 wrong usage.)help";

struct Arguments {
  ingest::ReportOptions options;
  std::string html, lock, result, since, max_failures;
  bool csv = false, json = false, all = false;
};

void write_file(const std::string& place, const char* type,
                const std::function<void(const std::function<void(std::string_view)>&)>& write) {
  objects::NewObject file(objects::parse_location(place), type);
  write([&](std::string_view bytes) { file.write(bytes); });
  file.publish();
}

void to_standard_output(std::string_view bytes) { std::fwrite(bytes.data(), 1, bytes.size(), stdout); }

std::string name_of(const ingest::Outcome& row) {
  std::string name = row.origin.empty() ? row.path : row.origin + '/' + row.path;
  if (!row.wanted_branch.empty()) name += '@' + row.wanted_branch;
  return workloads::printable(name);
}

void print_table(const ingest::Report& report, bool all) {
  Table table({"ROW", "REPOSITORY", "OUTCOME", "STEP", "COMMIT", "REASON"});
  for (const ingest::Outcome& row : report.rows) {
    if (!all && !row.failed()) continue;
    const bool has_step = row.failed() && row.status != ingest::Status::kLost;
    table.add({std::to_string(row.row), name_of(row), std::string(to_text(row.status)),
               has_step ? std::string(to_text(row.step)) : "",
               workloads::printable(row.changeset.substr(0, 10)),
               workloads::shortened(workloads::printable(row.reason), kReasonMax)});
  }
  if (!table.empty()) table.print();
  std::string summary = fmt::format("{} repositories:", report.rows.size());
  for (size_t i = 0; i < ingest::kStatuses; ++i)
    if (report.counts[i] != 0)
      summary += fmt::format(" {} {},", report.counts[i], to_text(static_cast<ingest::Status>(i)));
  summary.back() = '.';
  if (report.duplicates > 0) summary += fmt::format(" {} rows name one again.", report.duplicates);
  if (report.strangers > 0) summary += fmt::format(" {} outcomes are of none of them.", report.strangers);
  fmt::print("{}{}\n", table.empty() ? "" : "\n", summary);
  for (const std::string& problem : report.problems) fmt::print("cannot be read: {}\n", problem);
}

// The same truth as everywhere: as a result, and as the exit code that goes with it.
void fill(workloads::JobResult& result, const ingest::Report& report, const std::string& max_failures) {
  for (size_t i = 0; i < ingest::kStatuses; ++i)
    if (report.counts[i] != 0)
      result.count(to_text(static_cast<ingest::Status>(i)), static_cast<int64_t>(report.counts[i]));
  for (const ingest::Outcome& row : report.rows)
    if (row.failed())
      result.item_failed(row.origin + '/' + row.path,
                         row.status == ingest::Status::kLost
                             ? row.reason
                             : std::string(to_text(row.step)) + ": " + row.reason,
                         row.code);
  for (const std::string& problem : report.problems)
    result.item_failed(problem, "cannot be read", "bad-result");
  if (report.rows.empty()) result.fail("there is no repository in the list or the results");
  if (max_failures.empty()) return;
  const uint64_t limit = ingest::parse_max_failures(max_failures, report.rows.size());
  if (report.failed() > limit)
    result.fail(
        fmt::format("{} repositories are not done, more than --max-failures allows", report.failed()));
}

int run(Arguments arguments) {
  base::SystemClock clock;
  workloads::JobResult result("ingest report", clock);
  try {
    if (arguments.csv && arguments.json) throw base::UsageError("--csv or --json, not both");
    if (!arguments.max_failures.empty()) ingest::parse_max_failures(arguments.max_failures, 1);
    if (!arguments.since.empty()) {
      const auto since = base::parse_iso8601(arguments.since);
      if (!since) throw base::UsageError("--since is a time such as 2026-11-22T00:00:00Z");
      arguments.options.since = *since;
    }
    for (const std::string* place : {&arguments.html, &arguments.lock, &arguments.result})
      if (!place->empty()) workloads::JobResult::require_writable(*place);
    arguments.options.client = std::make_shared<http::Client>();
    const ingest::Report report = ingest::make_report(arguments.options);
    fill(result, report, arguments.max_failures);
    if (arguments.json)
      to_standard_output(base::json::serialize(ingest::to_json(report)) + "\n");
    else if (arguments.csv)
      write_lock(report, to_standard_output);
    else
      print_table(report, arguments.all);
    if (!arguments.html.empty())
      write_file(arguments.html, "text/html; charset=utf-8",
                 [&](const auto& out) { write_page(report, clock.now_ms(), out); });
    if (!arguments.lock.empty())
      write_file(arguments.lock, "text/csv", [&](const auto& out) { write_lock(report, out); });
  } catch (const base::UsageError& error) {
    fmt::print(stderr, "millrace ingest report: {}\n", error.what());
    return workloads::kExitUsage;
  } catch (const base::Error& error) {
    fmt::print(stderr, "millrace ingest report: {}\n", error.what());
    result.fail(error.what());
  }
  int code = result.exit_code();
  try {
    if (!arguments.result.empty()) result.write(arguments.result);
  } catch (const base::Error& error) {
    fmt::print(stderr, "millrace ingest report: the result could not be written: {}\n", error.what());
    code = workloads::kExitFailed;
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? code : workloads::kExitFailed;
}

}  // namespace

void add_ingest_report(CLI::App& ingest, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = ingest.add_subcommand("report", "what became of every repository, over all partitions");
  command->footer(kHelp);
  Arguments& a = *arguments;
  command
      ->add_option(
          "PLACE", a.options.places,
          "where runs left their results: the place that was published to, a folder, s3://BUCKET/PREFIX, or "
          "single files")
      ->required();
  command->add_option(
      "--list", a.options.list,
      "the list that was to be done: a file, s3://BUCKET/KEY or an http(s) URL; rows without a result "
      "are lost");
  command->add_option("--job", a.options.job, "only results of this Batch job and its children");
  command->add_option("--since", a.since,
                      "leave out what ended before this time, such as 2026-11-22T00:00:00Z");
  command->add_flag("--all", a.all, "name every repository, not only those that are not done");
  command->add_flag("--csv", a.csv, "print repos-lock.csv of the whole list");
  command->add_flag("--json", a.json, "print everything as one JSON document");
  command->add_option("--html", a.html, "write one page with everything: a file or s3://BUCKET/KEY");
  command->add_option("--lock", a.lock, "write repos-lock.csv of the whole list: a file or s3://BUCKET/KEY");
  command->add_option("--result", a.result, "file or s3://BUCKET/KEY for the JSON result");
  command->add_option("--max-failures", a.max_failures,
                      "exit with 1 when more repositories are not done: a number or a share such as 5%");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli
