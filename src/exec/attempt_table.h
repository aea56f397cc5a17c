// Which processes a runner has, readable by others also after it was killed.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace::exec {

constexpr int kAttemptSlots = 16384;

// A file of fixed size in shared memory: the kernel keeps what was stored when the runner is killed, and a
// store costs nothing. After a reboot it says nothing (the boot id differs). Written by the one runner of the
// folder, in one thread.
class AttemptTable {
 public:
  // Makes the file anew. Throws TransientError when there is no room for it.
  AttemptTable(const std::string& path, const std::string& instance, const std::string& cgroup_root);
  ~AttemptTable();
  AttemptTable(const AttemptTable&) = delete;
  AttemptTable& operator=(const AttemptTable&) = delete;

  // A free slot, marked with the time; -1 when all are taken.
  int take();
  // The process id goes here; the child writes it itself, so that no moment is without it.
  std::atomic<int32_t>* pid(int slot);
  void free(int slot);

 private:
  friend struct DeadRunner read_attempt_table(const std::string& path);
  struct File;
  File* file_ = nullptr;
  std::vector<int> free_slots_;
};

// What a dead runner left.
struct DeadRunner {
  std::string instance;     // empty: there was none
  std::string cgroup_root;  // empty: none
  struct Leader {
    pid_t pid;           // also its session and process group
    int64_t started_ns;  // CLOCK_BOOTTIME just before it was made
  };
  std::vector<Leader> leaders;  // empty after a reboot
};
DeadRunner read_attempt_table(const std::string& path);

// Kills every process of the sessions, process groups and cgroups in `dead` and waits until none of them
// runs. The runner itself must be dead. Throws TransientError when some will not die within 30 s (a hung
// device).
void kill_survivors(const DeadRunner& dead);
// SIGKILL to every process whose session is `session` and that began at or after `started_ns`.
void kill_session(pid_t session, int64_t started_ns);

int64_t boottime_ns();

}  // namespace millrace::exec
