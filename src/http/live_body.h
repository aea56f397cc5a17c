// A response body whose pieces come when something happens: a log that grows, events as they arrive.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace millrace::http {

// Shared by whoever writes it, from any thread, and the connection that sends it, chunked. Thread-safe.
class LiveBody {
 public:
  // Of pieces that the client has not taken yet at most `pieces_max` wait: then the oldest is dropped.
  explicit LiveBody(size_t pieces_max) : pieces_max_(pieces_max) {}

  // Sends a piece. False when nobody reads any more: the client is gone, the server stops, or it has ended.
  bool write(std::string piece);
  // The body ends after what was written.
  void end();

  // For the connection. `wake` is called, without a lock and from any thread, after each write() and end().
  void attach(std::function<void()> wake);
  // The next piece; nothing when none waits.
  std::optional<std::string> take();
  // True when there will be none.
  bool ended() const;
  // No piece is sent from here on.
  void abandon();

 private:
  const size_t pieces_max_;
  mutable std::mutex mutex_;
  std::deque<std::string> pieces_;
  std::function<void()> wake_;
  bool ended_ = false;
  bool abandoned_ = false;
};

}  // namespace millrace::http
