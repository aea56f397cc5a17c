#include "workloads/copy/limiter.h"

#include <algorithm>

#include "base/error.h"

namespace millrace::copy {
namespace {

constexpr auto kCutPause = std::chrono::milliseconds(500);
constexpr auto kRaisePause = std::chrono::seconds(1);
constexpr auto kBurst = std::chrono::milliseconds(200);  // of requests and bytes that may come at once

}  // namespace

void Limiter::check_stop() const {
  if (stopped()) throw base::TransientError("interrupted", "Interrupted");
}

Limiter::Clock::time_point Limiter::take(Clock::time_point& paid_until, double rate, double amount,
                                         Clock::time_point now) {
  paid_until = std::max(paid_until, now - kBurst);
  Clock::time_point due = paid_until;
  paid_until += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(amount / rate));
  return due;
}

void Limiter::enter() {
  std::unique_lock lock(mutex_);
  if (limits_.requests_per_second > 0) {
    Clock::time_point due = take(requests_paid_, limits_.requests_per_second, 1, Clock::now());
    paid_.wait_until(lock, due, [&] { return stopped() || Clock::now() >= due; });
  }
  ++waiting_;
  room_.wait(lock, [&] { return in_flight_ < static_cast<unsigned>(allowed_) || stopped(); });
  --waiting_;
  check_stop();
  peak_ = std::max(peak_, ++in_flight_);
}

bool Limiter::try_enter() {
  std::lock_guard lock(mutex_);
  if (waiting_ > 0 || in_flight_ >= static_cast<unsigned>(allowed_) || stopped()) return false;
  peak_ = std::max(peak_, ++in_flight_);
  return true;
}

void Limiter::leave(bool throttled) {
  std::unique_lock lock(mutex_);
  --in_flight_;
  bool raised = false;
  if (throttled) {
    Clock::time_point now = Clock::now();
    if (now - last_cut_ >= kCutPause) {
      allowed_ = std::max(1.0, allowed_ / 2);
      last_cut_ = last_raise_ = now;
    }
  } else if (allowed_ < limits_.concurrency) {
    Clock::time_point now = Clock::now();
    if (now - last_raise_ >= kRaisePause) {
      allowed_ = std::min<double>(limits_.concurrency, allowed_ + std::max(1.0, allowed_ / 8));
      last_raise_ = now;
      raised = true;
    }
  }
  bool wanted = waiting_ > 0;
  lock.unlock();
  if (wanted)
    raised ? room_.notify_all() : room_.notify_one();
  else if (on_room_)
    on_room_();
}

void Limiter::leave_unused() {
  std::lock_guard lock(mutex_);
  --in_flight_;
  if (waiting_ > 0) room_.notify_one();
}

void Limiter::spend(uint64_t bytes) {
  if (limits_.bytes_per_second <= 0) return check_stop();
  std::unique_lock lock(mutex_);
  Clock::time_point due =
      take(bytes_paid_, limits_.bytes_per_second, static_cast<double>(bytes), Clock::now());
  paid_.wait_until(lock, due, [&] { return stopped() || Clock::now() >= due; });
  check_stop();
}

void Limiter::wake() {
  std::lock_guard lock(mutex_);
  room_.notify_all();
  paid_.notify_all();
}

unsigned Limiter::allowed() const {
  std::lock_guard lock(mutex_);
  return static_cast<unsigned>(allowed_);
}

unsigned Limiter::peak() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

}  // namespace millrace::copy
