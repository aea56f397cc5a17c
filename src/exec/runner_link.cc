#include "exec/runner_link.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "exec/attempt_table.h"
#include "exec/runner_process.h"

extern char** environ;

namespace millrace::exec {
namespace {

constexpr int64_t kConnectMs = 10'000;
constexpr int kGreetingMs = 10'000;
constexpr int kBacklog = 16;

int64_t now_ms() { return boottime_ns() / 1'000'000; }

// The address of a socket file. Its path may be longer than an address holds (108 bytes): then it is named
// through an open folder, which the caller keeps as long as the address is used.
sockaddr_un address_of(const std::string& path, base::UniqueFd& folder) {
  std::string shown = path;
  if (shown.size() >= sizeof(sockaddr_un::sun_path)) {
    size_t slash = path.rfind('/');
    folder.reset(open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) throw base::TransientError(base::system_message("open " + path, errno));
    shown = "/proc/self/fd/" + std::to_string(folder.get()) + path.substr(slash);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  shown.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

base::UniqueFd new_socket() {
  base::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw base::TransientError(base::system_message("socket", errno));
  return fd;
}

// The locked lock file; nothing while a runner holds it.
std::optional<base::UniqueFd> try_lock(const std::string& path) {
  base::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw base::TransientError(base::system_message("open " + path, errno));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) throw base::TransientError(base::system_message("lock " + path, errno));
  return std::nullopt;
}

// A copy whose number is out of the way of those that the child gets.
base::UniqueFd high_copy(int fd) { return base::UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 64)); }

void start_process(const RunnerOptions& options, int listen_fd, int lock_fd) {
  std::string log = runner_log_path(options.data_dir);
  std::vector<std::string> words = {options.program.empty() ? "/proc/self/exe" : options.program,
                                    "runner",
                                    "--data",
                                    options.data_dir,
                                    "--socket",
                                    runner_socket_path(options.data_dir),
                                    "--listen-fd",
                                    "3",
                                    "--lock-fd",
                                    "4",
                                    "--idle-exit-ms",
                                    std::to_string(options.idle_exit_ms),
                                    "--job-open-files",
                                    std::to_string(options.job_open_files)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  base::UniqueFd listen_copy = high_copy(listen_fd), lock_copy = high_copy(lock_fd);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_adddup2(&actions, listen_copy.get(), 3);
  posix_spawn_file_actions_adddup2(&actions, lock_copy.get(), 4);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid;
  int error = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw base::TransientError(base::system_message("starting " + words[0], error));
}

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line))
    if (!line.empty()) last = line;
  return last;
}

// With the lock held: kills what the last runner left, then starts another. Gives back the lost instance.
std::string start_runner(const RunnerOptions& options, base::UniqueFd lock) {
  std::string socket_path = runner_socket_path(options.data_dir);
  DeadRunner dead = read_attempt_table(runner_table_path(options.data_dir));
  kill_survivors(dead);
  unlink(socket_path.c_str());
  base::UniqueFd listener = new_socket(), folder;
  sockaddr_un address = address_of(socket_path, folder);
  // Listening before the runner is there: connecting never has to wait for it or try again.
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.get(), kBacklog) != 0)
    throw base::TransientError(base::system_message("listening on " + socket_path, errno));
  start_process(options, listener.get(), lock.get());
  return dead.instance;
}

// True when the runner has greeted; false when it went away instead.
bool greeted(RunnerLink& link) {
  char buffer[4096];
  for (;;) {
    Frame frame;
    if (link.in.next(frame)) {
      if (frame.type == FrameType::kBusy)
        throw base::ConflictError("another engine is connected to the runner of this data folder");
      FrameReader reader(frame.payload);
      if (frame.type != FrameType::kWelcome || reader.number<uint32_t>() != kWireVersion)
        throw base::ConflictError(
            "the runner of this data folder is of another version: let it finish its jobs, or end it");
      link.instance = reader.text();
      link.pid = reader.number<int32_t>();
      link.limits_note = reader.text();
      link.process.reset(static_cast<int>(syscall(SYS_pidfd_open, link.pid, 0)));
      return static_cast<bool>(link.process);
    }
    pollfd wait{link.socket.get(), POLLIN, 0};
    int ready = poll(&wait, 1, kGreetingMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) throw base::TransientError("the runner of this data folder does not answer");
    ssize_t n = recv(link.socket.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    link.in.append(std::string_view(buffer, static_cast<size_t>(n)));
  }
}

}  // namespace

RunnerLink connect_runner(const RunnerOptions& options) {
  if (options.data_dir.empty() || options.data_dir[0] != '/')
    throw base::UsageError("the data folder must be an absolute path");
  std::string directory = runner_directory(options.data_dir);
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    throw base::TransientError(base::system_message("mkdir " + directory, errno));
  struct stat status;
  if (stat(directory.c_str(), &status) != 0 || status.st_uid != geteuid() ||
      chmod(directory.c_str(), 0700) != 0)
    throw base::DeniedError(directory + " belongs to somebody else");

  RunnerLink link;
  int starts = 0;
  for (int64_t give_up_ms = now_ms() + kConnectMs;;) {
    if (auto lock = try_lock(runner_lock_path(options.data_dir))) {
      // One that ends at once, again and again, will not do better the third time.
      if (starts++ == 2)
        throw base::TransientError("the runner does not start: " +
                                   last_line(runner_log_path(options.data_dir)));
      std::string lost = start_runner(options, std::move(*lock));
      if (link.lost_instance.empty()) link.lost_instance = lost;
    }
    link.socket = new_socket();
    link.in = {};
    base::UniqueFd folder;
    sockaddr_un address = address_of(runner_socket_path(options.data_dir), folder);
    if (connect(link.socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
        greeted(link))
      return link;
    // It is just ending, or somebody else is just starting one.
    if (now_ms() > give_up_ms)
      throw base::TransientError("no runner can be reached: " + last_line(runner_log_path(options.data_dir)));
    poll(nullptr, 0, 5);
  }
}

void bury_runner(RunnerLink& link) {
  pollfd wait{link.process.get(), POLLIN, 0};
  // A runner that lives without its connection cannot be talked to: it has to go, and its jobs with it.
  if (poll(&wait, 1, 1000) == 0) syscall(SYS_pidfd_send_signal, link.process.get(), SIGKILL, nullptr, 0);
  while (poll(&wait, 1, -1) < 0 && errno == EINTR) {
  }
  waitpid(link.pid, nullptr, WNOHANG);  // when it is this process's child
}

}  // namespace millrace::exec
