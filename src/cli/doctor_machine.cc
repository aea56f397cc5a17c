// The machine: what it has, what of it this process may have, and which programs are there.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "base/child_process.h"
#include "base/error.h"
#include "base/random.h"
#include "base/spawn.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "cli/doctor.h"
#include "sql/duckdb_api.h"
#include "workloads/ingest/ctags.h"

namespace millrace::cli {
namespace {

using State = Check::State;

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
constexpr std::chrono::milliseconds kVersionTime{5'000};

std::optional<uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;  // also "max"
  return base::parse_number<uint64_t>(word);
}

// The folders of this process's control groups, from its own up to the root, of one controller. What a
// container sees of them is below /sys/fs/cgroup itself.
std::vector<std::string> cgroup_folders(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::vector<std::string> folders;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string_view> parts = base::split(line, ':');
    if (parts.size() < 3) continue;
    const std::string names = ',' + std::string(parts[1]) + ',';
    const bool v2 = parts[1].empty();
    if (!v2 && names.find(',' + controller + ',') == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + std::string(parts[1]);
    for (std::string path(parts[2]);; path.resize(path.rfind('/'))) {
      folders.push_back(root + (path == "/" ? "" : path));
      if (path.find('/') == std::string::npos || path.empty()) break;
      if (path == "/") break;
    }
    folders.push_back(root);
  }
  return folders;
}

// The smallest limit of any of them.
std::optional<uint64_t> cgroup_limit(const std::string& controller, const std::vector<std::string>& files) {
  std::optional<uint64_t> least;
  for (const std::string& folder : cgroup_folders(controller))
    for (const std::string& file : files)
      if (const auto value = number_in(folder + '/' + file); value && (!least || *value < *least))
        least = value;
  return least;
}

std::optional<double> cgroup_cpus() {
  std::optional<double> least;
  auto take = [&](double quota, double period) {
    if (quota > 0 && period > 0 && (!least || quota / period < *least)) least = quota / period;
  };
  for (const std::string& folder : cgroup_folders("cpu")) {
    std::ifstream file(folder + "/cpu.max");
    double quota = 0, period = 0;
    if (file >> quota >> period) take(quota, period);
    const auto old_quota = number_in(folder + "/cpu.cfs_quota_us");
    const auto old_period = number_in(folder + "/cpu.cfs_period_us");
    if (old_quota && old_period) take(static_cast<double>(*old_quota), static_cast<double>(*old_period));
  }
  return least;
}

std::optional<uint64_t> memory_kib(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + ":")) continue;
    uint64_t kib = 0;
    std::istringstream(line.substr(name.size() + 1)) >> kib;
    return kib;
  }
  return std::nullopt;
}

std::optional<std::string> path_variable() {
  const char* path = std::getenv("PATH");
  return path == nullptr ? std::nullopt : std::optional<std::string>(path);
}

// The first line of what a program says of its version; nothing when it is not there or does not run.
std::optional<std::string> version_of(const std::string& program, const std::string& flag) {
  if (!base::find_program(program, path_variable(), "/")) return std::nullopt;
  try {
    const base::ChildRun run = base::run_child(
        {.arguments = {program, flag},
         .environment = {"PATH=" + path_variable().value_or("/usr/bin:/bin"), "LC_ALL=C.UTF-8"},
         .directory = "/",
         .limits = {}},
        {.time = kVersionTime,
         .check_every = std::chrono::milliseconds(250),
         .must_stop = {},
         .on_output = {}});
    const std::string& text = run.output.empty() ? run.errors : run.output;
    return std::string(base::trim(text.substr(0, text.find('\n')))).substr(0, 80);
  } catch (const base::Error& error) {
    return std::string(error.what());
  }
}

}  // namespace

Checks check_cpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int allowed = sched_getaffinity(0, sizeof set, &set) == 0
                          ? CPU_COUNT(&set)
                          : static_cast<int>(std::thread::hardware_concurrency());
  double load[1] = {0};
  static_cast<void>(getloadavg(load, 1));
  const auto limit = cgroup_cpus();
  std::string what = fmt::format("{} CPUs", allowed);
  if (limit) what += fmt::format(", of which this process may use {:.2g}", *limit);
  what += fmt::format("; load {:.1f}", load[0]);
  if (limit && *limit < 1)
    return {{State::kWarning, "cpu", what, "give it at least one CPU: jobs take their threads from it"}};
  return {{State::kOk, "cpu", what, ""}};
}

Checks check_memory() {
  const uint64_t total = memory_kib("MemTotal").value_or(0) << 10;
  uint64_t available = memory_kib("MemAvailable").value_or(0) << 10;
  std::string what = fmt::format("{} of {} free", base::human_bytes(available), base::human_bytes(total));
  const auto limit = cgroup_limit("memory", {"memory.max", "memory.limit_in_bytes"});
  if (limit && *limit < total) {
    const auto used = cgroup_limit("memory", {"memory.current", "memory.usage_in_bytes"}).value_or(0);
    available = std::min(available, *limit - std::min(*limit, used));
    what += fmt::format("; this process and its jobs may use {}", base::human_bytes(*limit));
  }
  if (available < 64 * kMiB)
    return {{State::kBroken, "memory", what, "end other programs or take a larger machine: no job can run"}};
  if (available < 512 * kMiB)
    return {{State::kWarning, "memory", what, "jobs want 128 MiB to 1 GiB each: run fewer at once"}};
  return {{State::kOk, "memory", what, ""}};
}

Checks check_disk(const std::string& what_for, const std::string& folder) {
  const std::string name = "disk " + what_for;
  // What is not there yet will be made in the nearest folder above it.
  std::filesystem::path place = folder;
  std::error_code error;
  while (!std::filesystem::exists(place, error) && place.has_parent_path() && place != place.parent_path())
    place = place.parent_path();
  struct statvfs info{};
  if (statvfs(place.c_str(), &info) != 0)
    return {{State::kBroken, name, base::system_message(place.string(), errno), "name another folder"}};
  const std::string probe = place.string() + "/.millrace-doctor-" + base::random_hex(12);
  base::UniqueFd file(open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file)
    return {{State::kBroken, name, base::system_message("cannot write to " + place.string(), errno),
             "name a folder that you can write to, or change its owner"}};
  const char block[4096] = {};
  const bool written =
      write(file.get(), block, sizeof block) == static_cast<ssize_t>(sizeof block) && fsync(file.get()) == 0;
  const int write_error = errno;
  unlink(probe.c_str());
  if (!written)
    return {{State::kBroken, name, base::system_message("cannot write to " + place.string(), write_error),
             "free some space, or mend the disk"}};
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  std::string what = fmt::format("{}: {} free", place.string(), base::human_bytes(free));
  const bool has_inodes = info.f_files > 0;
  if (has_inodes) what += fmt::format(", room for {} files", static_cast<uint64_t>(info.f_favail));
  if (free < 100 * kMiB || (has_inodes && info.f_favail < 1000))
    return {{State::kBroken, name, what, "free some space: jobs will fail"}};
  if (free < 2 * kGiB || (has_inodes && info.f_favail < 100'000))
    return {{State::kWarning, name, what, "free some space, or name a larger disk"}};
  return {{State::kOk, name, what, ""}};
}

Checks check_limits() {
  Checks checks;
  rlimit files{}, processes{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NPROC, &processes);
  auto text = [](rlim_t value) {
    return value == RLIM_INFINITY ? std::string("no limit") : std::to_string(value);
  };
  const std::string open_files =
      fmt::format("{} open files (up to {} can be had)", text(files.rlim_cur), text(files.rlim_max));
  if (files.rlim_max < 256)
    checks.push_back(
        {State::kBroken, "files", open_files, "raise it: ulimit -n 4096, or LimitNOFILE= of the service"});
  else if (files.rlim_max < 4096)
    checks.push_back(
        {State::kWarning, "files", open_files, "raise it: ulimit -n 4096, or LimitNOFILE= of the service"});
  else
    checks.push_back({State::kOk, "files", open_files, ""});
  uint64_t tasks = processes.rlim_cur == RLIM_INFINITY ? UINT64_MAX : processes.rlim_cur;
  if (geteuid() == 0) tasks = UINT64_MAX;  // it does not bind root
  if (const auto limit = cgroup_limit("pids", {"pids.max"})) tasks = std::min(tasks, *limit);
  const std::string what = tasks == UINT64_MAX ? "no limit of processes and threads"
                                               : fmt::format("{} processes and threads at most", tasks);
  if (tasks < 256)
    checks.push_back({State::kWarning, "processes", what, "raise it: ulimit -u, TasksMax= or --pids-limit"});
  else
    checks.push_back({State::kOk, "processes", what, ""});
  return checks;
}

Checks check_tools(bool needs_git) {
  struct Tool {
    const char *name, *flag, *what_for;
    State without;
  };
  const Tool tools[] = {
      {"git", "--version", "ingest clones with it", needs_git ? State::kBroken : State::kWarning},
      {"ssh", "-V", "ingest needs it for repositories over SSH", State::kWarning},
      {"git-lfs", "version", "ingest needs it for --lfs", State::kSkipped},
      {"podman", "--version", "jobs with images other than `millrace` need it", State::kWarning},
  };
  Checks checks;
  for (const Tool& tool : tools) {
    const auto version = version_of(tool.name, tool.flag);
    const std::string name = std::string("tool ") + tool.name;
    if (version)
      checks.push_back({State::kOk, name, *version, ""});
    else
      checks.push_back({tool.without, name, std::string("not installed; ") + tool.what_for,
                        std::string("apt-get install ") +
                            (std::string_view(tool.name) == "ssh" ? "openssh-client" : tool.name)});
  }
  if (const auto why = ingest::why_no_ctags())
    checks.push_back({State::kWarning, "tool ctags", *why + "; inventories have no symbols without it",
                      "apt-get install universal-ctags"});
  else
    checks.push_back(
        {State::kOk, "tool ctags", version_of("ctags", "--version").value_or("Universal Ctags"), ""});
  return checks;
}

Checks check_duckdb() {
  try {
    return {{State::kOk, "duckdb", fmt::format("version {}", sql::duckdb_api().library_version()), ""}};
  } catch (const base::Error& error) {
    return {{State::kWarning, "duckdb",
             fmt::format("{}; stac and inventories as Parquet need it", error.what()),
             "run tools/setup.sh, or install libduckdb.so and name it with MILLRACE_DUCKDB"}};
  }
}

}  // namespace millrace::cli
