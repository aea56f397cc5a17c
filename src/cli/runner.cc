// `millrace runner`: started by the engine, not by people.
#include <CLI/CLI.hpp>
#include <exception>
#include <memory>

#include "cli/commands.h"
#include "exec/runner_process.h"

namespace millrace::cli {

void add_runner_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<exec::RunnerProcessOptions>();
  auto socket = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("runner", "runs the jobs of this machine; started by the engine");
  command->group("");  // hidden
  command->add_option("--data", options->data_dir, "data folder, absolute")->required();
  command->add_option("--socket", *socket, "where it listens; seen in ps, the descriptor counts");
  command->add_option("--listen-fd", options->listen_fd, "the listening socket")->required();
  command->add_option("--lock-fd", options->lock_fd, "the locked lock file")->required();
  command->add_option("--idle-exit-ms", options->idle_exit_ms, "ends after so long with nothing to do");
  command->add_option("--job-open-files", options->job_open_files, "soft RLIMIT_NOFILE of jobs; 0: as here");
  command->callback([options, socket, &exit_code] {
    try {
      exit_code = exec::run_runner(*options);
    } catch (const std::exception& error) {
      fprintf(stderr, "millrace runner: %s\n", error.what());
      exit_code = 1;
    }
  });
}

}  // namespace millrace::cli
