// Memory limits for attempts, through the memory controller of cgroup v1 or v2.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace millrace::exec {

// One cgroup: everything an attempt starts is in it, also daemons that left its session.
struct MemoryCgroup {
  std::string directory;
  int64_t memory_mib = 0;
  base::UniqueFd procs;   // "0" written here by a process makes it a member
  base::UniqueFd events;  // where the kernel counts processes killed for memory
  base::UniqueFd usage;
  int64_t oom_kills_before = 0;
};

// Process ids in the cgroup at `directory`; empty when it is not there.
std::vector<pid_t> cgroup_members(const std::string& directory);
// SIGKILL to every member. They may still be there on return; call again until cgroup_members() is empty.
void kill_cgroup(const std::string& directory);

// Makes cgroups below one of its own. Making one costs about 250 us, joining 110 us (measured on Linux 6.18),
// so a few clean ones are kept for the next attempt with the same limit. "Clean": empty, the counter of kills
// unchanged since it was handed out, and nothing but a trace of memory left charged to it. Not thread-safe.
class MemoryCgroups {
 public:
  // `name` is unique to the runner. Null, and `why_not` says why, when no memory controller may be used here.
  static std::unique_ptr<MemoryCgroups> open(const std::string& name, std::string& why_not);
  ~MemoryCgroups();  // removes what is empty

  // Throws TransientError when the kernel refuses.
  std::unique_ptr<MemoryCgroup> acquire(int64_t memory_mib);
  // True when the kernel killed a process of it for memory since acquire().
  bool out_of_memory(const MemoryCgroup& cgroup) const;
  bool empty(const MemoryCgroup& cgroup) const;
  // Takes it back; it must be empty().
  void release(std::unique_ptr<MemoryCgroup> cgroup);

  // Holds one directory per attempt.
  const std::string& root() const { return root_; }

 private:
  MemoryCgroups(std::string root, bool v2) : root_(std::move(root)), v2_(v2) {}
  int64_t oom_kills(const MemoryCgroup& cgroup) const;

  std::string root_;
  bool v2_;
  uint64_t number_ = 0;
  std::multimap<int64_t, std::unique_ptr<MemoryCgroup>> idle_;  // by memory_mib
};

}  // namespace millrace::exec
