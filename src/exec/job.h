// One attempt as the runner sees it: its process, its two pipes, its limits.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "exec/attempt_table.h"
#include "exec/executor.h"
#include "exec/line_splitter.h"
#include "exec/log_sink.h"
#include "exec/memory_cgroup.h"
#include "exec/scratch.h"
#include "exec/wire.h"

namespace millrace::exec {

// What jobs are made of; all outlive them.
struct JobHost {
  AttemptTable* table;
  MemoryCgroups* cgroups;  // null: memory is not limited
  Scratch* scratch;
  LogSink* sink;
  int null_fd;
  const rlimit* files_limit;
  std::string self;  // path of this program
};

class Job {
 public:
  enum class Start { kRunning, kFailed, kTryLater };

  // `serial` names the job in this runner's life.
  Job(JobHost& host, uint64_t serial, StartRequest request);
  ~Job();

  // Starts the process. kFailed: outcome() says why. kTryLater: the machine has no process, descriptor or
  // memory to spare just now; `last_try` makes that a failure.
  Start start(bool last_try);

  uint64_t serial() const { return serial_; }
  AttemptToken token() const { return outcome_.token; }
  pid_t pid() const { return pid_; }
  int output_fd(int which) const { return streams_[which].fd.get(); }
  const AttemptOutcome& outcome() const { return outcome_; }
  uint64_t last_line() const { return last_line_; }  // LogSink::appended() after its last line

  // Takes what is in pipe `which` (0: stdout, 1: stderr), at most a fair share of it. False when there was
  // nothing; at the end of the pipe it is closed.
  bool read_output(int which, int64_t now_ms);
  bool outputs_open() const { return streams_[0].fd || streams_[1].fd; }
  // Gives up on pipes that somebody else keeps open.
  void close_outputs();

  void terminate();  // SIGTERM to the process group
  // SIGKILL to everything known of it; `thorough` looks through all processes (a millisecond or more).
  void kill(bool thorough);
  // The main process has ended but is not reaped yet: what it left dies with it, and its output is taken.
  void main_ended(int64_t now_ms);
  void reaped(int wait_status, const rusage& usage);
  bool exited() const { return exited_; }
  // True while a process of it is left. Only a cgroup can tell.
  bool has_leftovers() const { return cgroup_ && !host_.cgroups->empty(*cgroup_); }
  // After the end: last lines are appended, limits and folder are given back.
  void finish(int64_t now_ms);

  int64_t kill_at_ms = -1;          // when a stop's grace is over
  int64_t close_at_ms = -1;         // when to stop waiting for leftovers
  bool paused[2] = {false, false};  // not read, because the disk is full
  bool dropped = false;             // no engine wants to know

 private:
  struct Stream {
    base::UniqueFd fd;
    LineSplitter lines;
  };
  Start fail(const std::string& reason);
  void append(std::string_view line, int64_t now_ms);

  JobHost& host_;
  uint64_t serial_;
  StartRequest request_;  // emptied once started, but for the log names
  AttemptOutcome outcome_;
  pid_t pid_ = -1;
  int slot_ = -1;
  int64_t started_ns_ = 0;
  bool exited_ = false;
  Stream streams_[2];
  std::unique_ptr<MemoryCgroup> cgroup_;
  std::unique_ptr<Scratch::Folder> scratch_;
  bool log_open_ = false;
  uint32_t log_stream_ = 0;
  uint64_t last_line_ = 0;
};

}  // namespace millrace::exec
