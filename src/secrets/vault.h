// The key that everything secret is encrypted with on disk.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "secrets/plaintext.h"

namespace millrace::secrets {

// XChaCha20-Poly1305 (libsodium, draft-irtf-cfrg-xchacha) with random nonces under one key of 32 bytes. The
// key lies in memory that is locked, fenced and left out of core dumps. Thread-safe.
class Vault {
 public:
  // `given`: 32 bytes in base64 or hexadecimal (MILLRACE_KEY), which the caller wipes. Empty: the key is in
  // the file `path`, base64, mode 0600, made when it is not there and `may_make`. Throws UsageError when
  // `given` is no such key, CorruptError when the file holds none or others may read it, NotFoundError when
  // it is not there and may not be made.
  static Vault open(const std::string& path, std::string_view given, bool may_make);

  ~Vault();
  Vault(Vault&&) noexcept;
  Vault& operator=(Vault&&) = delete;

  // `place` names where the value belongs ("secret\0name\0version"): elsewhere it cannot be opened.
  std::string seal(std::string_view plaintext, std::string_view place) const;
  // Throws CorruptError when `sealed` was not sealed with this key for this place.
  Plaintext open(std::string_view sealed, std::string_view place) const;

 private:
  struct Free {
    void operator()(unsigned char* key) const;
  };
  explicit Vault(std::unique_ptr<unsigned char[], Free> key);
  std::unique_ptr<unsigned char[], Free> key_;
};

}  // namespace millrace::secrets
