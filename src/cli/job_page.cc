#include "cli/job_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/job_facts.h"
#include "cli/job_walk.h"
#include "cli/log_lines.h"
#include "cli/printable.h"

namespace millrace::cli {
namespace {

constexpr int64_t kFailedChildrenMax = 10;

// An attempt as it is shown: those that ended, and the one under way.
struct ShownAttempt {
  std::string outcome, run, reason, stream, used;
};

std::vector<ShownAttempt> attempts_of(const json::object& job, base::TimeMs now) {
  std::vector<ShownAttempt> shown;
  if (const json::array* attempts = base::find_array(job, "attempts"))
    for (const json::value& value : *attempts) {
      const json::object& attempt = value.as_object();
      std::string code = exit_code_of(attempt);
      shown.push_back({code == "-" ? "no exit code" : "exit " + code, run_time(attempt, now),
                       reason_of(attempt), text_of(container_of(attempt), "logStreamName"), ""});
    }
  std::string status = text_of(job, "status");
  if (status == "STARTING" || status == "RUNNING")
    shown.push_back(
        {base::to_lower(status), run_time(job, now), "", text_of(container_of(job), "logStreamName"), ""});
  return shown;
}

// What AWS's API does not tell: CPU time and memory of the attempts that ended.
void add_use(ApiClient& api, const std::string& id, std::vector<ShownAttempt>& attempts) {
  json::object answer = api.own("jobs/why", {{"jobId", id}});
  const json::array* used = base::find_array(answer, "attempts");
  for (size_t i = 0; used && i < std::min(used->size(), attempts.size()); ++i) {
    const json::object& each = (*used)[i].as_object();
    int64_t bytes = base::find_int(each, "memoryPeak").value_or(0);
    if (bytes > 0)
      attempts[i].used =
          fmt::format(", used {:.2f}s of CPU and at most {}", each.at("cpuSeconds").to_number<double>(),
                      base::human_bytes(static_cast<uint64_t>(bytes)));
  }
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

void print_array(ApiClient& api, const json::object& job) {
  const json::object* array = base::find_object(job, "arrayProperties");
  if (!array) return;
  std::string id = text_of(job, "jobId");
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
  JobWalk walk(api, {{"arrayJobId", id}, {"jobStatus", "FAILED"}, {"maxResults", kFailedChildrenMax}});
  for (int64_t shown = 0; shown < kFailedChildrenMax; ++shown, walk.take()) {
    const json::object* child = walk.peek();
    if (!child) return;
    std::string code = exit_code_of(*child);
    print_field(shown == 0 ? "failed" : "",
                fmt::format("{}  {}: {}", text_of(*child, "jobId"),
                            code == "-" ? "no exit code" : "exit " + code, reason_of(*child)));
  }
  if (failed > kFailedChildrenMax) fmt::print("{:<12}and {} more\n", "", failed - kFailedChildrenMax);
}

void print_dependencies(ApiClient& api, const json::object& job) {
  const json::array* depends_on = base::find_array(job, "dependsOn");
  if (!depends_on || depends_on->empty()) return;
  std::vector<std::string> ids;
  for (const json::value& dependency : *depends_on)
    if (std::string id = text_of(dependency.as_object(), "jobId"); !id.empty()) ids.push_back(id);
  std::vector<json::object> known;
  if (!ids.empty()) known = describe(api, ids);
  const char* label = "depends on";
  for (const json::value& value : *depends_on) {
    std::string id = text_of(value.as_object(), "jobId"), type = text_of(value.as_object(), "type");
    std::string line = id.empty() ? "the child before it" : id;
    if (!type.empty()) line += "  " + type;
    auto other = std::find_if(known.begin(), known.end(),
                              [&](const json::object& each) { return text_of(each, "jobId") == id; });
    if (other != known.end())
      line += "  " + text_of(*other, "status") + "  " + printable(text_of(*other, "jobName"));
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

// The stream of the attempt that was asked for.
std::string log_stream_of(const json::object& job, size_t attempt) {
  std::string id = text_of(job, "jobId");
  if (array_count(job))
    throw base::UsageError(fmt::format(
        "{} is an array job and prints nothing itself; its children do: millrace jobs {}:0 --log", id, id));
  std::vector<ShownAttempt> attempts = attempts_of(job, base::SystemClock().now_ms());
  if (attempt > attempts.size())
    throw base::NotFoundError(
        fmt::format("there is no attempt {} of job {}: it has had {}", attempt, id, attempts.size()));
  if (attempt > 0) {
    std::string stream = attempts[attempt - 1].stream;
    if (stream.empty())
      throw base::NotFoundError(fmt::format("attempt {} of job {} never ran, so it has no log: {}", attempt,
                                            id, attempts[attempt - 1].reason));
    return stream;
  }
  for (auto latest = attempts.rbegin(); latest != attempts.rend(); ++latest)
    if (!latest->stream.empty()) return latest->stream;
  std::string status = text_of(job, "status"), reason = reason_of(job);
  throw base::NotFoundError(fmt::format("job {} has no log: it {}; it is {}{}", id,
                                        is_finished(status) ? "never ran" : "has not begun to run", status,
                                        reason.empty() ? "" : ": " + reason));
}

}  // namespace

void print_job(ApiClient& api, const json::object& job, const std::string& data) {
  base::TimeMs now = base::SystemClock().now_ms();
  std::string id = text_of(job, "jobId"), status = text_of(job, "status"), reason = reason_of(job);
  print_field("job", id);
  print_field("name", printable(text_of(job, "jobName")));
  print_field("status", reason.empty() ? status : status + ": " + reason);
  print_field("queue", short_name(text_of(job, "jobQueue")));
  print_field("definition", short_name(text_of(job, "jobDefinition")));
  print_field("command", command_of(job));
  print_times(job, now);
  print_array(api, job);
  print_dependencies(api, job);

  std::vector<ShownAttempt> attempts = attempts_of(job, now);
  const json::object* retry = base::find_object(job, "retryStrategy");
  int64_t allowed = retry ? base::find_int(*retry, "attempts").value_or(1) : 1;
  if (attempts.empty()) return;
  add_use(api, id, attempts);
  print_field("attempts", fmt::format("{} of at most {}", attempts.size(), allowed));
  size_t number = 0;
  bool logged = false;
  for (const ShownAttempt& attempt : attempts) {
    fmt::print("{:>10}  {}, {}{}{}{}\n", ++number, attempt.outcome,
               attempt.run == "-" ? "never ran" : "ran " + attempt.run, attempt.used,
               attempt.reason.empty() ? "" : ": ", attempt.reason);
    if (!attempt.stream.empty()) fmt::print("{:<12}log stream {}\n", "", printable(attempt.stream));
    logged |= !attempt.stream.empty();
  }
  if (logged)
    print_field("its log", fmt::format("millrace jobs {} --log{}", id,
                                       data.empty() ? "" : " --data " + shell_word(data)));
}

void print_log(ApiClient& api, const json::object& job, size_t attempt) {
  std::string stream = log_stream_of(job, attempt);
  std::string group = kDefaultLogGroup;
  if (const json::object* log = base::find_object(container_of(job), "logConfiguration"))
    if (const json::object* options = base::find_object(*log, "options"))
      if (auto given = base::find_string(*options, "awslogs-group")) group = *given;
  const bool printed =
      LogLines(api, group, stream).read_new([](std::string_view line) { fmt::print("{}\n", line); });
  if (!printed)
    fmt::print(stderr, "job {} {} nothing\n", text_of(job, "jobId"),
               is_finished(text_of(job, "status")) ? "printed" : "has printed");
}

}  // namespace millrace::cli
