// `millrace jobs`: what an engine has run, runs and will run; and one job in full.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/engine_connection.h"
#include "cli/job_facts.h"
#include "cli/job_page.h"
#include "cli/job_walk.h"
#include "cli/printable.h"
#include "cli/table.h"
#include "engine/status.h"

namespace millrace::cli {
namespace {

constexpr char kHelp[] =
    R"help(Shows the jobs of the engine that runs on a data folder: all of them as a table, the newest first, or one in full.

Examples:
  millrace jobs                              the newest 100, whatever their status
  millrace jobs --queue default --status FAILED --limit 1000
  millrace jobs 0d3f6c1e-…                   one job: why it is where it is, times, attempts, what it depends on
  millrace jobs 0d3f6c1e-…:17                child 17 of an array job
  millrace jobs 0d3f6c1e-… --log             what it printed; --attempt 1 for an earlier attempt
  millrace jobs --json | jq -r '.jobs[] | select(.status == "RUNNABLE") | .jobId'

ARRAY counts the children of an array job that are done, and all of them. RUN is the time of the latest attempt. An
attempt shows its CPU time and the most memory that one of its processes had; less than the runner itself has (some
20 MiB) is not told apart. Into a pipe the table is written whole, one line a job, '-' for what is not there; --json
writes what DescribeJobs answers.

Exit code: 0 shown, whatever became of the jobs; 1 no engine runs there, or it has no such job; 2 wrong usage.)help";

constexpr int64_t kFilteredPageMax = 100;  // of ListJobs with a filter
constexpr int64_t kPageMax = 1000;         // with a status

struct Arguments {
  std::string job, data, region = "us-east-1", queue, status;
  uint64_t limit = 100;
  size_t attempt = 0;  // 0: the latest that has printed
  bool json = false, log = false;
};

// A request for every job of a queue, newest first. Without a filter and without a status ListJobs would give
// those that run; every job is younger than the epoch.
json::object list_request(const Arguments& arguments, const std::string& queue) {
  json::object input{{"jobQueue", queue}};
  if (arguments.status.empty()) {
    input["filters"] = json::array{json::object{{"name", "AFTER_CREATED_AT"}, {"values", json::array{"0"}}}};
  } else {
    input["jobStatus"] = arguments.status;
  }
  input["maxResults"] = std::min(arguments.status.empty() ? kFilteredPageMax : kPageMax,
                                 static_cast<int64_t>(std::min<uint64_t>(arguments.limit, kPageMax)));
  return input;
}

class Listing {
 public:
  Listing(const Arguments& arguments, EngineConnection& engine) : arguments_(arguments), engine_(engine) {}

  void print() {
    std::vector<JobWalk> walks;
    for (const std::string& queue : queues())
      walks.emplace_back(engine_.api, list_request(arguments_, queue));
    if (arguments_.json) fmt::print("{{\"jobs\":[");
    uint64_t listed = 0;
    std::vector<std::string> ids;
    JobWalk* newest = find_newest(walks);
    for (; newest && listed < arguments_.limit; newest = find_newest(walks)) {
      ids.push_back(text_of(*newest->peek(), "jobId"));
      newest->take();
      ++listed;
      if (ids.size() == kDescribeMax) show(ids);
    }
    show(ids);
    if (arguments_.json) {
      fmt::print("]}}\n");
    } else if (!table_.empty()) {
      table_.print();
    } else {
      fmt::print(stderr, "no jobs{}{}\n", arguments_.status.empty() ? "" : " are " + arguments_.status,
                 arguments_.queue.empty() ? "" : " in " + arguments_.queue);
    }
    if (newest)
      fmt::print(stderr, "these are the newest {}, there are more; --limit shows them\n", arguments_.limit);
  }

 private:
  std::vector<std::string> queues() {
    std::vector<std::string> names = queue_names(engine_.api);
    if (arguments_.queue.empty()) return names;
    std::string wanted = short_name(arguments_.queue);
    if (std::find(names.begin(), names.end(), wanted) == names.end())
      throw base::NotFoundError(
          fmt::format("the engine on {} has no job queue {}; {}", engine_.folder.path, printable(wanted),
                      names.empty() ? "it has none yet" : "it has " + base::join(names, ", ")));
    return {wanted};
  }

  static JobWalk* find_newest(std::vector<JobWalk>& walks) {
    JobWalk* newest = nullptr;
    int64_t created_at = 0;
    for (JobWalk& walk : walks) {
      const json::object* job = walk.peek();
      if (!job) continue;
      int64_t at = base::find_int(*job, "createdAt").value_or(0);
      if (newest && at <= created_at) continue;
      newest = &walk;
      created_at = at;
    }
    return newest;
  }

  // Only DescribeJobs knows a job's queue and an array's counts.
  void show(std::vector<std::string>& ids) {
    if (ids.empty()) return;
    base::TimeMs now = base::SystemClock().now_ms();
    for (const json::object& job : describe(engine_.api, ids)) {
      if (arguments_.json) {
        fmt::print("{}{}", std::exchange(first_, false) ? "" : ",", json::serialize(job));
        continue;
      }
      auto array = array_count(job);
      table_.add({text_of(job, "jobId"), printable(text_of(job, "jobName")),
                  short_name(text_of(job, "jobQueue")), text_of(job, "status"),
                  array ? fmt::format("{}/{}", array->done, array->size) : "-",
                  duration(now - base::find_int(job, "createdAt").value_or(now)), run_time(job, now),
                  exit_code_of(job), reason_of(job)});
    }
    ids.clear();
  }

  const Arguments& arguments_;
  EngineConnection& engine_;
  Table table_{{"JOB", "NAME", "QUEUE", "STATUS", "ARRAY", "AGE", "RUN", "EXIT", "REASON"}};
  bool first_ = true;
};

json::object find_job(EngineConnection& engine, const Arguments& arguments) {
  std::string id = short_name(arguments.job);  // an ARN will do
  std::vector<json::object> found = describe(engine.api, {id});
  if (!found.empty()) return std::move(found[0]);
  std::string hint = "`millrace jobs` lists them";
  if (!id.empty() && id.find_first_of("*: ") == std::string::npos)
    for (const std::string& queue : queue_names(engine.api)) {
      json::object filter{{"name", "JOB_NAME"}, {"values", json::array{id}}};
      JobWalk walk(engine.api, {{"jobQueue", queue}, {"filters", json::array{std::move(filter)}}});
      if (const json::object* job = walk.peek()) {
        hint =
            fmt::format("say its id; the newest job of that name in {} is {}", queue, text_of(*job, "jobId"));
        break;
      }
    }
  throw base::NotFoundError(
      fmt::format("the engine on {} has no job {}; {}", engine.folder.path, printable(id), hint));
}

std::vector<std::string> status_names() {
  return {engine::kJobStatusNames.begin(), engine::kJobStatusNames.end()};
}

// Also puts the status into the case that the API wants.
void check(Arguments& arguments) {
  if (!arguments.status.empty()) {
    auto known =
        std::find_if(engine::kJobStatusNames.begin(), engine::kJobStatusNames.end(),
                     [&](std::string_view name) { return base::equals_ignore_case(name, arguments.status); });
    if (known == engine::kJobStatusNames.end())
      throw base::UsageError(fmt::format("--status is one of {}, not '{}'", base::join(status_names(), ", "),
                                         printable(arguments.status)));
    arguments.status = *known;
  }
  if (arguments.log && arguments.job.empty())
    throw base::UsageError("--log needs a job: millrace jobs JOB --log; `millrace jobs` lists them");
  if (arguments.attempt > 0 && !arguments.log)
    throw base::UsageError("--attempt chooses the log that --log prints; say --log too");
  if (arguments.log && arguments.json)
    throw base::UsageError("--log prints the lines as the job did; leave out --json");
  if (!arguments.job.empty() && !(arguments.queue.empty() && arguments.status.empty()))
    throw base::UsageError("--queue and --status choose jobs for the list; leave them out, or JOB");
}

void run(Arguments& arguments) {
  check(arguments);
  EngineConnection engine(arguments.data, arguments.region);
  if (arguments.job.empty()) {
    Listing(arguments, engine).print();
  } else {
    json::object job = find_job(engine, arguments);
    if (arguments.log)
      print_log(engine.api, job, arguments.attempt);
    else if (arguments.json)
      fmt::print("{}\n", json::serialize(json::object{{"jobs", json::array{std::move(job)}}}));
    else
      print_job(engine.api, job, arguments.data);
  }
  if (std::fflush(stdout) != 0) throw base::TransientError("the output cannot be written");
}

}  // namespace

void add_jobs_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("jobs", "lists the jobs of an engine, or shows one");
  command->description(kHelp);
  command->add_option("JOB", arguments->job, "the id of a job, or ID:INDEX for a child of an array job");
  command->add_option("--queue", arguments->queue, "jobs of this queue only");
  command->add_option("--status", arguments->status,
                      "jobs of this status only: " + base::join(status_names(), ", "));
  command->add_option("--limit", arguments->limit, "at most so many jobs, the newest")
      ->check(CLI::Range(uint64_t{1}, uint64_t{100'000'000}))
      ->capture_default_str();
  command->add_flag("--log", arguments->log, "print what JOB has printed");
  command->add_option("--attempt", arguments->attempt, "with --log: of this attempt, 1 for the first")
      ->check(CLI::Range(size_t{1}, size_t{10}));
  command->add_flag("--json", arguments->json, "the answer of DescribeJobs instead of a table");
  command->add_option("--data", arguments->data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  command->add_option("--region", arguments->region, "the region that the engine was given")
      ->capture_default_str();
  command->callback([arguments, &exit_code] {
    spdlog::set_level(spdlog::level::warn);
    exit_code = run_command("jobs", arguments->region, [&] {
      run(*arguments);
      return 0;
    });
  });
}

}  // namespace millrace::cli
