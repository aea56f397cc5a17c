#include "secrets/vault.h"

#include <sodium.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"

namespace millrace::secrets {
namespace {

constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr size_t kFileBytesMax = 256;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void start_sodium() {
  static const int started = sodium_init();
  if (started < 0) throw base::InternalError("libsodium cannot be initialised");
}

// The 32 bytes that `text` writes, else empty.
Plaintext decode_key(std::string_view text) {
  text = base::trim(text);
  std::optional<std::string> key;
  if (text.size() == 2 * kKeyBytes) {
    key = base::unhex(text);
  } else {
    key = base::unbase64(text);
  }
  if (!key) return {};
  Plaintext wiped(std::move(*key));
  return wiped.view().size() == kKeyBytes ? std::move(wiped) : Plaintext();
}

}  // namespace

void wipe(std::string& text) {
  text.resize(text.capacity());
  sodium_memzero(text.data(), text.size());
  text.clear();
}

void Vault::Free::operator()(unsigned char* key) const { sodium_free(key); }

Vault::Vault(std::unique_ptr<unsigned char[], Free> key) : key_(std::move(key)) {}
Vault::~Vault() = default;
Vault::Vault(Vault&&) noexcept = default;

Vault Vault::open(const std::string& path, std::string_view given, bool may_make) {
  start_sodium();
  // Also madvise(MADV_DONTDUMP). Where memory cannot be locked (RLIMIT_MEMLOCK), it may be swapped out.
  auto* memory = static_cast<unsigned char*>(sodium_malloc(kKeyBytes));
  if (!memory) throw base::TransientError(base::system_message("cannot take memory for the key", errno));
  std::unique_ptr<unsigned char[], Free> key(memory);
  Plaintext found;
  struct stat file{};
  if (!given.empty()) {
    found = decode_key(given);
    if (found.view().empty())
      throw base::UsageError(
          "MILLRACE_KEY is not a key: it is 32 random bytes in base64 or hexadecimal, such as "
          "`openssl rand -base64 32` gives");
  } else if (stat(path.c_str(), &file) == 0) {
    if ((file.st_mode & 077) != 0)
      throw base::CorruptError("others may read the key of the secrets, " + path +
                               "; chmod 600 it, and change what was secret if somebody may have read it");
    const Plaintext text(base::read_small_file(path, kFileBytesMax));
    found = decode_key(text.view());
    if (found.view().empty())
      throw base::CorruptError(path +
                               " does not hold the key of the secrets (32 bytes in base64); restore it "
                               "from a backup, or give the key as MILLRACE_KEY");
  } else if (may_make && errno == ENOENT) {
    std::string fresh(kKeyBytes, '\0');
    randombytes_buf(fresh.data(), fresh.size());
    found = Plaintext(std::move(fresh));
    const Plaintext text(base::base64(found.view()) + "\n");
    base::write_durably(path, text.view());
  } else {
    throw base::NotFoundError("the key of the secrets, " + path +
                              ", is gone; restore it from a backup, or give the key as MILLRACE_KEY");
  }
  std::memcpy(key.get(), found.view().data(), kKeyBytes);
  sodium_mprotect_readonly(key.get());
  return Vault(std::move(key));
}

std::string Vault::seal(std::string_view plaintext, std::string_view place) const {
  std::string sealed(kNonceBytes + plaintext.size() + kTagBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(sealed.data());
  randombytes_buf(out, kNonceBytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out + kNonceBytes, nullptr, bytes(plaintext), plaintext.size(),
                                             bytes(place), place.size(), nullptr, out, key_.get());
  return sealed;
}

Plaintext Vault::open(std::string_view sealed, std::string_view place) const {
  if (sealed.size() < kNonceBytes + kTagBytes)
    throw base::CorruptError("an encrypted value is too short", "CannotDecrypt");
  std::string plaintext(sealed.size() - kNonceBytes - kTagBytes, '\0');
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          reinterpret_cast<unsigned char*>(plaintext.data()), nullptr, nullptr, bytes(sealed) + kNonceBytes,
          sealed.size() - kNonceBytes, bytes(place), place.size(), bytes(sealed), key_.get()) != 0)
    throw base::CorruptError("an encrypted value was not made with this key, or was changed",
                             "CannotDecrypt");
  return Plaintext(std::move(plaintext));
}

}  // namespace millrace::secrets
