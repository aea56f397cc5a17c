// One I/O thread of the server: its io_context, its connections, and the mailbox answers come back through.
// Internal to the server: brings in Asio.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http/server.h"

namespace millrace::http {

// Concrete executors: any_io_executor costs a third of the throughput.
using Executor = boost::asio::io_context::executor_type;
using Token = boost::asio::use_awaitable_t<Executor>;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using Timer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
template <typename T>
using Task = boost::asio::awaitable<T, Executor>;

// A coroutine that waits for an answer, whatever the type of its handler.
class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void resume() = 0;
};

// Where one request's answer lands. Owned by the connection and by whoever may still answer; all but `sink`
// is touched in the loop's thread only.
struct Slot {
  Response response;
  bool answered = false;
  bool abandoned = false;  // the server gave up waiting
  std::unique_ptr<Waiter> waiter;
  std::unique_ptr<BodySink> sink;  // here, because it must outlive an answer that comes after the connection
  void wake() {
    if (auto sleeper = std::move(waiter)) sleeper->resume();
  }
};

// Takes answers from any thread to the loop's; one wake-up for as many as arrive together. Thread-safe.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(boost::asio::io_context& io) : io_(&io) {}
  void deliver(std::shared_ptr<Slot> slot, Response response);
  void close();                    // later answers are dropped
  void adopt_this_thread() const;  // called by the loop's thread before it runs

 private:
  struct Answer {
    std::shared_ptr<Slot> slot;
    Response response;
  };
  void drain();
  std::mutex mutex_;
  boost::asio::io_context* io_;  // null when closed
  std::vector<Answer> answers_;
};

class Connection;
class TlsContext;

struct EventLoop {
  explicit EventLoop(const ServerOptions& server_options, RequestHandler& request_handler)
      : options(server_options), handler(request_handler), scratch(kScratchBytes), sweeper(io) {}
  static constexpr size_t kScratchBytes = 256 * 1024;

  const ServerOptions& options;
  RequestHandler& handler;
  const TlsContext* tls = nullptr;  // set before the loop runs; null: plain
  std::list<Connection*> connections;
  std::atomic<size_t> connection_count{0};
  std::vector<char> scratch;  // what recv() fills; used up before the next suspension
  bool stopping = false;      // no new requests
  bool closing = false;       // nothing at all
  boost::asio::io_context io{1};
  Timer sweeper;
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>(io);

  std::string_view http_date();  // formatted once a second

 private:
  std::string date_;
  int64_t date_second_ = -1;
};

// Milliseconds of the monotonic clock, coarse (4 ms) and cheap.
int64_t coarse_now_ms();

}  // namespace millrace::http
