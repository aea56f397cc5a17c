#include "cli/engine_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"

extern char** environ;

namespace millrace::cli {
namespace {

constexpr std::string_view kReady = "listening on ";
constexpr auto kStartingLimit = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::milliseconds(50);

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line))
    if (!line.empty()) last = line;
  return last;
}

// An engine that somebody else has just started says its address soon.
std::string await_endpoint(const DataFolder& folder) {
  for (auto end = std::chrono::steady_clock::now() + kStartingLimit; engine_holds(folder);
       std::this_thread::sleep_for(kPoll)) {
    if (std::string endpoint = running_endpoint(folder); !endpoint.empty()) return endpoint;
    if (std::chrono::steady_clock::now() > end)
      throw base::TransientError("the engine on " + folder.path + " is starting or stopping; try again soon");
  }
  return "";
}

// What a signal handler can reach.
std::atomic<pid_t> g_engine = -1;

void stop_engine_and_end(int signal) {
  pid_t engine = g_engine.load();
  if (engine > 0) {
    kill(engine, SIGTERM);
    waitpid(engine, nullptr, 0);
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

EngineProcess::EngineProcess(const DataFolder& folder)
    : turn_(lock_try(folder)), endpoint_(await_endpoint(folder)) {
  if (!endpoint_.empty()) {
    turn_.reset();  // that engine stays when we end: no need for turns
    return;
  }
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) throw base::TransientError(base::system_message("pipe", errno));
  base::UniqueFd from_engine(pipe_fds[0]), to_us(pipe_fds[1]);
  std::string log = folder.serve_log(), data = folder.path;
  std::vector<std::string> words = {"millrace", "serve", "--data", data, "--listen", "127.0.0.1:0"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, to_us.get(), 1);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID);  // Ctrl-C is for the command, which then stops the engine
  int error = posix_spawn(&pid_, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw base::TransientError(base::system_message("cannot start the engine", error));
  g_engine = pid_;
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(signal, stop_engine_and_end) == SIG_IGN) std::signal(signal, SIG_IGN);  // nohup
  to_us.reset();
  std::string said;
  char buffer[512];
  ssize_t n;
  while (said.find('\n') == std::string::npos && (n = read(from_engine.get(), buffer, sizeof buffer)) != 0)
    if (n > 0) said.append(buffer, static_cast<size_t>(n));
  if (said.substr(0, kReady.size()) != kReady) {
    waitpid(pid_, nullptr, 0);
    leave_running();
    std::string why = last_line(log);
    if (why.empty()) why = "it could not say why, so perhaps the disk of " + data + " is full";
    throw base::TransientError("the engine did not start: " + why);
  }
  endpoint_ = said.substr(kReady.size(), said.find('\n') - kReady.size());
}

EngineProcess::~EngineProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  g_engine = -1;
}

void EngineProcess::leave_running() {
  g_engine = -1;
  pid_ = -1;
}

}  // namespace millrace::cli
