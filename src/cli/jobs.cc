// `millrace jobs`: what an engine has run, runs and will run; and one job in full.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/printable.h"
#include "cli/table.h"
#include "engine/status.h"
#include "services/identities.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr char kHelp[] =
    R"help(Shows the jobs of the engine that runs on a data folder: all of them as a table, the newest first, or one in full.

Examples:
  millrace jobs                              the newest 100, whatever their status
  millrace jobs --queue default --status FAILED --limit 1000
  millrace jobs 0d3f6c1e-…                   one job: why it is where it is, times, attempts, what it depends on
  millrace jobs 0d3f6c1e-…:17                child 17 of an array job
  millrace jobs 0d3f6c1e-… --log             what it printed; --attempt 1 for an earlier attempt
  millrace jobs --json | jq -r '.jobs[] | select(.status == "RUNNABLE") | .jobId'

ARRAY counts the children of an array job that are done, and all of them. RUN is the time of the latest attempt. Into a
pipe the table is written whole, one line a job, '-' for what is not there; --json writes what DescribeJobs answers.

Exit code: 0 shown, whatever became of the jobs; 1 no engine runs there, or it has no such job; 2 wrong usage.)help";

constexpr size_t kDescribeMax = 100;       // ids in a DescribeJobs request
constexpr int64_t kFilteredPageMax = 100;  // of ListJobs with a filter
constexpr int64_t kPageMax = 1000;         // with a status
constexpr int64_t kFailedChildrenMax = 10;
constexpr char kDefaultLogGroup[] = "/aws/batch/job";

struct Arguments {
  std::string job, data, region = "us-east-1", queue, status;
  uint64_t limit = 100;
  size_t attempt = 0;  // 0: the latest that has printed
  bool json = false, log = false;
};

struct EngineConnection {
  DataFolder folder;
  std::string endpoint;
  http::Client http;
  ApiClient api;

  explicit EngineConnection(const Arguments& arguments)
      : folder(name_data_folder(arguments.data.empty() ? default_data_folder() : arguments.data)),
        endpoint(require_endpoint(folder)),
        api(http, endpoint, arguments.region, services::read_root_key(folder.keys())) {}
};

std::string text(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

// "arn:…:job-queue/render" and "arn:…:job-definition/blur:3" without what comes before the slash.
std::string short_name(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

// One word, so that the columns of a table stay columns.
std::string duration(base::TimeMs ms) {
  ms = std::max<base::TimeMs>(ms, 0);
  int64_t seconds = ms / 1000;
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (ms < 10'000) return fmt::format("{}.{}s", seconds, ms % 1000 / 100);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d{:02}h", seconds / 86'400, seconds % 86'400 / 3600);
}

// How long a job or an attempt has run, up to now when it has not stopped; "-" when it has not started.
std::string run_time(const json::object& run, base::TimeMs now) {
  auto started = base::find_int(run, "startedAt");
  return started ? duration(base::find_int(run, "stoppedAt").value_or(now) - *started) : "-";
}

// The container of a job or of an attempt, also of a job whose definition has ecsProperties.
const json::object& container_of(const json::object& run) {
  static const json::object kNone;
  const json::array* tasks = base::find_array(run, "taskProperties");
  if (const json::object* ecs = base::find_object(run, "ecsProperties"))
    tasks = base::find_array(*ecs, "taskProperties");
  if (tasks && !tasks->empty()) {
    const json::array* containers = base::find_array(tasks->at(0).as_object(), "containers");
    return containers && !containers->empty() ? containers->at(0).as_object() : kNone;
  }
  const json::object* container = base::find_object(run, "container");
  return container ? *container : kNone;
}

// Why a job or an attempt is what it is: Batch's reason and, where it says something else, the container's.
std::string reason_of(const json::object& run) {
  std::string reason = text(run, "statusReason"), cause = text(container_of(run), "reason");
  if (reason.find(cause) == std::string::npos) reason += (reason.empty() ? "" : "; ") + cause;
  return printable(reason);
}

std::string exit_code_of(const json::object& run) {
  auto code = base::find_int(container_of(run), "exitCode");
  return code ? std::to_string(*code) : "-";
}

bool is_finished(const std::string& status) { return status == "SUCCEEDED" || status == "FAILED"; }

// Of an array job: the children that are done, and all of them.
struct ArrayCount {
  int64_t done = 0, size = 0;
};

std::optional<ArrayCount> array_count(const json::object& job) {
  const json::object* array = base::find_object(job, "arrayProperties");
  auto size = array ? base::find_int(*array, "size") : std::nullopt;
  if (!size) return std::nullopt;
  ArrayCount count{0, *size};
  if (const json::object* statuses = base::find_object(*array, "statusSummary"))
    for (const char* done : {"SUCCEEDED", "FAILED"})
      count.done += base::find_int(*statuses, done).value_or(0);
  return count;
}

// ---- reading from the engine

std::vector<json::object> describe(ApiClient& api, const std::vector<std::string>& ids) {
  json::array wanted;
  for (const std::string& id : ids) wanted.emplace_back(id);
  json::object answer = api.batch("DescribeJobs", {{"jobs", std::move(wanted)}});
  std::vector<json::object> jobs;
  for (json::value& job : answer.at("jobs").as_array()) jobs.push_back(std::move(job.as_object()));
  return jobs;
}

std::vector<std::string> queue_names(ApiClient& api) {
  std::vector<std::string> names;
  json::object input;
  for (;;) {
    json::object page = api.batch("DescribeJobQueues", input);
    for (const json::value& queue : page.at("jobQueues").as_array())
      names.push_back(text(queue.as_object(), "jobQueueName"));
    std::string token = text(page, "nextToken");
    if (token.empty()) return names;
    input["nextToken"] = token;
  }
}

// The jobs that a ListJobs request finds, page by page as they are asked for.
class JobWalk {
 public:
  JobWalk(ApiClient& api, json::object input) : api_(&api), input_(std::move(input)) {}

  // The next job, null after the last one.
  const json::object* peek() {
    while (next_ == page_.size() && !ended_) {  // a page may be empty and still not be the last
      json::object answer = api_->batch("ListJobs", input_);
      page_ = std::move(answer.at("jobSummaryList").as_array());
      next_ = 0;
      std::string token = text(answer, "nextToken");
      ended_ = token.empty();
      input_["nextToken"] = token;
    }
    return next_ < page_.size() ? &page_[next_].as_object() : nullptr;
  }
  void take() { ++next_; }

 private:
  ApiClient* api_;
  json::object input_;
  json::array page_;
  size_t next_ = 0;
  bool ended_ = false;
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

// ---- the list

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
      ids.push_back(text(*newest->peek(), "jobId"));
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
      table_.add({text(job, "jobId"), printable(text(job, "jobName")), short_name(text(job, "jobQueue")),
                  text(job, "status"), array ? fmt::format("{}/{}", array->done, array->size) : "-",
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

// ---- one job

// An attempt as it is shown: those that ended, and the one under way.
struct ShownAttempt {
  std::string outcome, run, reason, stream;
};

std::vector<ShownAttempt> attempts_of(const json::object& job, base::TimeMs now) {
  std::vector<ShownAttempt> shown;
  if (const json::array* attempts = base::find_array(job, "attempts"))
    for (const json::value& value : *attempts) {
      const json::object& attempt = value.as_object();
      std::string code = exit_code_of(attempt);
      shown.push_back({code == "-" ? "no exit code" : "exit " + code, run_time(attempt, now),
                       reason_of(attempt), text(container_of(attempt), "logStreamName")});
    }
  std::string status = text(job, "status");
  if (status == "STARTING" || status == "RUNNING")
    shown.push_back(
        {base::to_lower(status), run_time(job, now), "", text(container_of(job), "logStreamName")});
  return shown;
}

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
        hint = fmt::format("say its id; the newest job of that name in {} is {}", queue, text(*job, "jobId"));
        break;
      }
    }
  throw base::NotFoundError(
      fmt::format("the engine on {} has no job {}; {}", engine.folder.path, printable(id), hint));
}

void print_field(const char* label, const std::string& value) {
  if (!value.empty()) fmt::print("{:<12}{}\n", label, value);
}

void print_times(const json::object& job, base::TimeMs now) {
  auto created = base::find_int(job, "createdAt"), started = base::find_int(job, "startedAt"),
       stopped = base::find_int(job, "stoppedAt");
  auto line = [](const char* label, std::optional<int64_t> at, const std::string& note) {
    if (at) print_field(label, base::iso8601(*at, true) + "  " + note);
  };
  line("created", created, duration(now - created.value_or(now)) + " ago");
  line("started", started, duration(started.value_or(0) - created.value_or(0)) + " later");
  line("stopped", stopped,
       started            ? "ran " + run_time(job, now)
       : array_count(job) ? "took " + duration(stopped.value_or(0) - created.value_or(0))
                          : "never ran");
}

void print_array(EngineConnection& engine, const json::object& job) {
  const json::object* array = base::find_object(job, "arrayProperties");
  if (!array) return;
  std::string id = text(job, "jobId");
  auto count = array_count(job);
  if (!count) {
    print_field("child", fmt::format("{} of the array job {}", base::find_int(*array, "index").value_or(0),
                                     id.substr(0, id.find(':'))));
    return;
  }
  std::vector<std::string> parts;
  int64_t failed = 0;
  if (const json::object* statuses = base::find_object(*array, "statusSummary")) {
    failed = base::find_int(*statuses, "FAILED").value_or(0);
    for (const auto& [status, number] : *statuses)
      if (auto n = base::find_int(*statuses, status); n && *n > 0)
        parts.push_back(fmt::format("{} {}", *n, std::string_view(status)));
  }
  print_field("array", fmt::format("{} of {} done: {}", count->done, count->size, base::join(parts, ", ")));
  if (failed == 0) return;
  JobWalk walk(engine.api, {{"arrayJobId", id}, {"jobStatus", "FAILED"}, {"maxResults", kFailedChildrenMax}});
  for (int64_t shown = 0; shown < kFailedChildrenMax; ++shown, walk.take()) {
    const json::object* child = walk.peek();
    if (!child) return;
    std::string code = exit_code_of(*child);
    print_field(shown == 0 ? "failed" : "",
                fmt::format("{}  {}: {}", text(*child, "jobId"),
                            code == "-" ? "no exit code" : "exit " + code, reason_of(*child)));
  }
  if (failed > kFailedChildrenMax) fmt::print("{:<12}and {} more\n", "", failed - kFailedChildrenMax);
}

void print_dependencies(EngineConnection& engine, const json::object& job) {
  const json::array* depends_on = base::find_array(job, "dependsOn");
  if (!depends_on || depends_on->empty()) return;
  std::vector<std::string> ids;
  for (const json::value& dependency : *depends_on)
    if (std::string id = text(dependency.as_object(), "jobId"); !id.empty()) ids.push_back(id);
  std::vector<json::object> known;
  if (!ids.empty()) known = describe(engine.api, ids);
  const char* label = "depends on";
  for (const json::value& value : *depends_on) {
    std::string id = text(value.as_object(), "jobId"), type = text(value.as_object(), "type");
    std::string line = id.empty() ? "the child before it" : id;
    if (!type.empty()) line += "  " + type;
    auto other = std::find_if(known.begin(), known.end(),
                              [&](const json::object& each) { return text(each, "jobId") == id; });
    if (other != known.end())
      line += "  " + text(*other, "status") + "  " + printable(text(*other, "jobName"));
    print_field(std::exchange(label, ""), line);
  }
}

// A word of a command line, as a shell (bash, where it holds control characters) has to be given it.
std::string shell_word(const std::string& word) {
  auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (std::any_of(word.begin(), word.end(), is_control))
    return "$'" + base::replace_all(printable(word), "'", "\\'") + "'";
  bool plain = !word.empty() && word.find_first_not_of(
                                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789_-+=:,./@%") == std::string::npos;
  return plain ? word : "'" + base::replace_all(word, "'", "'\\''") + "'";
}

std::string command_of(const json::object& job) {
  std::vector<std::string> words;
  if (const json::array* command = base::find_array(container_of(job), "command"))
    for (const json::value& word : *command)
      if (const json::string* each = word.if_string())
        words.push_back(shell_word(std::string(base::view(*each))));
  return base::join(words, " ");
}

void print_job(EngineConnection& engine, const json::object& job, const Arguments& arguments) {
  base::TimeMs now = base::SystemClock().now_ms();
  std::string id = text(job, "jobId"), status = text(job, "status"), reason = reason_of(job);
  print_field("job", id);
  print_field("name", printable(text(job, "jobName")));
  print_field("status", reason.empty() ? status : status + ": " + reason);
  print_field("queue", short_name(text(job, "jobQueue")));
  print_field("definition", short_name(text(job, "jobDefinition")));
  print_field("command", command_of(job));
  print_times(job, now);
  print_array(engine, job);
  print_dependencies(engine, job);

  std::vector<ShownAttempt> attempts = attempts_of(job, now);
  const json::object* retry = base::find_object(job, "retryStrategy");
  int64_t allowed = retry ? base::find_int(*retry, "attempts").value_or(1) : 1;
  if (attempts.empty()) return;
  print_field("attempts", fmt::format("{} of at most {}", attempts.size(), allowed));
  size_t number = 0;
  bool logged = false;
  for (const ShownAttempt& attempt : attempts) {
    fmt::print("{:>10}  {}, {}{}{}\n", ++number, attempt.outcome,
               attempt.run == "-" ? "never ran" : "ran " + attempt.run, attempt.reason.empty() ? "" : ": ",
               attempt.reason);
    if (!attempt.stream.empty()) fmt::print("{:<12}log stream {}\n", "", printable(attempt.stream));
    logged |= !attempt.stream.empty();
  }
  if (logged)
    print_field("its log",
                fmt::format("millrace jobs {} --log{}", id,
                            arguments.data.empty() ? "" : " --data " + shell_word(arguments.data)));
}

// ---- its log

// The stream of the attempt that was asked for.
std::string log_stream_of(const json::object& job, const Arguments& arguments) {
  std::string id = text(job, "jobId");
  if (array_count(job))
    throw base::UsageError(fmt::format(
        "{} is an array job and prints nothing itself; its children do: millrace jobs {}:0 --log", id, id));
  std::vector<ShownAttempt> attempts = attempts_of(job, base::SystemClock().now_ms());
  if (arguments.attempt > attempts.size())
    throw base::NotFoundError(fmt::format("there is no attempt {} of job {}: it has had {}",
                                          arguments.attempt, id, attempts.size()));
  if (arguments.attempt > 0) {
    std::string stream = attempts[arguments.attempt - 1].stream;
    if (stream.empty())
      throw base::NotFoundError(fmt::format("attempt {} of job {} never ran, so it has no log: {}",
                                            arguments.attempt, id, attempts[arguments.attempt - 1].reason));
    return stream;
  }
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt)
    if (!attempt->stream.empty()) return attempt->stream;
  std::string status = text(job, "status"), reason = reason_of(job);
  throw base::NotFoundError(fmt::format("job {} has no log: it {}; it is {}{}", id,
                                        is_finished(status) ? "never ran" : "has not begun to run", status,
                                        reason.empty() ? "" : ": " + reason));
}

void print_log(EngineConnection& engine, const json::object& job, const Arguments& arguments) {
  std::string stream = log_stream_of(job, arguments);
  std::string group = kDefaultLogGroup;
  if (const json::object* log = base::find_object(container_of(job), "logConfiguration"))
    if (const json::object* options = base::find_object(*log, "options"))
      if (auto given = base::find_string(*options, "awslogs-group")) group = *given;
  json::object input{{"logGroupName", group}, {"logStreamName", stream}, {"startFromHead", true}};
  bool printed = false;
  try {
    for (std::string token;; input["nextToken"] = token) {
      json::object page = engine.api.logs("GetLogEvents", input);
      for (const json::value& event : page.at("events").as_array()) {
        fmt::print("{}\n", base::find_string(event.as_object(), "message").value_or(""));
        printed = true;
      }
      std::string next = text(page, "nextForwardToken");
      if (std::exchange(token, next) == next) break;  // so GetLogEvents says that this is all
    }
  } catch (const aws::ApiError& error) {
    // A stream is made by its first line.
    if (error.code().find("ResourceNotFoundException") == std::string::npos) throw;
  }
  if (!printed)
    fmt::print(stderr, "job {} {} nothing\n", text(job, "jobId"),
               is_finished(text(job, "status")) ? "printed" : "has printed");
}

// ---- the command

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
  EngineConnection engine(arguments);
  if (arguments.job.empty()) {
    Listing(arguments, engine).print();
  } else {
    json::object job = find_job(engine, arguments);
    if (arguments.log)
      print_log(engine, job, arguments);
    else if (arguments.json)
      fmt::print("{}\n", json::serialize(json::object{{"jobs", json::array{std::move(job)}}}));
    else
      print_job(engine, job, arguments);
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
    try {
      run(*arguments);
    } catch (const base::UsageError& error) {
      fmt::print(stderr, "millrace jobs: {}\n", error.what());
      exit_code = 2;
    } catch (const aws::ApiError& error) {
      bool region = std::string_view(error.what()).find("region") != std::string_view::npos;
      fmt::print(stderr, "millrace jobs: the engine answers: {}{}\n", error.what(),
                 region ? " `millrace serve` was given another --region than " + arguments->region +
                              "; say the same one here"
                        : "");
      exit_code = 1;
    } catch (const std::exception& error) {
      fmt::print(stderr, "millrace jobs: {}\n", error.what());
      exit_code = 1;
    }
  });
}

}  // namespace millrace::cli
