// The HTTP/1.1 server: connections, framing and limits; what a request means is the handler's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "http/message.h"

namespace millrace::http {

// Receives one request body piece by piece (a PUT of any size in constant memory).
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Called in order, in an I/O thread; may block on the local disk but not on the network. Throws to refuse:
  // the exception reaches RequestHandler::failed().
  virtual void write(std::string_view bytes) = 0;
  // The body is complete (HTTP framing was right). The sink stays alive until `respond` was called.
  virtual void finish(Respond respond) = 0;
};

// What the server does with requests. Called from the server's I/O threads, several at once.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // Looks at a head before its body is read (and before "100 Continue" is sent). Returns a sink to take the
  // body as a stream, or null to have the body buffered (at most ServerOptions::body_bytes_max) and passed to
  // handle(). Throws to refuse the request before its body.
  virtual std::unique_ptr<BodySink> open(const RequestHead& head) = 0;
  // A request with its whole body. Must not block; may answer later.
  virtual void handle(Request request, Respond respond) = 0;
  // Turns whatever was thrown by open(), handle(), BodySink::write() or finish() into an answer.
  virtual Response failed(const RequestHead& head, std::exception_ptr error) = 0;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 4600;  // 0: any free one, see Server::port()
  unsigned threads = 1;
  size_t head_bytes_max = 64 * 1024;
  size_t body_bytes_max = 32 * 1024 * 1024;  // of buffered bodies: 413 above
  // Above it the connection that has waited longest for its next request is closed; 503 when all are at work.
  size_t connections_max = 10'000;
  std::string certificate_file, key_file;               // PEM; with them it speaks TLS, and nothing else
  std::chrono::milliseconds handshake_timeout{10'000};  // for the whole of it
  std::chrono::milliseconds idle_timeout{75'000};       // between requests
  std::chrono::milliseconds request_timeout{60'000};    // without a byte arriving inside a request
};

// Listens from construction until stop() or destruction. Thread-safe.
class Server {
 public:
  // Throws ConflictError when the port is in use (the message names it), UsageError for a host that is no
  // local address, or for a certificate that cannot be used. `handler` must outlive the server.
  Server(ServerOptions options, RequestHandler& handler);
  ~Server();
  uint16_t port() const;
  // Stops accepting, lets requests in flight finish for at most `grace`, then closes everything.
  void stop(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::http
