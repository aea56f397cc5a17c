#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <climits>

#include "base/error.h"

namespace millrace::http {
namespace {

SSL_CTX* of(void* context) { return static_cast<SSL_CTX*>(context); }

std::string openssl_error() {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

}  // namespace

void TlsContext::Free::operator()(void* context) const { SSL_CTX_free(of(context)); }
void TlsSession::Free::operator()(void* session) const { SSL_free(static_cast<SSL*>(session)); }

TlsContext::TlsContext(const std::string& certificate_file, const std::string& key_file)
    : context_(SSL_CTX_new(TLS_server_method())) {
  SSL_CTX* context = of(context_.get());
  if (!context) throw base::InternalError("cannot make a TLS context: " + openssl_error());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context,
                      SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1)
    throw base::UsageError("cannot use the certificate " + certificate_file + ": " + openssl_error() +
                           "; give a PEM file with the certificate and its chain");
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    throw base::UsageError("cannot use the key " + key_file + ": " + openssl_error() +
                           "; give the PEM file of the key of " + certificate_file);
}

TlsContext::~TlsContext() = default;

TlsSession::TlsSession(const TlsContext& context, int fd) : session_(SSL_new(of(context.context_.get()))) {
  auto* session = static_cast<SSL*>(session_.get());
  if (!session || SSL_set_fd(session, fd) != 1)
    throw base::TransientError("cannot make a TLS session: " + openssl_error());
  SSL_set_accept_state(session);
}

TlsSession::~TlsSession() { end(); }

void TlsSession::end() {
  if (!good_) return;
  good_ = false;
  ERR_clear_error();
  SSL_shutdown(static_cast<SSL*>(session_.get()));
}

ssize_t TlsSession::outcome(int result) {
  if (result > 0) return result;
  const int error = SSL_get_error(static_cast<SSL*>(session_.get()), result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (wants_write_ || error == SSL_ERROR_WANT_READ) return kWouldBlock;
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  good_ = false;  // after a failure nothing may be written, not even a goodbye
  ERR_clear_error();
  return -1;
}

ssize_t TlsSession::handshake() {
  ERR_clear_error();
  const ssize_t result = outcome(SSL_accept(static_cast<SSL*>(session_.get())));
  if (result == 1) good_ = true;
  return result == 0 ? -1 : result;
}

ssize_t TlsSession::read(char* out, size_t size) {
  ERR_clear_error();
  return outcome(
      SSL_read(static_cast<SSL*>(session_.get()), out, static_cast<int>(std::min<size_t>(size, INT_MAX))));
}

ssize_t TlsSession::write(std::string_view bytes) {
  if (bytes.empty()) return 0;
  ERR_clear_error();
  return outcome(SSL_write(static_cast<SSL*>(session_.get()), bytes.data(),
                           static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX))));
}

bool TlsSession::has_pending() const { return SSL_pending(static_cast<SSL*>(session_.get())) > 0; }

}  // namespace millrace::http
