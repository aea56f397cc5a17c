#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/spawn.h"

namespace millrace::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw TransientError(system_message("pipe", errno));
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void no_waiting(int fd) { fcntl(fd, F_SETFL, O_NONBLOCK); }

rlimit limit_of(int resource, uint64_t value) {
  rlimit now{};
  getrlimit(static_cast<__rlimit_resource_t>(resource), &now);
  rlim_t allowed = std::min<rlim_t>(value, now.rlim_max);
  return {allowed, allowed};
}

int until(std::optional<steady_clock::time_point> deadline, milliseconds longest) {
  if (!deadline) return static_cast<int>(longest.count());
  auto left = std::chrono::duration_cast<milliseconds>(*deadline - steady_clock::now()) + milliseconds(1);
  return static_cast<int>(std::clamp(left, milliseconds(0), longest).count());
}

}  // namespace

std::string ChildEnd::text() const {
  if (signal == 0) return "exit code " + std::to_string(exit_code);
  return "killed by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
}

ChildProcess::ChildProcess(const ChildOptions& options, unsigned streams) {
  if (options.arguments.empty()) throw InternalError("a child without a command");
  std::optional<std::string> path;
  for (const std::string& variable : options.environment)
    if (variable.starts_with("PATH=")) path = variable.substr(5);
  auto program = find_program(options.arguments[0], path, options.directory);
  if (!program) throw NotFoundError(options.arguments[0] + ": there is no such program");

  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw TransientError(system_message("open /dev/null", errno));
  UniqueFd child_input, child_output, child_errors;
  if (streams & kInput) {
    std::tie(child_input, input_) = make_pipe();
    no_waiting(input_.get());
  }
  if (streams & (kOutput | kOutputAndErrors)) {
    std::tie(output_, child_output) = make_pipe();
    no_waiting(output_.get());
  }
  if (streams & kErrors) {
    std::tie(errors_, child_errors) = make_pipe();
    no_waiting(errors_.get());
  }
  auto given = [&](const UniqueFd& fd) { return fd ? fd.get() : null.get(); };
  SpawnRequest request;
  request.program = *program;
  request.arguments = options.arguments;
  request.environment = options.environment;
  request.directory = options.directory;
  request.stdin_fd = given(child_input);
  request.stdout_fd = given(child_output);
  request.stderr_fd = given((streams & kOutputAndErrors) != 0 ? child_output : child_errors);
  for (auto [resource, value] : options.limits)
    request.limits.emplace_back(resource, limit_of(resource, value));
  SpawnResult result = spawn(request);
  if (result.error == ENOENT || result.error == ENOTDIR || result.error == EACCES || result.error == ENOEXEC)
    throw NotFoundError(system_message(
        result.step == SpawnResult::Step::kDirectory ? "enter " + options.directory : "run " + *program,
        result.error));
  if (result.error != 0) throw TransientError(system_message("run " + *program, result.error));
  pid_ = result.pid;
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) {
    int error = errno;
    kill_group(SIGKILL);
    waitpid(pid_, nullptr, 0);
    throw TransientError(system_message("pidfd_open", error));
  }
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || ended_) return;
  kill_group(SIGKILL);
  end();
}

bool ChildProcess::wait(TimePoint until_time) {
  while (!ended_) {
    pollfd waited{pidfd_.get(), POLLIN, 0};
    int ready = poll(&waited, 1, until(until_time, std::chrono::hours(1)));
    if (ready > 0) return true;
    if (ready == 0 && steady_clock::now() >= until_time) return false;
  }
  return true;
}

ChildEnd ChildProcess::end() {
  if (ended_) return end_;
  // While the leader is a zombie its id, and so that of the group, cannot be anybody else's.
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  kill_group(SIGKILL);
  rusage usage{};
  int status = 0;
  while (wait4(pid_, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  ended_ = true;
  if (WIFSIGNALED(status))
    end_.signal = WTERMSIG(status);
  else
    end_.exit_code = WEXITSTATUS(status);
  auto ms = [](const timeval& time) { return time.tv_sec * 1000 + time.tv_usec / 1000; };
  end_.cpu_ms = ms(usage.ru_utime) + ms(usage.ru_stime);
  end_.rss_max_bytes = usage.ru_maxrss * 1024;
  return end_;
}

ssize_t ChildProcess::write_input(std::string_view bytes) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  ssize_t n = write(input_.get(), bytes.data(), bytes.size());
  int error = errno;
  if (n < 0 && error == EPIPE && !sigismember(&before, SIGPIPE)) {
    timespec at_once{};
    sigtimedwait(&pipe_signal, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return n;
}

void ChildProcess::kill_group(int signal) {
  if (pid_ > 0 && !ended_) kill(-pid_, signal);
}

namespace {

// The last `max` bytes of all that was appended.
void append_tail(std::string& tail, std::string_view bytes, size_t max) {
  if (bytes.size() >= max) {
    tail = bytes.substr(bytes.size() - max);
    return;
  }
  if (tail.size() + bytes.size() > max) tail.erase(0, tail.size() + bytes.size() - max);
  tail += bytes;
}

// What can be read now; false at the end of the stream.
bool drain(int fd, const std::function<void(std::string_view)>& take) {
  std::array<char, 16384> buffer;
  // A child that writes without end must not keep its time limit from being looked at.
  for (int turn = 0; turn < 16; ++turn) {
    ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    take({buffer.data(), static_cast<size_t>(n)});
    if (static_cast<size_t>(n) < buffer.size()) return true;
  }
  return true;
}

}  // namespace

ChildRun run_child(const ChildOptions& options, const RunLimits& limits, std::string_view input) {
  unsigned streams =
      limits.on_output ? ChildProcess::kOutputAndErrors : ChildProcess::kOutput | ChildProcess::kErrors;
  if (!input.empty()) streams |= ChildProcess::kInput;
  ChildProcess child(options, streams);
  ChildRun run;
  auto take_output = [&](std::string_view bytes) {
    if (limits.on_output) return limits.on_output(bytes);
    size_t room = limits.output_bytes_max - run.output.size();
    if (bytes.size() > room) run.output_cut = true;
    run.output += bytes.substr(0, room);
  };
  auto take_errors = [&](std::string_view bytes) { append_tail(run.errors, bytes, limits.errors_bytes_max); };

  std::optional<steady_clock::time_point> deadline;
  if (limits.time.count() > 0) deadline = steady_clock::now() + limits.time;
  bool asked_to_end = false, killed = false, output_open = true, errors_open = child.errors() >= 0;
  while (true) {
    auto now = steady_clock::now();
    if (!asked_to_end) {
      if (deadline && now >= *deadline)
        run.timed_out = true;
      else if (limits.must_stop && limits.must_stop())
        run.stopped = true;
      if (run.timed_out || run.stopped) {
        asked_to_end = true;
        child.kill_group(SIGTERM);
        deadline = now + limits.grace;
      }
    } else if (!killed && now >= *deadline) {
      killed = true;
      child.kill_group(SIGKILL);
      deadline.reset();
    }
    std::array<pollfd, 4> waited{{{child.pidfd(), POLLIN, 0},
                                  {output_open ? child.output() : -1, POLLIN, 0},
                                  {errors_open ? child.errors() : -1, POLLIN, 0},
                                  {child.input(), POLLOUT, 0}}};
    poll(waited.data(), waited.size(),
         until(deadline, limits.must_stop ? limits.check_every : milliseconds(60'000)));
    if (waited[1].revents != 0) output_open = drain(child.output(), take_output);
    if (waited[2].revents != 0) errors_open = drain(child.errors(), take_errors);
    if (waited[3].revents != 0) {
      ssize_t n = child.write_input(input);
      if (n > 0) input.remove_prefix(static_cast<size_t>(n));
      // It need not want to hear all of it.
      if (input.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) child.close_input();
    }
    if (waited[0].revents != 0) break;
  }
  run.end = child.end();
  // What the group had written is in the pipes; who left the group and still holds them is not waited for.
  for (int turn = 0; turn < 64 && output_open; ++turn) {
    pollfd more{child.output(), POLLIN, 0};
    if (poll(&more, 1, 0) <= 0) break;
    output_open = drain(child.output(), take_output);
  }
  if (errors_open) drain(child.errors(), take_errors);
  return run;
}

}  // namespace millrace::base
