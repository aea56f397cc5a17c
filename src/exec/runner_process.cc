#include "exec/runner_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "base/core_dumps.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/time.h"
#include "exec/job.h"

namespace millrace::exec {
namespace {

// A process that was killed may take a while to let go of a pipe or a cgroup.
constexpr int64_t kLeftoverGraceMs = 2000;
constexpr int64_t kLeftoverPollMs = 5;
constexpr int64_t kTryAgainMs = 20;
constexpr int64_t kShutdownGraceMs = 10'000;
// A second start of a token must do nothing, also after its outcome was acknowledged.
constexpr size_t kForgottenTokensMax = 16384;
constexpr size_t kEventsMax = 128;

// What epoll gives back: the low two bits say what, the rest is a job's serial.
enum Tag : uint64_t { kStdout = 0, kStderr = 1, kOther = 2 };
enum Other : uint64_t { kListener, kSignals, kEngine };
constexpr uint64_t tag_of(Other other) { return static_cast<uint64_t>(other) << 2 | kOther; }

int64_t steady_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

void say(const std::string& text) {
  fmt::print(stderr, "{} runner: {}\n", base::iso8601(base::SystemClock().now_ms(), true), text);
}

// Its path, or the link that is right also after an upgrade has replaced the file.
std::string own_program() {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  struct stat there, running;
  std::string found = n > 0 ? std::string(path, static_cast<size_t>(n)) : std::string();
  if (!found.empty() && stat(found.c_str(), &there) == 0 && stat("/proc/self/exe", &running) == 0 &&
      there.st_dev == running.st_dev && there.st_ino == running.st_ino)
    return found;
  return "/proc/self/exe";
}

class RunnerProcess {
 public:
  explicit RunnerProcess(const RunnerProcessOptions& options);
  int run();

 private:
  void watch(int fd, uint64_t tag);
  // The engine's side.
  void take_connections();
  void read_engine();
  void drop_engine(const std::string& why);
  void handle(const Frame& frame);
  void adopt(FrameReader& frame);
  void enqueue(StartRequest request);
  void revoke(AttemptToken token);
  void stop(AttemptToken token, int64_t grace_ms);
  void drop_unstarted(Job& job, AttemptOutcome outcome);
  void forget(AttemptToken token, AttemptToken front = 0);
  void send();
  // The jobs' side.
  void start_next();
  void reap();
  void read_job(uint64_t serial, int which);
  void settle(Job& job);
  void retire(Job& job);
  void release_outcomes();
  void report(const AttemptOutcome& outcome);
  void resume_paused();
  void run_timers();
  int wait_ms() const;
  bool may_exit();

  RunnerProcessOptions options_;
  std::string instance_;
  std::string limits_note_;
  base::UniqueFd epoll_, signals_, null_, engine_;
  bool adopted_ = false;  // the engine has told what it believes: reports may flow
  bool engine_blocked_ = false;
  FrameQueue in_;
  std::string out_;
  size_t out_sent_ = 0;

  rlimit files_limit_{};
  std::unique_ptr<MemoryCgroups> cgroups_;
  std::unique_ptr<AttemptTable> table_;
  std::unique_ptr<LogSink> sink_;
  std::unique_ptr<Scratch> scratch_;
  JobHost host_{};

  uint64_t next_serial_ = 1;
  int64_t now_ms_ = 0;
  std::deque<std::unique_ptr<Job>> to_start_;
  std::unordered_map<AttemptToken, std::unique_ptr<Job>> on_deck_;  // by the attempt they wait for
  int64_t start_again_ms_ = -1;
  std::unordered_map<uint64_t, std::unique_ptr<Job>> jobs_;  // by serial
  std::unordered_map<pid_t, Job*> by_pid_;
  std::unordered_map<AttemptToken, Job*> by_token_;  // also those in to_start_ and on_deck_
  std::unordered_set<Job*> timed_;                   // with a deadline; few
  std::vector<Job*> paused_;
  bool disk_full_said_ = false;
  std::vector<std::pair<AttemptOutcome, uint64_t>> unflushed_;  // ended, with lines that are not safe yet
  std::unordered_map<AttemptToken, AttemptOutcome> unacknowledged_;
  std::unordered_set<AttemptToken> forgotten_;
  std::deque<AttemptToken> forgotten_order_;
  int64_t idle_since_ms_ = 0;
  bool shutting_down_ = false;
  int64_t shutdown_at_ms_ = 0;
};

RunnerProcess::RunnerProcess(const RunnerProcessOptions& options)
    : options_(options), instance_("i-" + base::random_hex(18).substr(0, 17)) {
  std::string directory = runner_directory(options_.data_dir);
  std::string why_not;
  // Unique among the data folders of the machine, and never that of an earlier runner whose cgroups may
  // linger.
  cgroups_ = MemoryCgroups::open("millrace-" + instance_, why_not);
  if (!cgroups_) limits_note_ = "memory limits are not enforced: " + why_not;
  if (!cgroups_) say(limits_note_);
  table_ = std::make_unique<AttemptTable>(runner_table_path(options_.data_dir), instance_,
                                          cgroups_ ? cgroups_->root() : "");
  scratch_ = std::make_unique<Scratch>(directory + "/scratch");
  sink_ = std::make_unique<LogSink>(options_.data_dir + "/logs", instance_);

  // Two descriptors a job: take what may be had, and give jobs what was there before.
  base::refuse_core_dumps();  // the environments of jobs may hold secrets
  getrlimit(RLIMIT_NOFILE, &files_limit_);
  rlimit raised{files_limit_.rlim_max, files_limit_.rlim_max};
  if (raised.rlim_cur != files_limit_.rlim_cur) setrlimit(RLIMIT_NOFILE, &raised);
  rlim_t for_jobs = options_.job_open_files == 0 ? files_limit_.rlim_cur : options_.job_open_files;
  files_limit_.rlim_cur = std::min(for_jobs, files_limit_.rlim_max);
  bool differs = files_limit_.rlim_cur != files_limit_.rlim_max;

  null_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  signals_.reset(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!null_ || !epoll_ || !signals_) throw base::TransientError(base::system_message("opening", errno));
  fcntl(options_.listen_fd, F_SETFL, O_NONBLOCK);
  watch(options_.listen_fd, tag_of(kListener));
  watch(signals_.get(), tag_of(kSignals));
  host_ = {table_.get(), cgroups_.get(), scratch_.get(),
           sink_.get(),  null_.get(),    differs ? &files_limit_ : nullptr,
           own_program()};
}

void RunnerProcess::watch(int fd, uint64_t tag) {
  epoll_event event{EPOLLIN, {.u64 = tag}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    throw base::InternalError(base::system_message("epoll_ctl", errno));
}

int RunnerProcess::run() {
  say("started as " + instance_ + ", pid " + std::to_string(getpid()));
  now_ms_ = idle_since_ms_ = steady_ms();
  epoll_event events[kEventsMax];
  while (!may_exit()) {
    int count = epoll_wait(epoll_.get(), events, kEventsMax, wait_ms());
    now_ms_ = steady_ms();
    bool children = false, connections = false;
    for (int i = 0; i < count; ++i) {
      uint64_t tag = events[i].data.u64;
      if ((tag & 3) != kOther)
        read_job(tag >> 2, static_cast<int>(tag & 3));
      else if (tag == tag_of(kEngine))
        read_engine();
      else if (tag == tag_of(kSignals))
        children = true;
      else
        connections = true;
    }
    if (children) reap();
    // Last, so that a connection that has just ended does not keep the next engine out.
    if (connections) take_connections();
    // One at a time: outcomes do not wait for a long queue of starts.
    start_next();
    run_timers();
    release_outcomes();
    send();
  }
  say("exits");
  return 0;
}

// ---- the engine ----

void RunnerProcess::take_connections() {
  for (;;) {
    base::UniqueFd fd(accept4(options_.listen_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != geteuid()) continue;
    if (engine_) read_engine();  // notices its end; what it sent before counts
    if (engine_) {
      std::string busy;
      {
        FrameWriter frame(busy, FrameType::kBusy);
      }
      (void)!::send(fd.get(), busy.data(), busy.size(), MSG_NOSIGNAL);
      continue;
    }
    engine_ = std::move(fd);
    in_ = {};
    out_.clear();
    out_sent_ = 0;
    watch(engine_.get(), tag_of(kEngine));
    FrameWriter welcome(out_, FrameType::kWelcome);
    welcome.number(kWireVersion);
    welcome.text(instance_);
    welcome.number(static_cast<int32_t>(getpid()));
    welcome.text(limits_note_);
  }
}

void RunnerProcess::drop_engine(const std::string& why) {
  if (!why.empty()) say("engine dropped: " + why);
  engine_.reset();
  adopted_ = engine_blocked_ = false;
  idle_since_ms_ = now_ms_;
}

void RunnerProcess::read_engine() {
  static char buffer[64 << 10];
  try {
    while (engine_) {
      ssize_t n = recv(engine_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        send();  // the socket may have room again
        return;
      }
      if (n <= 0) return drop_engine("");
      in_.append(std::string_view(buffer, static_cast<size_t>(n)));
      Frame frame;
      while (in_.next(frame)) handle(frame);
    }
  } catch (const base::CorruptError& error) {
    drop_engine(error.what());
  }
}

void RunnerProcess::handle(const Frame& frame) {
  FrameReader reader(frame.payload);
  switch (frame.type) {
    case FrameType::kAdopt:
      return adopt(reader);
    case FrameType::kStart:
      return enqueue(read_start(frame.payload));
    case FrameType::kRevoke:
      return revoke(reader.number<AttemptToken>());
    case FrameType::kStop: {
      auto token = reader.number<AttemptToken>();
      return stop(token, reader.number<int64_t>());
    }
    case FrameType::kAcknowledge:
      while (!reader.at_end()) {
        auto token = reader.number<AttemptToken>();
        if (unacknowledged_.erase(token) == 0) continue;
        forgotten_.insert(token);
        forgotten_order_.push_back(token);
        if (forgotten_order_.size() > kForgottenTokensMax) {
          forgotten_.erase(forgotten_order_.front());
          forgotten_order_.pop_front();
        }
      }
      idle_since_ms_ = now_ms_;
      return;
    default:
      throw base::CorruptError("a frame that no engine sends");
  }
}

void RunnerProcess::adopt(FrameReader& frame) {
  std::unordered_set<AttemptToken> believed;
  while (!frame.at_end()) believed.insert(frame.number<AttemptToken>());
  adopted_ = true;
  for (auto it = unacknowledged_.begin(); it != unacknowledged_.end();)
    it = believed.contains(it->first) ? std::next(it) : unacknowledged_.erase(it);
  std::erase_if(unflushed_, [&](const auto& ended) { return !believed.contains(ended.first.token); });
  std::vector<AttemptToken> unwanted;
  for (const auto& [token, job] : by_token_)
    if (!believed.contains(token)) unwanted.push_back(token);
  for (AttemptToken token : unwanted) {
    by_token_.at(token)->dropped = true;
    stop(token, 0);
  }
  for (AttemptToken token : believed) {
    auto job = by_token_.find(token);
    if (job != by_token_.end()) {
      if (job->second->pid() < 0) continue;  // its turn to start has not come
      FrameWriter started(out_, FrameType::kStarted);
      started.number(token);
      started.number(job->second->outcome().started_at);
    } else if (!unacknowledged_.contains(token) &&
               std::none_of(unflushed_.begin(), unflushed_.end(),
                            [&](const auto& ended) { return ended.first.token == token; })) {
      FrameWriter unknown(out_, FrameType::kUnknown);
      unknown.number(token);
    }
  }
  for (const auto& [token, outcome] : unacknowledged_) write_outcome(out_, outcome);
  FrameWriter adopted(out_, FrameType::kAdopted);
}

void RunnerProcess::enqueue(StartRequest request) {
  AttemptToken token = request.spec.token;
  bool ended = std::any_of(unflushed_.begin(), unflushed_.end(),
                           [&](const auto& outcome) { return outcome.first.token == token; });
  if (ended || by_token_.contains(token) || unacknowledged_.contains(token) || forgotten_.contains(token))
    return;
  AttemptToken after = request.spec.after;
  auto job = std::make_unique<Job>(host_, next_serial_++, std::move(request));
  by_token_[token] = job.get();
  if (by_token_.contains(after) && !on_deck_.contains(after)) {
    on_deck_[after] = std::move(job);
  } else {
    to_start_.push_back(std::move(job));
  }
}

// The attempt is over; who waited for that begins, or waits for `front`, which it waited for.
void RunnerProcess::forget(AttemptToken token, AttemptToken front) {
  by_token_.erase(token);
  auto next = on_deck_.extract(token);
  if (next.empty()) return;
  if (front == 0) {
    to_start_.push_back(std::move(next.mapped()));
  } else {
    on_deck_[front] = std::move(next.mapped());
  }
}

void RunnerProcess::drop_unstarted(Job& job, AttemptOutcome outcome) {
  AttemptToken token = job.token(), front = 0;
  outcome.stopped_at = base::SystemClock().now_ms();
  if (!job.dropped) report(outcome);
  auto place = std::find_if(on_deck_.begin(), on_deck_.end(),
                            [&](const auto& waiting) { return waiting.second.get() == &job; });
  if (place != on_deck_.end()) {
    front = place->first;
    on_deck_.erase(place);
  } else {
    std::erase_if(to_start_, [&](const auto& waiting) { return waiting.get() == &job; });
  }
  forget(token, front);
}

void RunnerProcess::revoke(AttemptToken token) {
  auto found = by_token_.find(token);
  if (found == by_token_.end() || found->second->pid() >= 0) return;
  AttemptOutcome outcome = found->second->outcome();
  outcome.revoked = true;
  drop_unstarted(*found->second, std::move(outcome));
}

void RunnerProcess::stop(AttemptToken token, int64_t grace_ms) {
  auto found = by_token_.find(token);
  if (found == by_token_.end()) return;
  Job& job = *found->second;
  if (job.pid() < 0) {  // never started
    AttemptOutcome outcome = job.outcome();
    outcome.reason = "CannotStartContainerError: stopped before it was started";
    return drop_unstarted(job, std::move(outcome));
  }
  if (job.exited()) return;
  if (grace_ms > 0) job.terminate();
  int64_t kill_at_ms = now_ms_ + std::max<int64_t>(grace_ms, 0);
  if (job.kill_at_ms < 0 || kill_at_ms < job.kill_at_ms) job.kill_at_ms = kill_at_ms;
  timed_.insert(&job);
}

void RunnerProcess::send() {
  if (!engine_) return;
  while (out_sent_ < out_.size()) {
    ssize_t n =
        ::send(engine_.get(), out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!engine_blocked_) {
        epoll_event event{EPOLLIN | EPOLLOUT, {.u64 = tag_of(kEngine)}};
        epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, engine_.get(), &event);
        engine_blocked_ = true;
      }
      return;
    }
    if (n < 0) return drop_engine("");
    out_sent_ += static_cast<size_t>(n);
  }
  out_.clear();
  out_sent_ = 0;
  if (engine_blocked_) {
    epoll_event event{EPOLLIN, {.u64 = tag_of(kEngine)}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, engine_.get(), &event);
    engine_blocked_ = false;
  }
}

// ---- the jobs ----

void RunnerProcess::start_next() {
  if (to_start_.empty() || (start_again_ms_ >= 0 && now_ms_ < start_again_ms_)) return;
  start_again_ms_ = -1;
  Job& job = *to_start_.front();
  Job::Start result = job.start(jobs_.empty());
  if (result == Job::Start::kTryLater) {
    start_again_ms_ = now_ms_ + kTryAgainMs;
    return;
  }
  std::unique_ptr<Job> owned = std::move(to_start_.front());
  to_start_.pop_front();
  jobs_.emplace(job.serial(), std::move(owned));
  if (result == Job::Start::kFailed) return retire(job);
  by_pid_[job.pid()] = &job;
  for (int which : {0, 1}) watch(job.output_fd(which), job.serial() << 2 | static_cast<uint64_t>(which));
  if (!adopted_) return;
  FrameWriter started(out_, FrameType::kStarted);
  started.number(job.token());
  started.number(job.outcome().started_at);
}

void RunnerProcess::reap() {
  signalfd_siginfo pending[16];
  for (ssize_t n; (n = read(signals_.get(), pending, sizeof pending)) > 0;) {
    for (size_t i = 0; i < static_cast<size_t>(n) / sizeof pending[0]; ++i) {
      if (pending[i].ssi_signo != SIGTERM || shutting_down_) continue;
      say("told to stop: jobs get SIGTERM");
      shutting_down_ = true;
      shutdown_at_ms_ = now_ms_ + kShutdownGraceMs + kLeftoverGraceMs;
      std::vector<AttemptToken> all;
      for (const auto& [token, job] : by_token_) all.push_back(token);
      for (AttemptToken token : all) stop(token, kShutdownGraceMs);
    }
  }
  // All children, not only jobs: orphans of jobs are ours too (subreaper). An unreaped child's id is nobody
  // else's, which is why no pidfd per job is needed.
  for (;;) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    auto found = by_pid_.find(info.si_pid);
    Job* job = found == by_pid_.end() ? nullptr : found->second;
    if (job) job->main_ended(now_ms_);
    int status = 0;
    rusage usage{};
    if (wait4(info.si_pid, &status, WNOHANG, &usage) != info.si_pid || !job) continue;
    by_pid_.erase(found);
    job->reaped(status, usage);
    job->kill_at_ms = -1;
    settle(*job);
  }
}

void RunnerProcess::read_job(uint64_t serial, int which) {
  auto found = jobs_.find(serial);
  if (found == jobs_.end()) return;
  Job& job = *found->second;
  if (job.output_fd(which) < 0) return;  // closed since epoll told of it
  if (sink_->blocked()) {
    if (!job.paused[which]) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, job.output_fd(which), nullptr);
      job.paused[which] = true;
      paused_.push_back(&job);
    }
    return;
  }
  job.read_output(which, now_ms_);
  if (job.exited()) settle(job);
}

void RunnerProcess::resume_paused() {
  std::vector<Job*> jobs;
  jobs.swap(paused_);
  for (Job* job : jobs)
    for (int which : {0, 1}) {
      if (!job->paused[which] || job->output_fd(which) < 0) continue;
      job->paused[which] = false;
      watch(job->output_fd(which), job->serial() << 2 | static_cast<uint64_t>(which));
    }
}

// The main process has ended: retires the job once nothing of it is left, or waited for long enough.
void RunnerProcess::settle(Job& job) {
  bool leftovers = job.has_leftovers();
  if (!job.outputs_open() && !leftovers) return retire(job);
  if (job.close_at_ms < 0) job.close_at_ms = now_ms_ + kLeftoverGraceMs;
  if (sink_->blocked() || job.paused[0] || job.paused[1]) job.close_at_ms = now_ms_ + kLeftoverGraceMs;
  if (now_ms_ >= job.close_at_ms) return retire(job);
  if (leftovers) job.kill(false);
  timed_.insert(&job);
}

void RunnerProcess::retire(Job& job) {
  job.finish(now_ms_);
  timed_.erase(&job);
  std::erase(paused_, &job);
  forget(job.token());
  if (!job.dropped) {
    if (job.last_line() > sink_->flushed())
      unflushed_.emplace_back(job.outcome(), job.last_line());
    else
      report(job.outcome());
  }
  idle_since_ms_ = now_ms_;
  jobs_.erase(job.serial());
}

void RunnerProcess::report(const AttemptOutcome& outcome) {
  unacknowledged_[outcome.token] = outcome;
  if (adopted_) write_outcome(out_, outcome);
}

void RunnerProcess::release_outcomes() {
  if (!sink_->flush_due(now_ms_) && (unflushed_.empty() || sink_->disk_full())) return;
  bool was_blocked = sink_->blocked();
  if (!sink_->flush(now_ms_)) {
    if (!disk_full_said_) say("output is held back: " + sink_->disk_error());
    disk_full_said_ = true;
    return;
  }
  disk_full_said_ = false;
  if (was_blocked || !paused_.empty()) resume_paused();
  for (const auto& [outcome, line] : unflushed_) report(outcome);
  unflushed_.clear();
}

void RunnerProcess::run_timers() {
  if (timed_.empty()) return;
  std::vector<Job*> due(timed_.begin(), timed_.end());
  for (Job* job : due) {
    if (job->exited()) {
      timed_.erase(job);
      settle(*job);
    } else if (job->kill_at_ms >= 0 && now_ms_ >= job->kill_at_ms) {
      job->kill(true);
      job->kill_at_ms = -1;
      timed_.erase(job);
    }
  }
}

int RunnerProcess::wait_ms() const {
  int64_t at = INT64_MAX;
  auto consider = [&](int64_t when) {
    if (when >= 0) at = std::min(at, when);
  };
  if (!to_start_.empty()) consider(start_again_ms_ < 0 ? now_ms_ : start_again_ms_);
  consider(sink_->flush_at_ms());
  for (const Job* job : timed_) {
    consider(job->kill_at_ms);
    if (job->exited()) consider(now_ms_ + kLeftoverPollMs);
  }
  if (jobs_.empty() && to_start_.empty()) {
    if (shutting_down_) consider(shutdown_at_ms_);
    // With outcomes to keep it stays for as long as it takes.
    if (!engine_ && unflushed_.empty() && unacknowledged_.empty())
      consider(idle_since_ms_ + options_.idle_exit_ms);
  }
  if (at == INT64_MAX) return -1;
  return static_cast<int>(std::clamp<int64_t>(at - now_ms_, 0, 60'000));
}

bool RunnerProcess::may_exit() {
  bool jobs_left = !jobs_.empty() || !to_start_.empty();
  bool outcomes_left = !unflushed_.empty() || !unacknowledged_.empty();
  if (shutting_down_) return now_ms_ >= shutdown_at_ms_ || (!jobs_left && (!outcomes_left || !engine_));
  return !engine_ && !jobs_left && !outcomes_left && now_ms_ >= idle_since_ms_ + options_.idle_exit_ms;
}

// Nothing of whoever started it: no descriptors, no signal settings, no session.
void detach(const RunnerProcessOptions& options) {
  if (getsid(0) != getpid()) setsid();  // refused only for a group's leader, which needs none
  int low = std::min(options.listen_fd, options.lock_fd), high = std::max(options.listen_fd, options.lock_fd);
  syscall(SYS_close_range, 3U, static_cast<unsigned>(low - 1), 0);
  if (high - low > 1)
    syscall(SYS_close_range, static_cast<unsigned>(low + 1), static_cast<unsigned>(high - 1), 0);
  syscall(SYS_close_range, static_cast<unsigned>(high + 1), ~0U, 0);
  for (int fd : {options.listen_fd, options.lock_fd}) fcntl(fd, F_SETFD, FD_CLOEXEC);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  umask(022);
  (void)!chdir("/");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "millrace-runner");
}

}  // namespace

std::string runner_directory(const std::string& data_dir) { return data_dir + "/runner"; }
std::string runner_socket_path(const std::string& data_dir) { return runner_directory(data_dir) + "/socket"; }
std::string runner_lock_path(const std::string& data_dir) { return runner_directory(data_dir) + "/lock"; }
std::string runner_table_path(const std::string& data_dir) {
  return runner_directory(data_dir) + "/attempts";
}
std::string runner_log_path(const std::string& data_dir) { return runner_directory(data_dir) + "/log"; }

int run_runner(const RunnerProcessOptions& options) {
  if (options.listen_fd < 3 || options.lock_fd < 3 || options.data_dir.empty() || options.data_dir[0] != '/')
    throw base::UsageError("the runner is started by the engine, not by hand");
  detach(options);
  RunnerProcess runner(options);
  return runner.run();
}

}  // namespace millrace::exec
