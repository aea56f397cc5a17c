// Digests and their text forms. One implementation each: OpenSSL, zlib, xxHash.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {

// Raw digest bytes, as a string of 32 (SHA-256), 16 (MD5) or 20 (SHA-1) bytes.
std::string sha256(std::string_view data);
std::string md5(std::string_view data);
std::string sha1(std::string_view data);
std::string hmac_sha256(std::string_view key, std::string_view data);

std::string sha256_hex(std::string_view data);
std::string md5_hex(std::string_view data);

// CRC-32 (IEEE, as zlib): crc32("123456789") == 0xcbf43926. Continue by passing the last value as `crc`.
uint32_t crc32(std::string_view data, uint32_t crc = 0);

// XXH3, 64 bits.
uint64_t xxh3(std::string_view data);

// A digest fed piece by piece. Not thread-safe.
class Digest {
 public:
  enum class Algorithm { kSha256, kMd5, kSha1 };
  explicit Digest(Algorithm algorithm);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  void update(std::string_view data);
  // The raw digest; the object may not be used afterwards.
  std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

std::string hex(std::string_view bytes);                     // lower case
std::optional<std::string> unhex(std::string_view text);     // nothing when not hexadecimal
std::string base64(std::string_view bytes);                  // RFC 4648 section 4, padded
std::optional<std::string> unbase64(std::string_view text);  // nothing when not base64

// Compares without telling by its time where the first difference is.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace millrace::base
