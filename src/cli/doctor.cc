// `millrace doctor`: one line for everything that can be wrong.
#include "cli/doctor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "http/client.h"
#include "workloads/result.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

using State = Check::State;

constexpr const char* kHelp =
    R"help(Checks what the engine and its jobs need: CPU, memory, disk, limits, tools, clock, network, TLS, credentials, and
what you name. Nothing is changed; a probe file or object is written and removed where writing is checked.

Examples:
  millrace doctor
  millrace doctor --s3 s3://mirror/ingest --database postgresql://u@db/scan --list repos.csv
  millrace doctor --json --strict

Exit code: 0 nothing is broken (there may be warnings); 1 something is broken; 2 wrong usage; 3 with --strict: there are
warnings.)help";

const char* text_of(State state) {
  switch (state) {
    case State::kOk:
      return "ok";
    case State::kWarning:
      return "warning";
    case State::kBroken:
      return "broken";
    case State::kSkipped:
      return "skipped";
  }
  return "";
}

const char* colour_of(State state) {
  switch (state) {
    case State::kOk:
      return "\033[32m";
    case State::kWarning:
      return "\033[33m";
    case State::kBroken:
      return "\033[31m";
    case State::kSkipped:
      return "\033[2m";
  }
  return "";
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

size_t count(const Checks& checks, State state) {
  return static_cast<size_t>(
      std::count_if(checks.begin(), checks.end(), [&](const Check& check) { return check.state == state; }));
}

// The folder that was named, or the default one; empty when there is none.
std::string data_folder_of(const DoctorOptions& options) {
  if (!options.data.empty()) return options.data;
  try {
    return default_data_folder();
  } catch (const base::Error&) {
    return "";  // no HOME: as good as no folder, and said as such
  }
}

std::string endpoint_of(const DoctorOptions& options, const std::string& data) {
  if (!options.endpoint.empty()) return options.endpoint;
  if (std::string url = environment("AWS_ENDPOINT_URL"); !url.empty()) return url;
  if (!data.empty())
    if (std::string url = running_endpoint(name_data_folder(data)); !url.empty()) return url;
  return "";
}

}  // namespace

Checks examine(const DoctorOptions& options, const std::function<void(const Check&)>& on_check) {
  Checks all;
  auto take = [&](const std::function<Checks()>& room) {
    Checks found;
    try {
      found = room();
    } catch (const std::exception& error) {
      found = {{State::kBroken, "doctor", workloads::printable(error.what()),
                "report this: a check failed itself"}};
    }
    for (Check& check : found) {
      // One line each, whatever the names and messages of others hold.
      check.what = workloads::printable(check.what);
      if (on_check) on_check(check);
      all.push_back(std::move(check));
    }
  };
  const auto client = std::make_shared<http::Client>();
  const std::string data = data_folder_of(options);
  std::string work = options.work_folder;
  if (work.empty()) work = environment("TMPDIR");
  if (work.empty()) work = "/tmp";
  take(check_cpu);
  take(check_memory);
  take([&] { return check_disk("work", work); });
  if (data.empty())
    take([] {
      return Checks{
          {State::kWarning, "data", "HOME is not set: there is no default data folder", "use --data"}};
    });
  else
    take([&] { return check_disk("data", data); });
  take(check_limits);
  take([&] { return check_tools(options.needs_git || !options.list.empty()); });
  take(check_duckdb);
  if (!data.empty()) take([&] { return check_data(data); });
  const std::string endpoint = endpoint_of(options, data);
  take(check_ca_bundle);
  take([&] { return check_endpoint(endpoint, *client); });
  take([&] { return check_credentials(endpoint, client); });
  for (const std::string& place : options.s3) take([&] { return check_s3(place); });
  if (!options.database.empty()) take([&] { return check_database(options.database); });
  if (!options.publish.empty()) take([&] { return check_publish(options.publish, client); });
  if (!options.list.empty()) take([&] { return check_list(options.list, client); });
  return all;
}

bool is_broken(const Checks& checks) { return count(checks, State::kBroken) > 0; }

void print_check(const Check& check, std::FILE* out) {
  const bool colour =
      isatty(fileno(out)) != 0 && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  fmt::print(out, "{}{:<8}{} {:<14} {}\n", colour ? colour_of(check.state) : "", text_of(check.state),
             colour ? "\033[0m" : "", check.name, check.what);
  if (!check.mend.empty()) fmt::print(out, "{:<24}-> {}\n", "", check.mend);
  std::fflush(out);
}

bool diagnose(const DoctorOptions& options, std::FILE* out) {
  const Checks checks = examine(options, [&](const Check& check) { print_check(check, out); });
  return !is_broken(checks);
}

namespace {

struct Arguments {
  DoctorOptions options;
  bool json = false, strict = false, quiet = false;
};

int run(const Arguments& arguments) {
  const bool lines = !arguments.json;
  const Checks checks = examine(arguments.options, [&](const Check& check) {
    if (lines && (!arguments.quiet || check.state == State::kWarning || check.state == State::kBroken))
      print_check(check, stdout);
  });
  const size_t broken = count(checks, State::kBroken), warnings = count(checks, State::kWarning);
  int code = workloads::kExitDone;
  if (broken > 0)
    code = workloads::kExitFailed;
  else if (warnings > 0 && arguments.strict)
    code = workloads::kExitPartial;
  if (arguments.json) {
    base::json::array all;
    for (const Check& check : checks) {
      base::json::object one{{"name", check.name}, {"state", text_of(check.state)}, {"what", check.what}};
      if (!check.mend.empty()) one["mend"] = check.mend;
      all.push_back(std::move(one));
    }
    const base::json::object document{{"status", broken > 0     ? "broken"
                                                 : warnings > 0 ? "warnings"
                                                                : "ok"},
                                      {"exit_code", code},
                                      {"broken", static_cast<int64_t>(broken)},
                                      {"warnings", static_cast<int64_t>(warnings)},
                                      {"checks", std::move(all)}};
    fmt::print("{}\n", base::json::serialize(document));
  } else if (broken > 0) {
    fmt::print("\n{} broken, {} warnings\n", broken, warnings);
  } else if (!arguments.quiet || warnings > 0) {
    fmt::print("\nnothing is broken, {} warnings\n", warnings);
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? code : workloads::kExitFailed;
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("doctor", "check this machine: what is wrong, and how to mend it");
  command->footer(kHelp);
  DoctorOptions& o = arguments->options;
  command->add_option("--data", o.data,
                      "the engine's folder (default: MILLRACE_DATA, else ~/.local/share/millrace)");
  command->add_option(
      "--endpoint", o.endpoint,
      "URL of AWS or an engine (default: AWS_ENDPOINT_URL, else that of the engine that runs)");
  command->add_option("--s3", o.s3,
                      "s3://BUCKET[/PREFIX] that must be readable and writable; may be given again");
  command->add_option("--database", o.database, "postgresql://… or sqlite:///FILE (default: DATABASE_URL)");
  command->add_option("--list", o.list, "a list of repositories for `millrace ingest`");
  command->add_option("--publish", o.publish, "where `millrace ingest` is to publish (default: PUBLISH_URL)");
  command->add_option("--work", o.work_folder, "where jobs keep their files (default: TMPDIR, else /tmp)");
  command->add_flag("--strict", arguments->strict, "exit with 3 when there are warnings");
  command->add_flag("--quiet", arguments->quiet, "print warnings and what is broken only");
  command->add_flag("--json", arguments->json, "print one JSON document");
  command->callback([arguments, &exit_code] {
    DoctorOptions& options = arguments->options;
    if (options.database.empty()) options.database = environment("DATABASE_URL");
    if (options.publish.empty()) options.publish = environment("PUBLISH_URL");
    exit_code = run(*arguments);
  });
}

}  // namespace millrace::cli
