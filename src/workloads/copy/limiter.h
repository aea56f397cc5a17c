// How many requests a copy has in flight, how many it sends a second, and how many bytes it moves a second.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "objects/s3_traffic.h"

namespace millrace::copy {

struct Limits {
  unsigned concurrency = 64;       // requests in flight at most
  double requests_per_second = 0;  // 0: no limit
  double bytes_per_second = 0;     // of the objects moved, also when a server copies them; 0: no limit
};

// Requests in flight fall to half when a server throttles (at most twice a second) and rise again by an
// eighth a second: one limit for everything the job does. Thread-safe.
class Limiter final : public objects::RequestGate {
 public:
  explicit Limiter(const Limits& limits, const std::atomic<bool>* stop = nullptr)
      : limits_(limits), stop_(stop), allowed_(limits.concurrency) {}
  // Throws TransientError("interrupted") when the job is to stop.
  void enter() override;
  void leave(bool throttled) override;
  // As enter(), without waiting and without regard to the requests a second: false when there is no room, or
  // when somebody waits for it.
  bool try_enter();
  // After an enter() without a request: leaves room for others, and calls nobody.
  void leave_unused();
  // Called by leave(), in whatever thread that is, when there may be room that nobody waits for. To be set
  // before the first enter().
  void set_on_room(std::function<void()> on_room) { on_room_ = std::move(on_room); }
  bool limits_requests() const { return limits_.requests_per_second > 0; }
  // Waits until `bytes` more may be moved. A large object waits after itself, not before.
  void spend(uint64_t bytes);
  // Wakes those who wait: to be called when the stop flag was set.
  void wake();

  unsigned allowed() const;  // at this moment
  unsigned peak() const;     // the most that were ever in flight

 private:
  using Clock = std::chrono::steady_clock;
  bool stopped() const { return stop_ && stop_->load(); }
  void check_stop() const;
  // Takes `amount` of what comes at `rate` a second; gives the time until which to wait.
  static Clock::time_point take(Clock::time_point& paid_until, double rate, double amount,
                                Clock::time_point now);

  const Limits limits_;
  const std::atomic<bool>* stop_;
  std::function<void()> on_room_;
  mutable std::mutex mutex_;
  std::condition_variable room_, paid_;
  double allowed_;
  unsigned in_flight_ = 0, waiting_ = 0, peak_ = 0;
  Clock::time_point last_cut_{}, last_raise_{};
  Clock::time_point requests_paid_{}, bytes_paid_{};
};

}  // namespace millrace::copy
