// `millrace ingest`: clones, builds and publishes thousands of git repositories.
#include "cli/ingest.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/commands.h"
#include "workloads/result.h"

namespace millrace::cli {
namespace {

std::atomic<bool> g_stop = false;
void stop_soon(int) { g_stop = true; }

}  // namespace

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::atomic<bool>& stop_flag() { return g_stop; }

void stop_on_signals() {
  std::signal(SIGTERM, stop_soon);
  std::signal(SIGINT, stop_soon);
  std::signal(SIGPIPE, SIG_IGN);
}

int run_with_result(const std::string& command, const std::string& destination,
                    const std::function<void(workloads::JobResult& result)>& body) {
  base::SystemClock clock;
  workloads::JobResult result(command, clock);
  int code = -1;
  try {
    if (!destination.empty()) workloads::JobResult::require_writable(destination);
    body(result);
  } catch (const base::UsageError& error) {
    fmt::print(stderr, "millrace {}: {}\n", command, error.what());
    return workloads::kExitUsage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "millrace {}: {}\n", command, error.what());
    result.fail(error.what());
  }
  code = result.exit_code();
  try {
    if (!destination.empty()) result.write(destination);
  } catch (const base::Error& error) {
    fmt::print(stderr, "millrace {}: the result could not be written: {}\n", command, error.what());
    result.fail(std::string("the result could not be written: ") + error.what());
    code = workloads::kExitFailed;
  }
  fmt::print("{}\n", result.log_line());
  return std::fflush(stdout) == 0 ? code : workloads::kExitFailed;
}

void add_ingest_command(CLI::App& app, int& exit_code) {
  CLI::App* ingest =
      app.add_subcommand("ingest", "clone, build and publish thousands of git repositories from a list");
  ingest->require_subcommand(1);
  add_ingest_submit(*ingest, exit_code);
  add_ingest_run(*ingest, exit_code);
  add_ingest_report(*ingest, exit_code);
}

}  // namespace millrace::cli
