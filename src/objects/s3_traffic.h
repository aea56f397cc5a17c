// What the requests of one job share: how often it may try again, and what it counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace millrace::objects {

// A token bucket for retries (the SDKs' "standard" mode): when most requests fail, trying each of them again
// only makes it worse. 500 tokens, 5 a retry, 10 after no answer at all; a retry that helped gives its tokens
// back, any other success one. Thread-safe.
class RetryQuota {
 public:
  static constexpr int kTokens = 500, kRetryCost = 5, kTimeoutCost = 10;
  explicit RetryQuota(int tokens = kTokens) : tokens_(tokens), most_(tokens) {}
  // False when there are not enough tokens: then do not try again.
  bool take(int cost) {
    int left = tokens_.load();
    while (left >= cost)
      if (tokens_.compare_exchange_weak(left, left - cost)) return true;
    return false;
  }
  void give(int tokens) {
    int left = tokens_.load();
    while (!tokens_.compare_exchange_weak(left, left + tokens > most_ ? most_ : left + tokens)) {
    }
  }
  int tokens() const { return tokens_.load(); }

 private:
  std::atomic<int> tokens_;
  int most_;
};

// Asked before each request is sent and told its end: limits on requests in flight and per second. Shared by
// the clients of one job. Thread-safe.
class RequestGate {
 public:
  virtual ~RequestGate() = default;
  // Waits until one more request may be sent. May throw to keep it from being sent at all.
  virtual void enter() = 0;
  // Once for each enter(), also from the HTTP client's thread. `throttled`: the server asked for fewer.
  virtual void leave(bool throttled) = 0;
};

// What may be held in memory at once. Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(uint64_t bytes) : left_(bytes), all_(bytes) {}
  // Waits until they are there; more than all there are counts as all.
  class Share {
   public:
    Share(ByteBudget& budget, uint64_t bytes)
        : budget_(budget), bytes_(bytes < budget.all_ ? bytes : budget.all_) {
      std::unique_lock lock(budget_.mutex_);
      budget_.freed_.wait(lock, [&] { return budget_.left_ >= bytes_; });
      budget_.left_ -= bytes_;
    }
    ~Share() {
      std::lock_guard lock(budget_.mutex_);
      budget_.left_ += bytes_;
      budget_.freed_.notify_all();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    ByteBudget& budget_;
    const uint64_t bytes_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  uint64_t left_;
  const uint64_t all_;
};

// Shared by the clients of one job. Thread-safe.
struct S3Traffic {
  static constexpr uint64_t kBufferBytes = 64ull * 1024 * 1024;
  RetryQuota quota;
  ByteBudget buffers{kBufferBytes};   // parts of objects on their way through the job
  std::atomic<uint64_t> requests{0};  // attempts, retries among them
  std::atomic<uint64_t> retries{0};
  std::atomic<uint64_t> throttled{0};                      // answers of 429, 503 or with a throttling code
  std::atomic<uint64_t> bytes_sent{0}, bytes_received{0};  // of bodies
};

}  // namespace millrace::objects
