#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <xxhash.h>
#include <zlib.h>

#include "base/error.h"

namespace millrace::base {
namespace {

const EVP_MD* evp(Digest::Algorithm algorithm) {
  // Fetched once: EVP_sha256() makes OpenSSL 3 look the algorithm up again on every use.
  static const EVP_MD* const sha256_md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD* const md5_md = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static const EVP_MD* const sha1_md = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  switch (algorithm) {
    case Digest::Algorithm::kSha256:
      return sha256_md;
    case Digest::Algorithm::kMd5:
      return md5_md;
    case Digest::Algorithm::kSha1:
      return sha1_md;
  }
  return nullptr;
}

std::string digest(Digest::Algorithm algorithm, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), out, &size, evp(algorithm), nullptr) != 1)
    throw InternalError("OpenSSL could not compute a digest");
  return {reinterpret_cast<char*>(out), size};
}

}  // namespace

std::string sha256(std::string_view data) { return digest(Digest::Algorithm::kSha256, data); }
std::string md5(std::string_view data) { return digest(Digest::Algorithm::kMd5, data); }
std::string sha1(std::string_view data) { return digest(Digest::Algorithm::kSha1, data); }
std::string sha256_hex(std::string_view data) { return hex(sha256(data)); }
std::string md5_hex(std::string_view data) { return hex(md5(data)); }

std::string hmac_sha256(std::string_view key, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!HMAC(evp(Digest::Algorithm::kSha256), key.data(), static_cast<int>(key.size()),
            reinterpret_cast<const unsigned char*>(data.data()), data.size(), out, &size))
    throw InternalError("OpenSSL could not compute an HMAC");
  return {reinterpret_cast<char*>(out), size};
}

uint32_t crc32(std::string_view data, uint32_t crc) {
  return static_cast<uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const unsigned char*>(data.data()), data.size()));
}

uint64_t xxh3(std::string_view data) { return XXH3_64bits(data.data(), data.size()); }

Digest::Digest(Algorithm algorithm) : context_(EVP_MD_CTX_new()) {
  if (!context_ || EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), evp(algorithm), nullptr) != 1)
    throw InternalError("OpenSSL could not start a digest");
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
void Digest::Free::operator()(void* context) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }

void Digest::update(std::string_view data) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data.data(), data.size());
}

std::string Digest::finish() {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), out, &size);
  return {reinterpret_cast<char*>(out), size};
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::optional<std::string> unhex(std::string_view text) {
  auto value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = value(text[i]), low = value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return out;
}

std::optional<std::string> unbase64(std::string_view text) {
  if (text.size() % 4) return std::nullopt;
  if (text.empty()) return std::string();
  size_t padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  if (text.substr(0, text.size() - padding).find_first_of("= \t\r\n-") != std::string_view::npos)
    return std::nullopt;  // EVP_DecodeBlock is laxer than RFC 4648
  std::string out(text.size() / 4 * 3, '\0');
  int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                          reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (n < 0) return std::nullopt;
  out.resize(static_cast<size_t>(n) - padding);
  return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace millrace::base
