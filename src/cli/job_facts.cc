#include "cli/job_facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/printable.h"

namespace millrace::cli {

std::string text_of(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

std::string short_name(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

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

std::string run_time(const json::object& run, base::TimeMs now) {
  auto started = base::find_int(run, "startedAt");
  return started ? duration(base::find_int(run, "stoppedAt").value_or(now) - *started) : "-";
}

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

std::string reason_of(const json::object& run) {
  std::string reason = text_of(run, "statusReason"), cause = text_of(container_of(run), "reason");
  if (reason.find(cause) == std::string::npos) reason += (reason.empty() ? "" : "; ") + cause;
  std::string status = text_of(run, "status");
  if (!reason.empty() && (status == "STARTING" || status == "RUNNING"))
    reason = "the attempt before: " + reason;
  return printable(reason);
}

std::string exit_code_of(const json::object& run) {
  auto code = base::find_int(container_of(run), "exitCode");
  return code ? std::to_string(*code) : "-";
}

bool is_finished(const std::string& status) { return status == "SUCCEEDED" || status == "FAILED"; }

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

}  // namespace millrace::cli
