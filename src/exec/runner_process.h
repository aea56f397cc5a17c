// The runner: a small process that spawns the jobs of one machine, takes their output and keeps their
// outcomes until the engine has them. It outlives the engine.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::exec {

// Files below `<data>/runner/`. The lock is held (flock) by whoever is the runner; the engine takes it to
// start one.
std::string runner_directory(const std::string& data_dir);
std::string runner_socket_path(const std::string& data_dir);
std::string runner_lock_path(const std::string& data_dir);
std::string runner_table_path(const std::string& data_dir);
std::string runner_log_path(const std::string& data_dir);

struct RunnerProcessOptions {
  std::string data_dir;
  int listen_fd = -1;  // a listening unix socket, made by the engine: it may connect before the runner is up
  int lock_fd = -1;    // locked by the engine; the lock goes with the descriptor
  uint64_t job_open_files = 0;  // soft RLIMIT_NOFILE of jobs; 0: the runner's own
  int64_t idle_exit_ms =
      60'000;  // exits after so long without an engine, a job and an unacknowledged outcome
};

// Runs until idle, or told to by SIGTERM (which stops the jobs). The exit code of the process; closes every
// descriptor but those above. Call from main(), with one thread.
int run_runner(const RunnerProcessOptions& options);

}  // namespace millrace::exec
