// Another program, run to its end with a time limit, bounded output and nothing left of it afterwards.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace millrace::base {

struct ChildOptions {
  std::vector<std::string> arguments;    // argv; [0] is looked for in the PATH of `environment`
  std::vector<std::string> environment;  // "NAME=value": all that the child sees
  std::string directory = "/";
  // RLIMIT_… and the value of both its limits; those above what this process may have become that.
  std::vector<std::pair<int, uint64_t>> limits;
};

struct ChildEnd {
  int exit_code = -1;  // when `signal` is 0
  int signal = 0;      // that ended it
  int64_t cpu_ms = 0;  // of it and of the children it waited for
  int64_t rss_max_bytes = 0;

  bool ok() const { return signal == 0 && exit_code == 0; }
  std::string text() const;  // "exit code 3", "killed by signal 9 (Killed)"
};

// A running child with pipes to its standard input and output and from its standard error. It has a session
// and process group of its own; it and its group are killed when this object goes, and when the thread that
// made it ends. One thread at a time.
class ChildProcess {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  enum Streams : unsigned { kNone = 0, kInput = 1, kOutput = 2, kErrors = 4, kOutputAndErrors = 8 };

  // What is not in `streams` is /dev/null; kOutputAndErrors: both through output(). Throws NotFoundError when
  // there is no such program or folder, TransientError when the system cannot start one more process.
  ChildProcess(const ChildOptions& options, unsigned streams);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Non-blocking, -1 when closed or not asked for.
  int input() const { return input_.get(); }
  int output() const { return output_.get(); }
  int errors() const { return errors_.get(); }
  int pidfd() const { return pidfd_.get(); }  // readable when it has ended
  // As write(2) on input(), and without SIGPIPE when the child reads no more (EPIPE).
  ssize_t write_input(std::string_view bytes);
  void close_input() { input_.reset(); }

  // False when it still runs at `until`.
  bool wait(TimePoint until);
  // Waits for its end, for ever. Its group is killed then: nothing of it stays behind.
  ChildEnd end();
  void kill_group(int signal);

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  ChildEnd end_;
  UniqueFd input_, output_, errors_, pidfd_;
};

struct RunLimits {
  std::chrono::milliseconds time{0};           // 0: none
  std::chrono::milliseconds grace{2'000};      // between SIGTERM and SIGKILL when the time is over
  size_t output_bytes_max = 1 << 20;           // kept of standard output: the first ones
  size_t errors_bytes_max = 16 << 10;          // kept of standard error: the last ones
  std::chrono::milliseconds check_every{250};  // how often `must_stop` is asked
  std::function<bool()> must_stop;             // true: the child is ended as if its time were over
  std::function<void(std::string_view)>
      on_output;  // both streams in the order they came; instead of keeping output
};

struct ChildRun {
  ChildEnd end;
  bool timed_out = false;
  bool stopped = false;     // by `must_stop`
  bool output_cut = false;  // there was more than `output_bytes_max`
  std::string output, errors;

  bool ok() const { return end.ok() && !timed_out && !stopped; }
};

// Runs it with `input` on its standard input. Returns when it has ended and its group is gone; a process that
// left the group and keeps the pipes open is not waited for. Throws as ChildProcess.
ChildRun run_child(const ChildOptions& options, const RunLimits& limits, std::string_view input = {});

}  // namespace millrace::base
