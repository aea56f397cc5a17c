#include "http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>

#include "http/response_head.h"

// g++ 12.2 destroys some temporaries in `co_await f(temporary)` twice: only named locals are passed to
// coroutines here.

namespace millrace::http {
namespace {

namespace asio = boost::asio;

constexpr size_t kHeadReadBytes = 16 * 1024;
constexpr size_t kInputKeptBytes = 16 * 1024;         // capacity an idle connection may keep
constexpr uint64_t kDrainBytesMax = 256 * 1024;       // of a refused body, to save the connection
constexpr size_t kLingerBytesMax = 16 * 1024 * 1024;  // thrown away so that the answer is not lost to a reset
constexpr std::chrono::milliseconds kLingerTime{2'000};

// Answers once; dropped unanswered it answers 500.
class Ticket {
 public:
  Ticket(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Slot> slot)
      : mailbox_(std::move(mailbox)), slot_(std::move(slot)) {}
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() {
    if (!answered_.exchange(true))
      mailbox_->deliver(std::move(slot_), plain_response(500, "The request was not answered."));
  }
  void answer(Response response) {
    if (!answered_.exchange(true)) mailbox_->deliver(std::move(slot_), std::move(response));
  }

 private:
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<Slot> slot_;
  std::atomic<bool> answered_{false};
};

Respond make_respond(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Slot> slot) {
  auto ticket = std::make_shared<Ticket>(std::move(mailbox), std::move(slot));
  return [ticket](Response response) { ticket->answer(std::move(response)); };
}

template <typename Handler>
class WaiterOf final : public Waiter {
 public:
  explicit WaiterOf(Handler handler) : handler_(std::move(handler)) {}
  void resume() override {
    Handler handler = std::move(handler_);
    handler();
  }

 private:
  Handler handler_;
};

Response failed_answer(RequestHandler& handler, const RequestHead& head, const std::exception_ptr& error) {
  try {
    return handler.failed(head, error);
  } catch (...) {
    return plain_response(500, "The request failed, and so did describing why.");
  }
}

}  // namespace

Connection::Connection(EventLoop& loop, int fd, std::string peer)
    : loop_(loop), socket_(loop.io, asio::ip::tcp::v4(), fd), fd_(fd), peer_(std::move(peer)) {
  loop_.connections.push_back(this);
  place_ = std::prev(loop_.connections.end());
  ++loop_.connection_count;
}

Connection::~Connection() {
  loop_.connections.erase(place_);
  --loop_.connection_count;
}

Task<void> Connection::run(std::unique_ptr<Connection> self) {
  try {
    // Not `while (co_await …)`: g++ 12.2 loses its place in that loop and runs into a trap.
    bool more = true;
    if (self->loop_.tls) more = co_await self->shake_hands();
    while (more) more = co_await self->serve_one();
  } catch (...) {
    // Out of memory, at worst: this connection ends, the others go on.
  }
}

void Connection::sweep(int64_t now_ms) {
  if (now_ms < deadline_ms_) return;
  timed_out_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Connection::close_when_idle() {
  if (idle_ || live_) kill();
}

void Connection::kill() {
  killed_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  if (slot_ && slot_->waiter) {
    slot_->abandoned = true;
    asio::post(loop_.io, [slot = slot_] { slot->wake(); });
  }
}

Task<void> Connection::until_readable() {
  if (tls_ && tls_->has_pending()) return yield();
  if (tls_ && tls_->wants_write()) return until_writable();
  return socket_.async_wait(Socket::wait_read, asio::redirect_error(Token(), error_));
}

Task<void> Connection::until_writable() {
  return socket_.async_wait(Socket::wait_write, asio::redirect_error(Token(), error_));
}

Task<void> Connection::until_answered(Slot& slot) {
  Token token;
  return asio::async_initiate<Token, void()>(
      [&slot](auto handler) {
        slot.waiter = std::make_unique<WaiterOf<decltype(handler)>>(std::move(handler));
      },
      token);
}

Task<void> Connection::yield() {
  turns_ = 0;
  return asio::post(loop_.io, Token());
}

ssize_t Connection::receive(size_t max) {
  static_assert(kWouldBlock == TlsSession::kWouldBlock);
  if (tls_) return tls_->read(loop_.scratch.data(), std::min(max, loop_.scratch.size()));
  for (;;) {
    ssize_t n = ::recv(fd_, loop_.scratch.data(), std::min(max, loop_.scratch.size()), 0);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? kWouldBlock : -1;
  }
}

// True when the connection can take another request.
// The deadline is for all of it: a client that sends a byte now and then does not get more time.
Task<bool> Connection::shake_hands() {
  tls_ = std::make_unique<TlsSession>(*loop_.tls, fd_);
  expect_progress_within(loop_.options.handshake_timeout);
  for (;;) {
    const ssize_t result = tls_->handshake();
    if (result != TlsSession::kWouldBlock) co_return result > 0;
    if (tls_->wants_write())
      co_await until_writable();
    else
      co_await until_readable();
    if (broken()) co_return false;
  }
}

Task<bool> Connection::serve_one() {
  idle_ = true;
  error_ = {};
  ParsedHead parsed;
  Response refusal;
  bool refused = false;
  try {
    bool there = co_await read_head(parsed);
    if (!there) co_return false;
  } catch (const BadRequest& bad) {
    refusal = plain_response(bad.status, bad.why);
    refused = true;
  }
  if (refused) {
    if (co_await send_response(std::move(refusal), false, false, false)) co_await linger();
    co_return false;
  }
  if (++turns_ >= kTurnsMax) co_await yield();
  if (broken()) co_return false;
  co_return co_await serve_request(std::move(parsed));
}

// False when there is no request to serve. Throws BadRequest.
Task<bool> Connection::read_head(ParsedHead& parsed) {
  const ServerOptions& options = loop_.options;
  size_t looked = 0;
  at_head_ = true;
  expect_progress_within(options.idle_timeout);
  for (;;) {
    // A CRLF too many after the last body is forgiven (RFC 9112 section 2.2).
    while (looked == 0 && input_at_ + 1 < input_.size() && input_[input_at_] == '\r' &&
           input_[input_at_ + 1] == '\n')
      input_at_ += 2;
    std::string_view pending = std::string_view(input_).substr(input_at_);
    if (!pending.empty()) {
      if (idle_) {
        idle_ = false;
        // One deadline for the whole head: a byte now and then does not hold a connection for ever.
        expect_progress_within(options.request_timeout);
      }
      auto first = static_cast<unsigned char>(pending.front());
      if (first < 0x20 && first != '\r') throw BadRequest{400, "This is not HTTP."};
      size_t size = find_head_end(pending, looked);
      if (size > options.head_bytes_max &&
          (size != std::string_view::npos || pending.size() > options.head_bytes_max))
        throw BadRequest{431, "The request head is too large."};
      if (size != std::string_view::npos) {
        parsed = parse_head(pending.substr(0, size));
        parsed.head.peer = peer_;
        input_at_ += size;
        deadline_ms_ = kForever;
        at_head_ = false;
        co_return true;
      }
      looked = pending.size();
    }
    if (input_at_ > 0) {
      input_.erase(0, input_at_);
      input_at_ = 0;
      if (input_.empty() && input_.capacity() > kInputKeptBytes) std::string().swap(input_);
    }
    if (idle_ && loop_.stopping) co_return false;
    co_await until_readable();
    if (timed_out_ && !idle_) {
      timed_out_ = false;
      throw BadRequest{408, "The request head took too long."};
    }
    if (broken()) co_return false;
    ssize_t n = receive(kHeadReadBytes);
    if (n == kWouldBlock) continue;
    if (n <= 0) co_return false;
    input_.append(loop_.scratch.data(), static_cast<size_t>(n));
  }
}

Task<bool> Connection::serve_request(ParsedHead parsed) {
  const RequestHead& head = parsed.head;
  bool is_head = head.method == "HEAD";
  auto slot = std::make_shared<Slot>();
  slot_ = slot;
  thrown_ = nullptr;
  decoder_ = {};
  body_left_ = parsed.content_length;
  body_ended_ = !parsed.chunked && body_left_ == 0;
  bool keep_alive = parsed.keep_alive;
  bool expects = parsed.expects_continue;  // and was not told to go on
  Response response;

  try {
    slot->sink = loop_.handler.open(head);
  } catch (...) {
    thrown_ = std::current_exception();
  }
  Body body = thrown_ ? Body::kThrown : Body::kComplete;
  std::string buffered;
  if (!thrown_ && !slot->sink && !parsed.chunked && parsed.content_length > loop_.options.body_bytes_max)
    body = Body::kTooLarge;
  if (body == Body::kComplete && expects) {
    // For an empty body too, where RFC 9110 section 10.1.1 leaves it open: botocore counts on it.
    if (input_at_ == input_.size()) {
      if (!co_await send_interim_continue()) co_return false;
    }
    expects = false;
  }
  if (body == Body::kComplete && !body_ended_) {
    BodySink* sink = slot->sink.get();
    body = co_await read_body(parsed, sink, buffered);
  }
  switch (body) {
    case Body::kGone: {
      if (!timed_out_ || killed_) co_return false;
      timed_out_ = false;
      error_ = {};
      keep_alive = false;
      response = plain_response(408, "The request body stopped arriving.");
      break;
    }
    case Body::kMalformed:
      keep_alive = false;
      response = plain_response(400, "The chunked request body is malformed.");
      break;
    case Body::kTooLarge:
      response = plain_response(413, "The request body is too large.");
      break;
    case Body::kThrown:
      response = failed_answer(loop_.handler, head, thrown_);
      thrown_ = nullptr;
      break;
    case Body::kComplete: {
      Respond respond = make_respond(loop_.mailbox, slot);
      try {
        if (slot->sink) {
          slot->sink->finish(std::move(respond));
        } else {
          Request request;
          request.head = head;
          request.body = std::move(buffered);
          loop_.handler.handle(std::move(request), std::move(respond));
        }
      } catch (...) {
        // Whatever the ticket says from now on is too late: this slot is no longer looked at.
        slot_.reset();
        response = failed_answer(loop_.handler, head, std::current_exception());
      }
      if (!slot_) break;
      if (!slot->answered) {
        co_await until_answered(*slot);
        turns_ = 0;
      }
      if (slot->abandoned || killed_) co_return false;
      response = std::move(slot->response);
      break;
    }
  }
  slot_.reset();
  slot->sink.reset();
  if (loop_.stopping) keep_alive = false;
  // A refused body that is still to come is read over when it is small and certain to come; else the
  // connection ends.
  bool drain = false;
  if (!body_ended_ && keep_alive) {
    drain = !parsed.chunked && body_left_ <= kDrainBytesMax;
    keep_alive = drain;
  }
  // botocore misreads the next answer of a connection on which it waited for 100 and was refused.
  if (expects) keep_alive = drain = false;
  bool http_1_0 = parsed.http_1_0;
  if (http_1_0 && (response.source || response.live) && !is_head)
    keep_alive = drain = false;  // its end is the connection's
  if (!co_await send_response(std::move(response), is_head, http_1_0, keep_alive)) co_return false;
  if (drain) co_return co_await drain_request_body(parsed);
  if (!keep_alive && !body_ended_) co_await linger();
  co_return keep_alive;
}

Connection::Body Connection::take(std::string_view bytes, BodySink* sink, std::string& buffered) {
  if (!sink) {
    if (bytes.size() > loop_.options.body_bytes_max - buffered.size()) return Body::kTooLarge;
    buffered += bytes;
    return Body::kComplete;
  }
  try {
    sink->write(bytes);
  } catch (...) {
    thrown_ = std::current_exception();
    return Body::kThrown;
  }
  return Body::kComplete;
}

Task<Connection::Body> Connection::read_body(const ParsedHead& parsed, BodySink* sink,
                                             std::string& buffered) {
  // Grows with what arrives, not with what is promised.
  if (!sink && !parsed.chunked) buffered.reserve(std::min<uint64_t>(body_left_, 64 * 1024));
  for (;;) {
    std::string_view fresh = std::string_view(input_).substr(input_at_);
    bool from_input = !fresh.empty();
    if (!from_input) {
      size_t most = parsed.chunked
                        ? loop_.scratch.size()
                        : static_cast<size_t>(std::min<uint64_t>(body_left_, loop_.scratch.size()));
      if (++turns_ >= kTurnsMax) co_await yield();
      if (killed_) co_return Body::kGone;
      ssize_t n = receive(most);
      while (n == kWouldBlock) {
        expect_progress_within(loop_.options.request_timeout);
        co_await until_readable();
        deadline_ms_ = kForever;
        turns_ = 0;
        if (broken()) co_return Body::kGone;
        n = receive(most);
      }
      if (n <= 0 || killed_) co_return Body::kGone;
      fresh = {loop_.scratch.data(), static_cast<size_t>(n)};
    }
    size_t consumed = 0;
    Body state = Body::kComplete;
    if (!parsed.chunked) {
      consumed = static_cast<size_t>(std::min<uint64_t>(body_left_, fresh.size()));
      body_left_ -= consumed;
      body_ended_ = body_left_ == 0;
      state = take(fresh.substr(0, consumed), sink, buffered);
    } else {
      for (bool more = true; more && state == Body::kComplete;) {
        ChunkedDecoder::Step step = decoder_.next(fresh.substr(consumed));
        consumed += step.consumed;
        if (step.state == ChunkedDecoder::State::kBad) state = Body::kMalformed;
        if (step.state == ChunkedDecoder::State::kData) state = take(step.data, sink, buffered);
        body_ended_ = step.state == ChunkedDecoder::State::kDone;
        more = step.state == ChunkedDecoder::State::kData;
      }
    }
    if (from_input)
      input_at_ += consumed;
    else if (consumed < fresh.size())
      input_.assign(fresh.substr(consumed)), input_at_ = 0;  // the next request, or a refused body
    if (state != Body::kComplete) co_return state;
    if (body_ended_) co_return Body::kComplete;
  }
}

Task<bool> Connection::drain_request_body(const ParsedHead& parsed) {
  uint64_t from_input = std::min<uint64_t>(body_left_, input_.size() - input_at_);
  input_at_ += from_input;
  body_left_ -= from_input;
  expect_progress_within(loop_.options.request_timeout);
  while (body_left_ > 0) {
    ssize_t n = receive(static_cast<size_t>(std::min<uint64_t>(body_left_, loop_.scratch.size())));
    if (n == kWouldBlock) {
      co_await until_readable();
      if (broken()) co_return false;
      continue;
    }
    if (n <= 0) co_return false;
    body_left_ -= static_cast<uint64_t>(n);
  }
  co_return parsed.keep_alive;
}

// Closing with bytes unread makes the kernel send a reset, which may overtake the answer: read on for a
// moment.
Task<void> Connection::linger() {
  if (tls_) tls_->end();
  ::shutdown(fd_, SHUT_WR);
  expect_progress_within(kLingerTime);
  size_t thrown_away = 0;
  while (thrown_away < kLingerBytesMax) {
    ssize_t n = receive(loop_.scratch.size());
    if (n == kWouldBlock) {
      co_await until_readable();
      if (broken()) co_return;
      continue;
    }
    if (n <= 0) co_return;
    thrown_away += static_cast<size_t>(n);
    if (++turns_ >= kTurnsMax) co_await yield();
    if (killed_ || timed_out_) co_return;
  }
}

}  // namespace millrace::http
