// The additional checksums of S3 (x-amz-checksum-*): five algorithms, fed piece by piece, and combined from
// parts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace millrace::objects {

enum class ChecksumAlgorithm { kCrc32, kCrc32c, kSha1, kSha256, kCrc64nvme };
inline constexpr std::array<ChecksumAlgorithm, 5> kChecksumAlgorithms = {
    ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kSha1,
    ChecksumAlgorithm::kSha256, ChecksumAlgorithm::kCrc64nvme};

// "CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME": as in x-amz-checksum-algorithm.
std::string_view checksum_name(ChecksumAlgorithm algorithm);
// Reads such a name in any case; nothing when there is no such algorithm.
std::optional<ChecksumAlgorithm> parse_checksum_name(std::string_view name);
// "x-amz-checksum-crc32".
std::string checksum_header(ChecksumAlgorithm algorithm);
// Bytes of the raw checksum.
size_t checksum_size(ChecksumAlgorithm algorithm);

// A checksum of a stored object as S3 shows it.
struct Checksum {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc32;
  bool composite = false;  // of the checksums of the parts; `value` then ends in "-N"
  std::string value;       // base64 of the big-endian bytes
  bool operator==(const Checksum&) const = default;
};

// One checksum fed piece by piece. Not thread-safe.
class ChecksumDigest {
 public:
  explicit ChecksumDigest(ChecksumAlgorithm algorithm);
  ChecksumAlgorithm algorithm() const { return algorithm_; }
  void update(std::string_view data);
  // The raw bytes, big-endian; the object may not be used afterwards.
  std::string finish();

 private:
  ChecksumAlgorithm algorithm_;
  uint64_t crc_ = 0;
  std::optional<base::Digest> digest_;
};

std::string checksum_of(ChecksumAlgorithm algorithm, std::string_view data);

// The checksum of A followed by B from theirs (raw bytes) and B's length in bytes. CRCs only.
std::string combine_crc(ChecksumAlgorithm algorithm, std::string_view a, std::string_view b, uint64_t b_size);

}  // namespace millrace::objects
