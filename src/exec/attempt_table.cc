#include "exec/attempt_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <new>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "exec/memory_cgroup.h"

namespace millrace::exec {
namespace {

constexpr uint64_t kMagic = 0x31746e755272696d;  // names the layout: a new one needs a new number
constexpr int64_t kSecondNs = 1'000'000'000;
// /proc counts start times in ticks of 10 ms, rounded down.
constexpr int64_t kTickNs = kSecondNs / 100;
// Between the slot being taken and the process being made the runner may not get the CPU for a while.
constexpr int64_t kStartSlackNs = 30 * kSecondNs;

// What process ids are relative to: the boot, and the pid namespace (a container started anew has its own).
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  char space[64];
  ssize_t n = readlink("/proc/self/ns/pid", space, sizeof space);
  if (n > 0) id.append(" ").append(space, static_cast<size_t>(n));
  return id;
}

struct ProcessInfo {
  pid_t pid = 0, group = 0, session = 0;
  char state = '?';
  int64_t started_ns = 0;
};

// Fields of /proc/PID/stat (proc(5)): 3 state, 5 pgrp, 6 session, 22 starttime; counted after the last ')'.
std::optional<ProcessInfo> process_info(pid_t pid) {
  base::UniqueFd fd(::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  char buffer[1024];
  ssize_t n = read(fd.get(), buffer, sizeof buffer);
  if (n <= 0) return std::nullopt;
  std::string_view text(buffer, static_cast<size_t>(n));
  size_t end = text.rfind(')');
  if (end == std::string_view::npos || end + 2 > text.size()) return std::nullopt;
  auto fields = base::split(text.substr(end + 2), ' ');
  if (fields.size() < 20) return std::nullopt;
  ProcessInfo info;
  info.pid = pid;
  info.state = fields[0].empty() ? '?' : fields[0][0];
  info.group = base::parse_number<pid_t>(fields[2]).value_or(0);
  info.session = base::parse_number<pid_t>(fields[3]).value_or(0);
  info.started_ns = base::parse_number<int64_t>(fields[19]).value_or(0) * (kSecondNs / sysconf(_SC_CLK_TCK));
  return info;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  DIR* proc = opendir("/proc");
  if (!proc) return pids;
  while (dirent* entry = readdir(proc))
    if (auto pid = base::parse_number<pid_t>(entry->d_name)) pids.push_back(*pid);
  closedir(proc);
  return pids;
}

// Kills every living process that `chosen` names; gives back a descriptor for each that becomes readable when
// it is dead. The process is looked at again once it is held, because its id may have been used again in
// between.
std::vector<base::UniqueFd> kill_chosen(const std::function<bool(const ProcessInfo&)>& chosen) {
  std::vector<base::UniqueFd> killed;
  auto wanted = [&](pid_t pid) {
    auto info = process_info(pid);
    return info && info->state != 'Z' && info->state != 'X' && chosen(*info);
  };
  for (pid_t pid : all_processes()) {
    if (pid == getpid() || !wanted(pid)) continue;
    base::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!fd || !wanted(pid)) continue;
    if (syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0) == 0) killed.push_back(std::move(fd));
  }
  return killed;
}

std::vector<std::string> child_directories(const std::string& directory) {
  std::vector<std::string> found;
  DIR* dir = directory.empty() ? nullptr : opendir(directory.c_str());
  if (!dir) return found;
  while (dirent* entry = readdir(dir))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') found.push_back(directory + "/" + entry->d_name);
  closedir(dir);
  return found;
}

}  // namespace

int64_t boottime_ns() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

struct AttemptTable::File {
  uint64_t magic;
  char instance[32];
  char boot_id[128];
  char cgroup_root[1024];
  struct Slot {
    std::atomic<int32_t> pid;
    std::atomic<int64_t> started_ns;
  } slots[kAttemptSlots];
};

AttemptTable::AttemptTable(const std::string& path, const std::string& instance,
                           const std::string& cgroup_root) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw base::TransientError(base::system_message("open " + path, errno));
  // Room is taken now: a store into a hole of a full disk would be a SIGBUS.
  int error = ftruncate(fd.get(), 0) != 0 ? errno : posix_fallocate(fd.get(), 0, sizeof(File));
  if (error != 0) throw base::TransientError(base::system_message("making room for " + path, error));
  void* memory = mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) throw base::TransientError(base::system_message("mmap " + path, errno));
  file_ = static_cast<File*>(memory);
  instance.copy(file_->instance, sizeof file_->instance - 1);
  boot_id().copy(file_->boot_id, sizeof file_->boot_id - 1);
  cgroup_root.copy(file_->cgroup_root, sizeof file_->cgroup_root - 1);
  file_->magic = kMagic;
  free_slots_.reserve(kAttemptSlots);
  for (int slot = kAttemptSlots - 1; slot >= 0; --slot) free_slots_.push_back(slot);
}

AttemptTable::~AttemptTable() { munmap(file_, sizeof(File)); }

int AttemptTable::take() {
  if (free_slots_.empty()) return -1;
  int slot = free_slots_.back();
  free_slots_.pop_back();
  file_->slots[slot].started_ns.store(boottime_ns(), std::memory_order_relaxed);
  return slot;
}

std::atomic<int32_t>* AttemptTable::pid(int slot) { return &file_->slots[slot].pid; }

void AttemptTable::free(int slot) {
  file_->slots[slot].pid.store(0, std::memory_order_relaxed);
  free_slots_.push_back(slot);
}

DeadRunner read_attempt_table(const std::string& path) {
  DeadRunner dead;
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status;
  if (!fd || fstat(fd.get(), &status) != 0 ||
      static_cast<size_t>(status.st_size) != sizeof(AttemptTable::File))
    return dead;
  void* memory = mmap(nullptr, sizeof(AttemptTable::File), PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) throw base::TransientError(base::system_message("mmap " + path, errno));
  const auto* file = static_cast<const AttemptTable::File*>(memory);
  if (file->magic == kMagic) {
    dead.instance.assign(file->instance, strnlen(file->instance, sizeof file->instance));
    if (boot_id() == std::string(file->boot_id, strnlen(file->boot_id, sizeof file->boot_id))) {
      dead.cgroup_root.assign(file->cgroup_root, strnlen(file->cgroup_root, sizeof file->cgroup_root));
      for (const auto& slot : file->slots)
        if (pid_t pid = slot.pid.load()) dead.leaders.push_back({pid, slot.started_ns.load()});
    }
  }
  munmap(memory, sizeof(AttemptTable::File));
  return dead;
}

void kill_session(pid_t session, int64_t started_ns) {
  kill_chosen([&](const ProcessInfo& info) {
    return info.session == session && info.started_ns >= started_ns - kTickNs;
  });
}

void kill_survivors(const DeadRunner& dead) {
  const int64_t give_up_ns = boottime_ns() + 30 * kSecondNs;
  std::unordered_map<pid_t, int64_t> ours;
  for (const DeadRunner::Leader& leader : dead.leaders) {
    // The id of a group's leader is not used again while the group has a member. When the group ended and the
    // id was, its new owner began later than ours can have.
    auto info = process_info(leader.pid);
    if (info && info->state != 'Z' && info->started_ns > leader.started_ns + kStartSlackNs) continue;
    ours.emplace(leader.pid, leader.started_ns);
  }
  auto chosen = [&](const ProcessInfo& info) {
    for (pid_t id : {info.session, info.group})
      if (auto leader = ours.find(id); leader != ours.end() && info.started_ns >= leader->second - kTickNs)
        return true;
    return false;
  };
  std::vector<std::string> cgroups = child_directories(dead.cgroup_root);
  for (bool found = true; found;) {
    if (boottime_ns() > give_up_ns)
      throw base::TransientError("processes of the dead runner " + dead.instance + " cannot be killed");
    found = false;
    for (base::UniqueFd& fd : kill_chosen(chosen)) {
      found = true;
      pollfd wait{fd.get(), POLLIN, 0};
      poll(&wait, 1, 1000);
    }
    for (const std::string& cgroup : cgroups) {
      if (cgroup_members(cgroup).empty()) continue;
      found = true;
      kill_cgroup(cgroup);
      poll(nullptr, 0, 2);  // the kernel has no event for an emptied v1 cgroup
    }
  }
  for (const std::string& cgroup : cgroups) rmdir(cgroup.c_str());
  if (!dead.cgroup_root.empty()) rmdir(dead.cgroup_root.c_str());
}

}  // namespace millrace::exec
