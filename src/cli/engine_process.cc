#include "cli/engine_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <vector>

#include "base/error.h"

extern char** environ;

namespace millrace::cli {
namespace {

constexpr std::string_view kReady = "listening on ";

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line))
    if (!line.empty()) last = line;
  return last;
}

}  // namespace

EngineProcess::EngineProcess(const DataFolder& folder) : endpoint_(running_endpoint(folder)) {
  if (!endpoint_.empty()) return;
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
  to_us.reset();
  std::string said;
  char buffer[512];
  ssize_t n;
  while (said.find('\n') == std::string::npos && (n = read(from_engine.get(), buffer, sizeof buffer)) != 0)
    if (n > 0) said.append(buffer, static_cast<size_t>(n));
  if (said.substr(0, kReady.size()) != kReady) {
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
    throw base::TransientError("the engine did not start: " + last_line(log));
  }
  endpoint_ = said.substr(kReady.size(), said.find('\n') - kReady.size());
}

EngineProcess::~EngineProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

}  // namespace millrace::cli
