// One client connection: requests one after the other, each read, handed over, answered. Internal to the
// server.
#pragma once

#include <sys/uio.h>

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/chunked_decoder.h"
#include "http/event_loop.h"
#include "http/head_parser.h"
#include "http/tls.h"

namespace millrace::http {

// Lives in its coroutine, in one loop's thread.
class Connection {
 public:
  Connection(EventLoop& loop, int fd, std::string peer);
  ~Connection();
  // Serves until the connection ends. Never throws.
  static Task<void> run(std::unique_ptr<Connection> self);

  // Breaks the connection off when its deadline has passed.
  void sweep(int64_t now_ms);
  // When it breaks off what has not sent a whole request head, idle or not; nothing inside a request. The
  // earliest is the one to close when there are too many.
  std::optional<int64_t> waits_for_a_request_until() const {
    return at_head_ && !killed_ && !timed_out_ ? std::optional(deadline_ms_) : std::nullopt;
  }
  // No further request: closes now when idle, else after the answer under way.
  void close_when_idle();
  void kill();

 private:
  enum class Body { kComplete, kGone, kTooLarge, kMalformed, kThrown };
  static constexpr int64_t kForever = INT64_MAX;
  static constexpr unsigned kTurnsMax = 32;

  Task<bool> shake_hands();
  Task<bool> serve_one();
  Task<bool> serve_request(ParsedHead parsed);
  Task<bool> read_head(ParsedHead& parsed);
  Task<Body> read_body(const ParsedHead& parsed, BodySink* sink, std::string& buffered);
  Task<bool> send_interim_continue();
  Task<bool> send_response(Response response, bool is_head, bool http_1_0, bool keep_alive);
  Task<bool> send_all(std::string_view head, std::string_view body, bool more);
  Task<bool> send_file(const FileRegion& file);
  Task<bool> send_encrypted(std::string_view bytes);
  Task<bool> send_file_encrypted(const FileRegion& file);
  Task<bool> send_source(BodySource& source, bool chunked);
  Task<bool> send_live(LiveBody& live, bool chunked);
  Task<bool> send_piece(std::string_view piece, bool chunked);
  Task<bool> drain_request_body(const ParsedHead& parsed);
  Task<void> linger();

  Task<void> until_readable();
  Task<void> until_writable();
  Task<void> until_answered(Slot& slot);
  Task<void> yield();

  Body take(std::string_view bytes, BodySink* sink, std::string& buffered);
  ssize_t receive(size_t max);  // into the loop's scratch; 0: end, -1: failed, kWouldBlock
  static constexpr ssize_t kWouldBlock = -2;
  bool broken() const { return killed_ || timed_out_ || error_; }
  void expect_progress_within(std::chrono::milliseconds limit) {
    deadline_ms_ = coarse_now_ms() + limit.count();
  }

  EventLoop& loop_;
  Socket socket_;
  int fd_;
  std::string peer_;
  std::unique_ptr<TlsSession> tls_;
  std::list<Connection*>::iterator place_;
  boost::system::error_code error_;
  std::string input_;  // received, not yet consumed from input_at_
  size_t input_at_ = 0;
  std::string head_out_;
  std::shared_ptr<Slot> slot_;  // of the request under way
  std::exception_ptr thrown_;   // by the sink
  uint64_t body_left_ = 0;      // of a Content-Length body
  ChunkedDecoder decoder_;
  bool body_ended_ = true;
  int64_t deadline_ms_ = kForever;
  bool idle_ = true;     // not a byte of the next request yet
  bool live_ = false;    // sends a body that ends when its maker wants
  bool at_head_ = true;  // the next request's head is not complete
  bool timed_out_ = false;
  bool killed_ = false;
  unsigned turns_ = 0;  // pieces of work since the loop last looked at other connections
};

}  // namespace millrace::http
