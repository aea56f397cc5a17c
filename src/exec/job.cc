#include "exec/job.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/spawn.h"
#include "base/time.h"

namespace millrace::exec {
namespace {

// ECS keeps 255 characters of a reason.
constexpr size_t kReasonMax = 255;
constexpr size_t kReadBytes = 128 << 10;

base::TimeMs wall_ms() { return base::SystemClock().now_ms(); }

// The machine is short of something now that others may give back.
bool may_pass(int error) {
  return error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM || error == ETXTBSY;
}

std::optional<std::string> find_variable(const AttemptSpec& spec, std::string_view wanted) {
  std::optional<std::string> value;
  for (const auto& [name, text] : spec.environment)
    if (name == wanted) value = text;
  return value;
}

}  // namespace

Job::Job(JobHost& host, uint64_t serial, StartRequest request)
    : host_(host), serial_(serial), request_(std::move(request)) {
  outcome_.token = request_.spec.token;
}

Job::~Job() {
  if (slot_ >= 0) host_.table->free(slot_);
  if (log_open_) host_.sink->close_stream(log_stream_);
}

Job::Start Job::fail(const std::string& reason) {
  outcome_.started = false;
  outcome_.reason = reason.substr(0, kReasonMax);
  outcome_.stopped_at = wall_ms();
  exited_ = true;
  return Start::kFailed;
}

Job::Start Job::start(bool last_try) {
  AttemptSpec& spec = request_.spec;
  if (spec.image != "millrace" && !request_.plain_process)
    return fail(
        "CannotPullContainerError: image " + spec.image.substr(0, 100) +
        " cannot be used yet: containers come in a later version; --runtime process runs any definition's "
        "command on the host");
  if (spec.command.empty() || spec.command[0].empty())
    return fail("CannotStartContainerError: the definition has no command");
  const std::string shown = spec.command[0].substr(0, 120);
  auto try_later = [&](const std::string& what) {
    if (!last_try) return Start::kTryLater;
    return fail("CannotStartContainerError: \"" + shown + "\": " + what);
  };

  try {
    if (spec.working_directory.empty() && !scratch_) scratch_ = host_.scratch->take();
    if (spec.memory_mib > 0 && host_.cgroups && !cgroup_) cgroup_ = host_.cgroups->acquire(spec.memory_mib);
  } catch (const base::TransientError& error) {
    return try_later(error.what());
  }
  base::SpawnRequest spawn_request;
  spawn_request.directory = scratch_ ? scratch_->path : spec.working_directory;
  if (spec.command[0] == "millrace") {
    spawn_request.program = host_.self;
  } else {
    auto found = base::find_program(spec.command[0], find_variable(spec, "PATH"), spawn_request.directory);
    if (!found) {
      bool path = spec.command[0].find('/') != std::string::npos;
      return fail("CannotStartContainerError: exec: \"" + shown +
                  "\": " + (path ? "no such executable file" : "executable file not found in $PATH"));
    }
    spawn_request.program = *found;
  }

  base::UniqueFd write_ends[2];
  for (int i : {0, 1}) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return try_later(base::system_message("pipe", errno));
    streams_[i].fd.reset(ends[0]);
    write_ends[i].reset(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  if (slot_ < 0) slot_ = host_.table->take();
  if (slot_ < 0) return try_later("more than " + std::to_string(kAttemptSlots) + " processes");
  started_ns_ = boottime_ns();
  spawn_request.arguments = spec.command;
  spawn_request.environment.reserve(spec.environment.size());
  for (const auto& [name, value] : spec.environment) spawn_request.environment.push_back(name + "=" + value);
  spawn_request.stdin_fd = host_.null_fd;
  spawn_request.stdout_fd = write_ends[0].get();
  spawn_request.stderr_fd = write_ends[1].get();
  spawn_request.cgroup_procs_fd = cgroup_ ? cgroup_->procs.get() : -1;
  spawn_request.pid_written_to = host_.table->pid(slot_);
  if (host_.files_limit) spawn_request.limits.emplace_back(RLIMIT_NOFILE, *host_.files_limit);
  base::SpawnResult result = base::spawn(spawn_request);
  if (result.error != 0) {
    host_.table->pid(slot_)->store(0, std::memory_order_relaxed);
    streams_[0].fd.reset();
    streams_[1].fd.reset();
    if (may_pass(result.error)) return try_later(std::strerror(result.error));
    const char* step = result.step == base::SpawnResult::Step::kDirectory ? "chdir"
                       : result.step == base::SpawnResult::Step::kCgroup  ? "joining the cgroup"
                                                                          : "exec";
    return fail(std::string("CannotStartContainerError: ") + step + ": \"" +
                (result.step == base::SpawnResult::Step::kDirectory ? spawn_request.directory.substr(0, 120)
                                                                    : shown) +
                "\": " + std::strerror(result.error));
  }
  pid_ = result.pid;
  outcome_.started = true;
  outcome_.started_at = wall_ms();
  spec.command = {};
  spec.environment = {};
  return Start::kRunning;
}

void Job::append(std::string_view line, int64_t now_ms) {
  const AttemptSpec& spec = request_.spec;
  if (spec.log_group.empty() || spec.log_stream.empty()) return;  // nobody asked for it
  if (!log_open_) {
    log_stream_ = host_.sink->open_stream(spec.log_group, spec.log_stream);
    log_open_ = true;
  }
  host_.sink->append(log_stream_, wall_ms(), line, now_ms);
  last_line_ = host_.sink->appended();
}

bool Job::read_output(int which, int64_t now_ms) {
  static char buffer[kReadBytes];
  Stream& stream = streams_[which];
  if (!stream.fd) return false;
  ssize_t n = read(stream.fd.get(), buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  auto emit = [&](std::string_view line) { append(line, now_ms); };
  if (n > 0) {
    stream.lines.feed(std::string_view(buffer, static_cast<size_t>(n)), emit);
    return true;
  }
  stream.lines.finish(emit);
  stream.fd.reset();
  return false;
}

void Job::close_outputs() {
  for (Stream& stream : streams_) stream.fd.reset();
}

void Job::terminate() {
  if (!exited_) ::kill(-pid_, SIGTERM);
}

void Job::kill(bool thorough) {
  // The id is the main process's until it is reaped.
  if (!exited_) ::kill(-pid_, SIGKILL);
  if (cgroup_) kill_cgroup(cgroup_->directory);
  if (thorough && !exited_) kill_session(pid_, started_ns_);
}

void Job::main_ended(int64_t now_ms) {
  // Until it is reaped its id, which is also that of the session, cannot be anybody else's.
  ::kill(-pid_, SIGKILL);
  for (int which : {0, 1})
    while (!paused[which] && !host_.sink->blocked() && read_output(which, now_ms)) {
    }
  // Somebody outside the group still holds a pipe: worth a look through all processes when no cgroup knows
  // them.
  if (cgroup_) {
    if (has_leftovers()) kill_cgroup(cgroup_->directory);
  } else if (outputs_open()) {
    kill_session(pid_, started_ns_);
  }
}

void Job::reaped(int wait_status, const rusage& usage) {
  exited_ = true;
  outcome_.stopped_at = wall_ms();
  outcome_.exit_code = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  outcome_.user_us = usage.ru_utime.tv_sec * 1'000'000 + usage.ru_utime.tv_usec;
  outcome_.system_us = usage.ru_stime.tv_sec * 1'000'000 + usage.ru_stime.tv_usec;
  // At least this program's own size: before exec the child shared its memory, and the kernel counts that.
  outcome_.rss_bytes_max = usage.ru_maxrss * 1024;
  // A job may survive the loss of a child: only a failure is blamed on memory.
  if (cgroup_ && outcome_.exit_code != 0 && host_.cgroups->out_of_memory(*cgroup_)) {
    outcome_.out_of_memory = true;
    outcome_.reason = "OutOfMemoryError: Container killed due to memory usage";
  }
}

void Job::finish(int64_t now_ms) {
  for (Stream& stream : streams_) {
    stream.lines.finish([&](std::string_view line) { append(line, now_ms); });
    stream.fd.reset();
  }
  if (log_open_) host_.sink->close_stream(log_stream_);
  log_open_ = false;
  if (cgroup_) host_.cgroups->release(std::move(cgroup_));
  if (scratch_) host_.scratch->give_back(std::move(scratch_));
  if (slot_ >= 0) host_.table->free(slot_);
  slot_ = -1;
}

}  // namespace millrace::exec
