#include "exec/runner.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>

#include "base/error.h"
#include "base/time.h"
#include "exec/runner_link.h"

namespace millrace::exec {
namespace {

constexpr int kStartAgainMs = 1000;

// What NVIDIA's driver made: /dev/nvidia0, /dev/nvidia1, …
int gpus_of_machine() {
  int gpus = 0;
  while (access(("/dev/nvidia" + std::to_string(gpus)).c_str(), F_OK) == 0) ++gpus;
  return gpus;
}

Capacity capacity_of(const RunnerOptions& options) {
  Capacity capacity{options.vcpus, options.memory_mib, options.gpus >= 0 ? options.gpus : gpus_of_machine()};
  cpu_set_t cpus;
  if (capacity.vcpus <= 0)
    capacity.vcpus = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  struct sysinfo info;
  if (capacity.memory_mib <= 0 && sysinfo(&info) == 0)
    capacity.memory_mib = static_cast<int64_t>(info.totalram) * info.mem_unit >> 20;
  return capacity;
}

}  // namespace

class Runner::Impl {
 public:
  explicit Impl(RunnerOptions options)
      : options_(std::move(options)), capacity_(capacity_of(options_)), wake_(eventfd(0, EFD_CLOEXEC)) {
    if (!options_.runtime.empty() && options_.runtime != "process")
      throw base::UsageError("--runtime is \"process\" or not given, not \"" + options_.runtime + "\"");
    if (!wake_) throw base::TransientError(base::system_message("eventfd", errno));
    link_ = connect_runner(options_);
  }

  ~Impl() {
    stop_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
  }

  void adopt(const std::vector<AttemptToken>& believed, ExecutorListener& listener) {
    listener_ = &listener;
    {
      std::lock_guard lock(mutex_);
      live_.insert(believed.begin(), believed.end());
      {
        FrameWriter frame(out_, FrameType::kAdopt);
        for (AttemptToken token : believed) frame.number(token);
      }
      write_some();
    }
    thread_ = std::thread([this] { listen(); });
  }

  // All of these hand frames to the kernel at once when it takes them; the thread sends the rest.
  void start(const std::vector<AttemptSpec>& attempts) {
    std::lock_guard lock(mutex_);
    for (const AttemptSpec& spec : attempts) {
      live_.insert(spec.token);
      write_start(out_, spec, options_.runtime == "process");
    }
    write_some();
  }

  void revoke(AttemptToken token) {
    std::lock_guard lock(mutex_);
    {
      FrameWriter frame(out_, FrameType::kRevoke);
      frame.number(token);
    }
    write_some();
  }

  void stop(AttemptToken token, int64_t grace_ms) {
    std::lock_guard lock(mutex_);
    {
      FrameWriter frame(out_, FrameType::kStop);
      frame.number(token);
      frame.number(grace_ms);
    }
    write_some();
  }

  void acknowledge(const std::vector<AttemptToken>& tokens) {
    if (tokens.empty()) return;
    std::lock_guard lock(mutex_);
    {
      FrameWriter frame(out_, FrameType::kAcknowledge);
      for (AttemptToken token : tokens) frame.number(token);
    }
    write_some();
  }

  const Capacity& capacity() const { return capacity_; }
  std::string instance() const {
    std::lock_guard lock(mutex_);
    return link_.instance;
  }
  std::string limits_note() const {
    std::lock_guard lock(mutex_);
    return link_.limits_note;
  }
  int runner_pid() const {
    std::lock_guard lock(mutex_);
    return link_.pid;
  }

 private:
  void wake() {
    uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one);
  }

  // With the mutex held. What the socket does not take now waits for listen().
  void write_some() {
    if (!connected_) return;
    while (sent_ < out_.size()) {
      ssize_t n =
          send(link_.socket.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        // Full, or dead: the thread sees which.
        if (!waits_for_room_) wake();
        waits_for_room_ = true;
        return;
      }
      sent_ += static_cast<size_t>(n);
    }
    out_.clear();
    sent_ = 0;
    waits_for_room_ = false;
  }

  // The thread: reports what the runner says, and replaces it when it is gone.
  void listen() {
    pthread_setname_np(pthread_self(), "runner-link");
    std::string buffer(256 << 10, '\0');
    while (take_frames()) {
      pollfd wait[2] = {{link_.socket.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      {
        std::lock_guard lock(mutex_);
        if (waits_for_room_) wait[0].events |= POLLOUT;
      }
      if (poll(wait, 2, -1) < 0) continue;
      if (stop_) return;
      if (wait[1].revents) {
        uint64_t ignored;
        (void)!read(wake_.get(), &ignored, sizeof ignored);
      }
      if (wait[0].revents & POLLOUT) {
        std::lock_guard lock(mutex_);
        write_some();
      }
      if (!(wait[0].revents & (POLLIN | POLLHUP | POLLERR))) continue;
      ssize_t n = recv(link_.socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n > 0)
        link_.in.append(std::string_view(buffer.data(), static_cast<size_t>(n)));
      else
        replace_runner();
      if (stop_) return;
    }
  }

  // Reports every whole frame; false when told to stop.
  bool take_frames() {
    try {
      Frame frame;
      while (!stop_ && link_.in.next(frame)) take(frame);
    } catch (const base::CorruptError&) {
      // Not what a runner says: it is treated as dead, which ends it.
      replace_runner();
    }
    return !stop_;
  }

  void take(const Frame& frame) {
    FrameReader reader(frame.payload);
    switch (frame.type) {
      case FrameType::kStarted: {
        auto token = reader.number<AttemptToken>();
        listener_->attempt_started(token, reader.number<base::TimeMs>());
        return;
      }
      case FrameType::kFinished: {
        AttemptOutcome outcome = read_outcome(frame.payload);
        {
          std::lock_guard lock(mutex_);
          live_.erase(outcome.token);
        }
        listener_->attempt_finished(outcome);
        return;
      }
      case FrameType::kUnknown: {
        auto token = reader.number<AttemptToken>();
        bool lost = !link_.lost_instance.empty();
        if (lost && !loss_reported_) listener_->host_lost(link_.lost_instance);
        loss_reported_ = true;
        {
          std::lock_guard lock(mutex_);
          live_.erase(token);
        }
        // A runner keeps every outcome until it is acknowledged, and one that ended by itself kept none: so
        // what the same or no runner has not heard of was never sent.
        report_lost(token, !lost);
        return;
      }
      case FrameType::kAdopted:
        return;
      default:
        throw base::CorruptError("a frame that no runner sends");
    }
  }

  void report_lost(AttemptToken token, bool never_received = false) {
    AttemptOutcome outcome;
    outcome.token = token;
    outcome.host_lost = !never_received;
    outcome.never_received = never_received;
    outcome.stopped_at = base::SystemClock().now_ms();
    listener_->attempt_finished(outcome);
  }

  void replace_runner() {
    std::string lost_instance;
    std::unordered_set<AttemptToken> lost;
    {
      std::lock_guard lock(mutex_);
      connected_ = false;
      lost_instance = link_.instance;
      lost.swap(live_);
      // Written for the dead one. Starts among it are in `lost`.
      out_.clear();
      sent_ = 0;
      waits_for_room_ = false;
    }
    link_.socket.reset();
    bury_runner(link_);
    // Nothing is reported before it is sure that no process of the lost attempts is left: they may be started
    // again.
    while (!stop_) {
      try {
        RunnerLink next = connect_runner(options_);
        std::lock_guard lock(mutex_);
        link_ = std::move(next);
        link_.lost_instance.clear();
        break;
      } catch (const base::Error&) {
        pollfd wait{wake_.get(), POLLIN, 0};
        poll(&wait, 1, kStartAgainMs);
      }
    }
    if (stop_) return;
    {
      std::lock_guard lock(mutex_);
      // Starts and stops that came meanwhile are in out_, behind the new runner's greeting.
      std::string adopt;
      {
        FrameWriter frame(adopt, FrameType::kAdopt);
      }
      out_.insert(0, adopt);
      connected_ = true;
      write_some();
    }
    listener_->host_lost(lost_instance);
    for (AttemptToken token : lost) report_lost(token);
  }

  const RunnerOptions options_;
  const Capacity capacity_;
  base::UniqueFd wake_;
  ExecutorListener* listener_ = nullptr;
  std::thread thread_;
  bool loss_reported_ = false;  // of the host that was there before; the thread's own
  std::atomic<bool> stop_ = false;

  mutable std::mutex mutex_;  // guards what follows; link_.in and lost_instance are the thread's own
  RunnerLink link_;
  bool connected_ = true;
  bool waits_for_room_ = false;
  std::string out_;
  size_t sent_ = 0;
  std::unordered_set<AttemptToken> live_;  // started or believed, outcome not seen
};

Runner::Runner(RunnerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Runner::~Runner() = default;
Capacity Runner::capacity() const { return impl_->capacity(); }
std::string Runner::instance() const { return impl_->instance(); }
void Runner::adopt(const std::vector<AttemptToken>& believed, ExecutorListener& listener) {
  impl_->adopt(believed, listener);
}
void Runner::start(std::vector<AttemptSpec> attempts) { impl_->start(attempts); }
void Runner::revoke(AttemptToken token) { impl_->revoke(token); }
void Runner::stop(AttemptToken token, int64_t grace_ms) { impl_->stop(token, grace_ms); }
void Runner::acknowledge(const std::vector<AttemptToken>& tokens) { impl_->acknowledge(tokens); }
std::string Runner::limits_note() const { return impl_->limits_note(); }
int Runner::runner_pid() const { return impl_->runner_pid(); }

}  // namespace millrace::exec
