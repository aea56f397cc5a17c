// TLS on the server's side (OpenSSL): one context for all connections, one session for each. Internal to the
// server, but for making certificates.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::http {

// TLS 1.2 and newer. Thread-safe.
class TlsContext {
 public:
  // PEM files: the certificate with its chain, and its key. Throws UsageError when they cannot be read or do
  // not fit each other.
  TlsContext(const std::string& certificate_file, const std::string& key_file);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsSession;
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

// On a socket that does not block. Belongs to one thread.
class TlsSession {
 public:
  static constexpr ssize_t kWouldBlock = -2;  // see wants_write() for what to wait for

  TlsSession(const TlsContext& context, int fd);
  // Says goodbye when that does not block. The socket is still open.
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // 1: done, kWouldBlock: call again, -1: refused.
  ssize_t handshake();
  // Bytes read or written; 0: the client is done (reading), -1: broken.
  ssize_t read(char* out, size_t size);
  ssize_t write(std::string_view bytes);
  // No more will be written.
  void end();
  // Whether the last call wants the socket writable (else readable) before it is called again.
  bool wants_write() const { return wants_write_; }
  // Whether read() has bytes without the socket.
  bool has_pending() const;

 private:
  ssize_t outcome(int result);
  struct Free {
    void operator()(void* session) const;
  };
  std::unique_ptr<void, Free> session_;
  bool wants_write_ = false;
  bool good_ = false;  // the handshake is done and nothing has failed
};

// Keeps a self-made certificate for `names` (host names and addresses) in two files, mode 0600: makes it (EC
// P-256, ten years) when there is none, when it ends within a month, or when it is not for all of `names`.
void keep_self_signed(const std::string& certificate_file, const std::string& key_file,
                      const std::vector<std::string>& names);

}  // namespace millrace::http
