// How the engine comes to a connected runner: finds the living one, or clears up after the last and starts
// another.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/unique_fd.h"
#include "exec/runner.h"
#include "exec/wire.h"

namespace millrace::exec {

struct RunnerLink {
  base::UniqueFd socket;
  base::UniqueFd process;  // pidfd
  pid_t pid = -1;
  std::string instance;
  std::string limits_note;
  std::string lost_instance;  // the runner that was found dead, all it left killed; empty: none
  FrameQueue in;              // what came behind the greeting
};

// Blocks until the runner has greeted (milliseconds). Throws ConflictError when another engine has it,
// UsageError for a data folder that cannot be, TransientError for everything that may pass.
RunnerLink connect_runner(const RunnerOptions& options);

// Waits until the process of `link` is dead; kills it when it has only closed the connection.
void bury_runner(RunnerLink& link);

}  // namespace millrace::exec
