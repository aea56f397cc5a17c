// How a connection sends its answers: from memory, from files, from what makes them piece by piece.
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <optional>

#include "http/connection.h"
#include "http/live_body.h"
#include "http/response_head.h"

// Only named locals are passed to coroutines: see connection.cc.

namespace millrace::http {
namespace {

constexpr size_t kSourceBytes = 64 * 1024;
constexpr size_t kEncryptedPieceBytes = 64 * 1024;

}  // namespace

Task<bool> Connection::send_interim_continue() {
  std::string_view line = "HTTP/1.1 100 Continue\r\n\r\n";
  std::string_view nothing;
  co_return co_await send_all(line, nothing, false);
}

Task<bool> Connection::send_response(Response response, bool is_head, bool http_1_0, bool keep_alive) {
  bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  Framing framing;
  framing.http_1_0 = http_1_0;
  if (is_head && response.content_length_of_head >= 0) {
    framing.content_length = static_cast<uint64_t>(response.content_length_of_head);
  } else if (response.source || response.live) {
    framing.chunked = !http_1_0;
  } else if (!bodiless) {
    framing.content_length = response.file ? response.file->length : response.body.size();
  }
  if (bodiless) framing.chunked = false;
  framing.keep_alive = keep_alive;
  head_out_.clear();
  std::string_view date = loop_.http_date();
  append_response_head(head_out_, response, framing, date);
  bool has_body = !is_head && !bodiless;
  std::string_view body;
  const bool follows = response.file || response.source || response.live;
  if (has_body && !follows) body = response.body;
  bool more = has_body && follows && !response.live;  // what lives may be long in coming
  std::string_view head = head_out_;
  if (!co_await send_all(head, body, more)) co_return false;
  if (has_body && response.live) {
    bool chunked = framing.chunked;
    if (!co_await send_live(*response.live, chunked)) co_return false;
  } else if (more && response.file) {
    if (!co_await send_file(*response.file)) co_return false;
  } else if (more) {
    bool chunked = framing.chunked;
    if (!co_await send_source(*response.source, chunked)) co_return false;
  }
  deadline_ms_ = kForever;
  co_return true;
}

// Head and body leave in one packet where they fit. `more`: another piece follows at once.
// Head and body in one record where they fit: one packet instead of two.
Task<bool> Connection::send_encrypted(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = tls_->write(bytes);
    if (n == TlsSession::kWouldBlock) {
      expect_progress_within(loop_.options.request_timeout);
      if (tls_->wants_write())
        co_await until_writable();
      else
        co_await until_readable();
      deadline_ms_ = kForever;
      if (broken()) co_return false;
      continue;
    }
    if (n <= 0) co_return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    if (!bytes.empty() && ++turns_ >= kTurnsMax) co_await yield();
    if (killed_ || timed_out_) co_return false;
  }
  co_return true;
}

Task<bool> Connection::send_file_encrypted(const FileRegion& file) {
  std::string piece;
  auto offset = static_cast<off_t>(file.offset);
  for (uint64_t left = file.length; left > 0;) {
    piece.resize(static_cast<size_t>(std::min<uint64_t>(left, kEncryptedPieceBytes)));
    const ssize_t n = ::pread(file.fd.get(), piece.data(), piece.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) co_return false;  // the file became shorter: the client must see a broken transfer
    const std::string_view bytes(piece.data(), static_cast<size_t>(n));
    const bool sent = co_await send_encrypted(bytes);
    if (!sent) co_return false;
    offset += n;
    left -= static_cast<uint64_t>(n);
  }
  co_return true;
}

Task<bool> Connection::send_all(std::string_view head, std::string_view body, bool more) {
  if (tls_) {
    if (head.empty() || body.size() > kEncryptedPieceBytes) {
      const bool sent = co_await send_encrypted(head);
      if (!sent) co_return false;
      co_return co_await send_encrypted(body);
    }
    std::string both;
    both.reserve(head.size() + body.size());
    both.append(head).append(body);
    const std::string_view bytes(both);
    co_return co_await send_encrypted(bytes);
  }
  while (!head.empty() || !body.empty()) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                      {const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return false;
      expect_progress_within(loop_.options.request_timeout);
      co_await until_writable();
      deadline_ms_ = kForever;
      if (broken()) co_return false;
      continue;
    }
    auto sent = static_cast<size_t>(n);
    size_t of_head = std::min(sent, head.size());
    head.remove_prefix(of_head);
    body.remove_prefix(sent - of_head);
  }
  co_return true;
}

Task<bool> Connection::send_file(const FileRegion& file) {
  if (tls_) co_return co_await send_file_encrypted(file);
  auto offset = static_cast<off_t>(file.offset);
  uint64_t left = file.length;
  while (left > 0) {
    if (++turns_ >= kTurnsMax) co_await yield();
    if (broken()) co_return false;
    ssize_t n =
        ::sendfile(fd_, file.fd.get(), &offset, static_cast<size_t>(std::min<uint64_t>(left, 1 << 20)));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return false;
      expect_progress_within(loop_.options.request_timeout);
      co_await until_writable();
      deadline_ms_ = kForever;
      if (broken()) co_return false;
      continue;
    }
    if (n == 0) co_return false;  // the file became shorter: the client must see a broken transfer
    left -= static_cast<uint64_t>(n);
  }
  co_return true;
}

Task<bool> Connection::send_source(BodySource& source, bool chunked) {
  std::string piece(kSourceBytes, '\0');
  for (;;) {
    size_t size = source.read(piece.data(), piece.size());  // a throw ends the connection: the client sees it
    if (size > piece.size()) co_return false;
    std::string_view bytes(piece.data(), size);
    if (!co_await send_piece(bytes, chunked)) co_return false;
    if (size == 0) co_return true;
    if (++turns_ >= kTurnsMax) co_await yield();
    if (broken()) co_return false;
  }
}

// An empty piece is the end.
Task<bool> Connection::send_piece(std::string_view piece, bool chunked) {
  std::string framed;
  if (chunked) {
    char digits[16];
    auto end = std::to_chars(digits, digits + sizeof digits, piece.size(), 16).ptr;
    framed.assign(digits, end);
    framed += "\r\n";
  }
  framed.append(piece);
  if (chunked) framed += "\r\n";
  std::string_view bytes = framed;
  std::string_view nothing;
  co_return co_await send_all(bytes, nothing, false);
}

Task<bool> Connection::send_live(LiveBody& live, bool chunked) {
  struct Guard {
    Connection& connection;
    LiveBody& live;
    ~Guard() {
      live.abandon();
      connection.live_ = false;
      connection.slot_.reset();
    }
  };
  // Each piece announces itself as an answer does: the slot holds nothing, but wakes.
  auto slot = std::make_shared<Slot>();
  Guard guard{*this, live};
  slot_ = slot;
  live_ = true;
  live.attach([mailbox = loop_.mailbox, slot] { mailbox->deliver(slot, {}); });
  if (loop_.stopping) co_return false;
  for (;;) {
    slot->answered = false;
    const bool ended = live.ended();
    std::optional<std::string> piece;
    if (!ended) piece = live.take();
    if (ended || piece) {
      std::string_view bytes;
      if (piece) bytes = *piece;
      if (piece && bytes.empty()) continue;
      if (!co_await send_piece(bytes, chunked)) co_return false;
      if (ended) co_return true;
      if (++turns_ >= kTurnsMax) co_await yield();
    } else {
      if (!slot->answered) co_await until_answered(*slot);
      if (slot->abandoned) co_return false;
    }
    if (broken()) co_return false;
  }
}

}  // namespace millrace::http
