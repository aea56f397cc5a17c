// Starts one process with vfork semantics: the parent's memory is shared until exec, so it costs the same
// from a small and from a large process, and a failure of exec is known without a pipe.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::base {

struct SpawnRequest {
  std::string program;                   // path, absolute or relative to `directory`
  std::vector<std::string> arguments;    // argv, with [0]
  std::vector<std::string> environment;  // "NAME=value"
  std::string directory;
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;
  int cgroup_procs_fd = -1;                         // joined before exec; -1: none
  std::atomic<int32_t>* pid_written_to = nullptr;   // set by the child itself, before exec
  std::vector<std::pair<int, rlimit>> limits = {};  // RLIMIT_… of the child; the others are the parent's
};

struct SpawnResult {
  pid_t pid = -1;  // valid when `error` is 0
  int error = 0;   // errno
  enum class Step { kClone, kSession, kCgroup, kFiles, kLimits, kDirectory, kExec } step = Step::kClone;
};

// The child has a session and process group of its own, no signals blocked, SIGPIPE as usual, no descriptors
// beyond 0 to 2, and gets SIGKILL when the calling thread ends. Other dispositions are the caller's: what it
// ignores the child ignores. Any thread may call.
SpawnResult spawn(const SpawnRequest& request);

// Where `name` is found in `path` (colon-separated, as PATH; unset: where Debian has its programs) for a
// process in `directory`. A name with a slash is taken as it is. Nothing when no such executable file is
// there.
std::optional<std::string> find_program(const std::string& name, const std::optional<std::string>& path,
                                        const std::string& directory);

}  // namespace millrace::base
