// A socket that says exactly what it is told to: for requests no library would send.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace millrace::http {

class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval limit{20, 0};  // a test that waits longer has failed
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // False when the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  // Reads until the text occurs, or the end; what was read up to and with it.
  std::string until(std::string_view text) {
    for (;;) {
      size_t at = input_.find(text);
      if (at != std::string::npos) return take(at + text.size());
      if (!fill()) return take(input_.size());
    }
  }
  std::string bytes(size_t count) {
    while (input_.size() < count && fill()) {
    }
    return take(std::min(count, input_.size()));
  }
  std::string rest() {
    while (fill()) {
    }
    return take(input_.size());
  }
  // Head and Content-Length body of one response.
  struct Answer {
    std::string head, body;
    int status() const { return head.size() > 12 ? std::atoi(head.c_str() + 9) : 0; }
  };
  Answer answer() {
    Answer result;
    result.head = until("\r\n\r\n");
    size_t at = result.head.find("Content-Length: ");
    if (at != std::string::npos)
      result.body = bytes(std::strtoull(result.head.c_str() + at + 16, nullptr, 10));
    return result;
  }
  bool timed_out() const { return timed_out_; }

 private:
  bool fill() {
    char piece[65536];
    ssize_t n = ::recv(fd_.get(), piece, sizeof piece, 0);
    if (n < 0 && errno == EAGAIN) timed_out_ = true;
    if (n <= 0) return false;
    input_.append(piece, static_cast<size_t>(n));
    return true;
  }
  std::string take(size_t count) {
    std::string out = input_.substr(0, count);
    input_.erase(0, count);
    return out;
  }
  base::UniqueFd fd_;
  std::string input_;
  bool timed_out_ = false;
};

}  // namespace millrace::http
