// What the requests of one job share: how often it may try again, and what it counted.
#pragma once

#include <atomic>
#include <cstdint>

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

// Shared by the clients of one job. Thread-safe.
struct S3Traffic {
  RetryQuota quota;
  std::atomic<uint64_t> requests{0};  // attempts, retries among them
  std::atomic<uint64_t> retries{0};
  std::atomic<uint64_t> throttled{0};                      // answers of 429, 503 or with a throttling code
  std::atomic<uint64_t> bytes_sent{0}, bytes_received{0};  // of bodies
};

}  // namespace millrace::objects
