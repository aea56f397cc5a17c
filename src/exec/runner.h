// This machine as an Executor: talks to the runner process of a data folder, starts one when there is none,
// and replaces it when it dies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "exec/executor.h"

namespace millrace::exec {

struct RunnerOptions {
  std::string
      data_dir;  // absolute; output goes to <data_dir>/logs, the runner's own files to <data_dir>/runner
  std::string runtime;  // "process": any image's command runs on the host; empty: only image `millrace` does
  double vcpus = 0;     // offered; 0: the CPUs this process may use
  int64_t memory_mib = 0;  // offered; 0: the machine's memory
  int gpus = -1;           // to offer; -1: those of NVIDIA that this machine has. Jobs are not told which.
  std::string program;     // what is run as `PROGRAM runner …`; empty: this program
  uint64_t job_open_files = 0;    // soft RLIMIT_NOFILE of jobs; 0: this process's own
  int64_t idle_exit_ms = 60'000;  // how long a runner waits for an engine when it has nothing to keep
};

class Runner final : public Executor {
 public:
  // Connects to the living runner of the folder or starts one. Throws ConflictError when another engine is
  // connected to it, UsageError for a wrong option, TransientError when it cannot be started.
  explicit Runner(RunnerOptions options);
  // Leaves the runner and its jobs running.
  ~Runner() override;

  Capacity capacity() const override;
  std::string instance() const override;
  void adopt(const std::vector<AttemptToken>& believed, ExecutorListener& listener) override;
  void start(std::vector<AttemptSpec> attempts) override;
  void revoke(AttemptToken token) override;
  void stop(AttemptToken token, int64_t grace_ms) override;
  void acknowledge(const std::vector<AttemptToken>& tokens) override;

  // One sentence when memory limits cannot be enforced on this machine, else empty.
  std::string limits_note() const;
  int runner_pid() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::exec
