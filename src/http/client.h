// The HTTP client: libcurl multi in one thread, keep-alive, TLS verified, proxies from the environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "http/message.h"

namespace millrace::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // sent exactly as written: no normalisation of dots or slashes
  Headers headers;
  std::string body;
  // Instead of `body`: called for up to `size` bytes, 0 ends; `upload_size` bytes in all. `rewind` restarts
  // it.
  std::function<size_t(char* out, size_t size)> upload;
  uint64_t upload_size = 0;
  std::function<void()> rewind;  // without it an upload is not repeated on a fresh connection
  // Told the head of a 2xx answer before its body; may throw to break the transfer off.
  std::function<void(int status, const Headers& headers)> on_head;
  // When set, a body of a 2xx answer goes here piece by piece instead of into ClientResponse::body; return
  // false to break the transfer off.
  std::function<bool(std::string_view bytes)> on_body;
  // What ClientResponse::body may hold, of any answer: beyond it the transfer is broken off with a
  // CorruptError (TooLarge).
  uint64_t body_max = std::numeric_limits<uint64_t>::max();
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds stall_timeout{60'000};  // no byte in either direction for that long
  std::string ca_file;                              // instead of AWS_CA_BUNDLE, or the system's CAs
  std::string unix_socket;                          // connect here instead
  bool direct = false;                              // no proxy, whatever the environment says
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

// Thread-safe. Requests from several threads share one pool of connections.
class Client {
 public:
  explicit Client(size_t connections_max = 64);
  ~Client();
  // Blocks until the answer is there. Throws TransientError when there was none (refused, reset, timed out,
  // DNS, TLS); the message names the URL without its query. A status of 400 or 500 is an answer, not an
  // error.
  ClientResponse send(ClientRequest request);
  // The same without blocking: `done` is called in the client's thread, with an exception when there was no
  // answer.
  void send(ClientRequest request, std::function<void(ClientResponse, std::exception_ptr)> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::http
