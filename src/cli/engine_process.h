// An engine for a command that needs one: the one that runs on the data folder, or a new one in a process of
// its own.
#pragma once

#include <sys/types.h>

#include <string>

#include "cli/data_folder.h"

namespace millrace::cli {

class EngineProcess {
 public:
  // Starts `millrace serve` on the folder unless an engine runs there. Its messages go to folder.serve_log().
  // Throws TransientError with the last of them when it does not come up.
  explicit EngineProcess(const DataFolder& folder);
  // From here on SIGINT, SIGTERM and SIGHUP stop the engine before they end this process. One at a time in a
  // process.
  // Stops the engine that was started here, unless leave_running() was called.
  ~EngineProcess();
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  void leave_running();

 private:
  base::UniqueFd turn_;
  std::string endpoint_;
  pid_t pid_ = -1;  // of the engine started here
};

}  // namespace millrace::cli
