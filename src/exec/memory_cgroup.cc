#include "exec/memory_cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::exec {
namespace {

constexpr size_t kIdleMax = 64;
// Kernel counters are exact only to a batch of pages per CPU.
constexpr int64_t kTraceBytes = 4 << 20;

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string pread_all(int fd) {
  char buffer[4096];
  ssize_t n = pread(fd, buffer, sizeof buffer, 0);
  return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

// errno, 0 when written.
int write_file(const std::string& path, std::string_view text) {
  base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  return write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

// "\040" and its like, as mountinfo writes blanks (proc(5)).
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Hierarchy {
  std::string mount_point;
  std::string own;  // this process's cgroup in it, as a directory
  bool v2;
};

// The hierarchies that may have a memory controller, v1 first: on a hybrid host the controller is there.
std::vector<Hierarchy> hierarchies() {
  std::string v1_path, v2_path;
  std::string cgroups = read_all("/proc/self/cgroup");
  for (std::string_view line : base::split(cgroups, '\n')) {
    auto parts = base::split(line, ':');
    if (parts.size() < 3) continue;
    std::string path(line.substr(parts[0].size() + parts[1].size() + 2));
    auto controllers = base::split(parts[1], ',');
    if (parts[0] == "0" && parts[1].empty()) v2_path = path;
    if (std::find(controllers.begin(), controllers.end(), "memory") != controllers.end()) v1_path = path;
  }
  std::vector<Hierarchy> found;
  std::string mounts = read_all("/proc/self/mountinfo");
  for (std::string_view line : base::split(mounts, '\n')) {
    auto fields = base::split(line, ' ');
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4) continue;
    bool v2 = dash[1] == "cgroup2";
    auto options = base::split(dash[3], ',');
    bool v1 = dash[1] == "cgroup" && std::find(options.begin(), options.end(), "memory") != options.end();
    if (!v1 && !v2) continue;
    // The mount may show only a part of the hierarchy (a container): the path in it is what comes after that
    // part.
    std::string root = unescape(fields[3]), mount_point = unescape(fields[4]), path = v2 ? v2_path : v1_path;
    if (root != "/" && path.starts_with(root)) path = path.substr(root.size());
    std::string own = mount_point + path;
    while (own.size() > 1 && own.ends_with('/')) own.pop_back();
    if (access(own.c_str(), F_OK) != 0) own = mount_point;
    found.push_back({mount_point, own, v2});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Hierarchy& a, const Hierarchy& b) { return a.v2 < b.v2; });
  return found;
}

int set_limit(const std::string& directory, bool v2, int64_t memory_mib) {
  std::string bytes = std::to_string(memory_mib << 20);
  if (v2) {
    int error = write_file(directory + "/memory.max", bytes);
    // Without these the job may swap, or lose one process and go on: as good as the kernel can.
    write_file(directory + "/memory.swap.max", "0");
    write_file(directory + "/memory.oom.group", "1");
    return error;
  }
  int error = write_file(directory + "/memory.limit_in_bytes", bytes);
  write_file(directory + "/memory.memsw.limit_in_bytes", bytes);
  return error;
}

// Makes `root` and proves that a limited cgroup below it can be made. Empty when it works, else why not.
std::string try_root(const std::string& root, bool v2) {
  if (mkdir(root.c_str(), 0755) != 0 && errno != EEXIST) return base::system_message("mkdir " + root, errno);
  std::string child = root + "/probe";
  std::string why;
  if (v2 && write_file(root + "/cgroup.subtree_control", "+memory") != 0)
    why = "the memory controller may not be delegated to " + root;
  else if (mkdir(child.c_str(), 0755) != 0 && errno != EEXIST)
    why = base::system_message("mkdir " + child, errno);
  else if (int error = set_limit(child, v2, 64))
    why = base::system_message("setting a limit in " + child, error);
  rmdir(child.c_str());
  if (!why.empty()) rmdir(root.c_str());
  return why;
}

}  // namespace

std::vector<pid_t> cgroup_members(const std::string& directory) {
  std::vector<pid_t> members;
  std::string text = read_all(directory + "/cgroup.procs");
  for (std::string_view line : base::split(text, '\n'))
    if (auto pid = base::parse_number<pid_t>(line)) members.push_back(*pid);
  return members;
}

void kill_cgroup(const std::string& directory) {
  if (write_file(directory + "/cgroup.kill", "1") == 0) return;  // v2
  // A process id may be used again between reading and killing: a pidfd is taken first, and only what is a
  // member afterwards too gets the signal.
  std::vector<std::pair<pid_t, base::UniqueFd>> held;
  for (pid_t pid : cgroup_members(directory)) {
    base::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (fd) held.emplace_back(pid, std::move(fd));
  }
  if (held.empty()) return;
  std::vector<pid_t> still = cgroup_members(directory);
  for (const auto& [pid, fd] : held)
    if (std::find(still.begin(), still.end(), pid) != still.end())
      syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
}

std::unique_ptr<MemoryCgroups> MemoryCgroups::open(const std::string& name, std::string& why_not) {
  why_not = "no cgroup hierarchy is mounted";
  for (const Hierarchy& hierarchy : hierarchies()) {
    std::vector<std::string> parents = {hierarchy.own};
    // On v2 a cgroup with processes may not have limited children (cgroups(7), "no internal processes"): then
    // beside it.
    size_t slash = hierarchy.own.rfind('/');
    if (hierarchy.v2 && hierarchy.own.size() > hierarchy.mount_point.size() && slash != std::string::npos)
      parents.push_back(hierarchy.own.substr(0, slash));
    for (const std::string& parent : parents) {
      if (hierarchy.v2) write_file(parent + "/cgroup.subtree_control", "+memory");
      std::string root = parent + "/" + name;
      why_not = try_root(root, hierarchy.v2);
      if (why_not.empty()) return std::unique_ptr<MemoryCgroups>(new MemoryCgroups(root, hierarchy.v2));
    }
  }
  return nullptr;
}

MemoryCgroups::~MemoryCgroups() {
  for (const auto& [limit, cgroup] : idle_) rmdir(cgroup->directory.c_str());
  rmdir(root_.c_str());
}

std::unique_ptr<MemoryCgroup> MemoryCgroups::acquire(int64_t memory_mib) {
  if (auto kept = idle_.find(memory_mib); kept != idle_.end()) {
    auto cgroup = std::move(kept->second);
    idle_.erase(kept);
    return cgroup;
  }
  auto cgroup = std::make_unique<MemoryCgroup>();
  cgroup->memory_mib = memory_mib;
  cgroup->directory = root_ + "/" + std::to_string(++number_);
  if (mkdir(cgroup->directory.c_str(), 0755) != 0 && errno != EEXIST)
    throw base::TransientError(base::system_message("mkdir " + cgroup->directory, errno));
  int error = set_limit(cgroup->directory, v2_, memory_mib);
  auto open_file = [&](const char* file, int flags) {
    return base::UniqueFd(::open((cgroup->directory + file).c_str(), flags | O_CLOEXEC));
  };
  if (error == 0) {
    cgroup->procs = open_file("/cgroup.procs", O_RDWR);
    cgroup->events = open_file(v2_ ? "/memory.events" : "/memory.oom_control", O_RDONLY);
    cgroup->usage = open_file(v2_ ? "/memory.current" : "/memory.usage_in_bytes", O_RDONLY);
    if (!cgroup->procs || !cgroup->events || !cgroup->usage) error = errno;
  }
  if (error != 0) {
    rmdir(cgroup->directory.c_str());
    throw base::TransientError(base::system_message("limiting memory in " + cgroup->directory, error));
  }
  cgroup->oom_kills_before = oom_kills(*cgroup);
  return cgroup;
}

int64_t MemoryCgroups::oom_kills(const MemoryCgroup& cgroup) const {
  std::string text = pread_all(cgroup.events.get());
  for (std::string_view line : base::split(text, '\n'))
    if (line.starts_with("oom_kill ")) return base::parse_number<int64_t>(line.substr(9)).value_or(0);
  return 0;
}

bool MemoryCgroups::out_of_memory(const MemoryCgroup& cgroup) const {
  return oom_kills(cgroup) > cgroup.oom_kills_before;
}

bool MemoryCgroups::empty(const MemoryCgroup& cgroup) const {
  char byte;
  return pread(cgroup.procs.get(), &byte, 1, 0) <= 0;
}

void MemoryCgroups::release(std::unique_ptr<MemoryCgroup> cgroup) {
  auto charged = base::parse_number<int64_t>(base::trim(pread_all(cgroup->usage.get())));
  bool clean =
      charged && *charged <= std::min(kTraceBytes, cgroup->memory_mib << 17) && !out_of_memory(*cgroup);
  if (!clean || idle_.size() >= kIdleMax) {
    std::string directory = cgroup->directory;
    cgroup.reset();
    rmdir(directory.c_str());
    return;
  }
  idle_.emplace(cgroup->memory_mib, std::move(cgroup));
}

}  // namespace millrace::exec
