// `millrace why`: why a job waits, until when, and what would start it.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/engine_connection.h"
#include "cli/job_facts.h"
#include "cli/printable.h"

namespace millrace::cli {
namespace {

constexpr char kHelp[] =
    R"help(Says why a job waits: what stands before it, what runs in front, when it may start, and the one change that would start it.

Examples:
  millrace why 0d3f6c1e-…
  millrace why 0d3f6c1e-…:17            child 17 of an array job
  millrace why 0d3f6c1e-… --json | jq -r .change

Times by timeouts are certain, times by the lengths of the latest attempts are a guess.
Exit code: 0 the job waits, and why was said; 1 it does not wait, no engine runs there, or it has no such job; 2 wrong usage.)help";

struct Arguments {
  std::string job, data, region = "us-east-1";
  bool json = false;
};

std::string in_time(int64_t at, base::TimeMs now) {
  return base::iso8601(at, true) + "  in " + duration(at - now);
}

void print_running(const json::object& answer, base::TimeMs now) {
  const json::array* running = base::find_array(answer, "running");
  if (!running || running->empty()) return;
  int64_t count = base::find_int(answer, "runningCount").value_or(0);
  print_field("running", fmt::format("{} attempts, the longest first", count));
  for (const json::value& value : *running) {
    const json::object& job = value.as_object();
    auto started = base::find_int(job, "startedAt"), ends = base::find_int(job, "endsBefore");
    fmt::print("{:<12}{}  {}  {:g} vCPUs  {} MiB  {}{}\n", "", text_of(job, "jobId"),
               printable(text_of(job, "jobName")), job.at("vcpus").to_number<double>(),
               base::find_int(job, "memory").value_or(0),
               started ? "for " + duration(now - *started) : "starting",
               ends ? ", ends in " + duration(*ends - now) + " at the latest" : "");
  }
  if (count > static_cast<int64_t>(running->size()))
    fmt::print("{:<12}and {} more\n", "", count - static_cast<int64_t>(running->size()));
}

void print_answer(const json::object& answer, base::TimeMs now) {
  print_field("job", text_of(answer, "jobId"));
  print_field("name", printable(text_of(answer, "jobName")));
  std::string reason = text_of(answer, "reason"), status = text_of(answer, "status");
  if (reason.empty()) {
    fmt::print("{:<12}{}: it does not wait; `millrace jobs {}` shows it\n", "status", status,
               text_of(answer, "jobId"));
    return;
  }
  print_field("status", status + ": " + printable(reason));
  print_field("queue", text_of(answer, "jobQueue"));
  if (auto ahead = base::find_int(answer, "ahead"))
    print_field("position", fmt::format("{}, with {} before it", *ahead + 1, *ahead));
  if (answer.contains("shareIdentifier"))
    print_field("share",
                fmt::format("{}: has used {:.0f} vCPU-seconds lately, weight {:g}",
                            text_of(answer, "shareIdentifier"), answer.at("shareUsage").to_number<double>(),
                            answer.at("shareWeight").to_number<double>()));
  if (const json::array* chain = base::find_array(answer, "waitsFor")) {
    const char* label = "waits for";
    for (const json::value& value : *chain) {
      const json::object& link = value.as_object();
      std::string why = text_of(link, "reason");
      print_field(label,
                  fmt::format("{}  {}  {}{}", text_of(link, "jobId"), printable(text_of(link, "jobName")),
                              text_of(link, "status"), why.empty() ? "" : ": " + printable(why)));
      label = "";
    }
  }
  print_running(answer, now);
  if (auto at = base::find_int(answer, "startsBefore"))
    print_field("starts", in_time(*at, now) + " at the latest, by timeouts");
  if (auto at = base::find_int(answer, "likelyStart"))
    print_field("likely", fmt::format("{}, as attempts took {} lately", in_time(*at, now),
                                      duration(base::find_int(answer, "meanLengthMs").value_or(0))));
  print_field("to start it", printable(text_of(answer, "change")));
}

int run(const Arguments& arguments) {
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("jobs/why", {{"jobId", short_name(arguments.job)}});
  if (arguments.json) {
    fmt::print("{}\n", json::serialize(answer));
  } else {
    print_answer(answer, base::SystemClock().now_ms());
  }
  if (std::fflush(stdout) != 0) throw base::TransientError("the output cannot be written");
  return answer.contains("reason") ? 0 : 1;
}

}  // namespace

void add_why_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("why", "says why a job waits and what would start it");
  command->description(kHelp);
  command
      ->add_option("JOB", arguments->job, "the id or ARN of a job, or ID:INDEX for a child of an array job")
      ->required();
  command->add_flag("--json", arguments->json, "the same as JSON");
  command->add_option("--data", arguments->data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  command->add_option("--region", arguments->region, "the region that the engine was given")
      ->capture_default_str();
  command->callback([arguments, &exit_code] {
    spdlog::set_level(spdlog::level::warn);
    exit_code = run_command("why", arguments->region, [&] { return run(*arguments); });
  });
}

}  // namespace millrace::cli
