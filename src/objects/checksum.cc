#include "objects/checksum.h"

#include "base/error.h"
#include "base/strings.h"
#include "objects/crc.h"

namespace millrace::objects {
namespace {

// Reflected polynomials: Castagnoli (RFC 3720), and the NVMe specification's 64-bit one.
constexpr uint64_t kPolyCrc32 = 0xEDB88320;
constexpr uint64_t kPolyCrc32c = 0x82F63B78;
constexpr uint64_t kPolyCrc64nvme = 0x9A6C9329AC4BC9B5;

const Crc& crc_of(ChecksumAlgorithm algorithm) {
  static const Crc crc32(kPolyCrc32, 32), crc32c(kPolyCrc32c, 32), crc64(kPolyCrc64nvme, 64);
  if (algorithm == ChecksumAlgorithm::kCrc32) return crc32;
  return algorithm == ChecksumAlgorithm::kCrc32c ? crc32c : crc64;
}

uint64_t all_ones(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::kCrc64nvme ? ~uint64_t{0} : 0xFFFFFFFF;
}

std::string big_endian(uint64_t value, size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[size - 1 - i] = static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

uint64_t from_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

bool is_crc(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::kCrc32 || algorithm == ChecksumAlgorithm::kCrc32c ||
         algorithm == ChecksumAlgorithm::kCrc64nvme;
}

// A linear map on 64 bits: column i is the image of bit i.
using Matrix = std::array<uint64_t, 64>;

uint64_t times(const Matrix& m, uint64_t v) {
  uint64_t sum = 0;
  for (size_t i = 0; v != 0; ++i, v >>= 1)
    if (v & 1) sum ^= m[i];
  return sum;
}

Matrix squared(const Matrix& m) {
  Matrix out;
  for (size_t i = 0; i < 64; ++i) out[i] = times(m, m[i]);
  return out;
}

}  // namespace

std::string_view checksum_name(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return "CRC32";
    case ChecksumAlgorithm::kCrc32c:
      return "CRC32C";
    case ChecksumAlgorithm::kSha1:
      return "SHA1";
    case ChecksumAlgorithm::kSha256:
      return "SHA256";
    case ChecksumAlgorithm::kCrc64nvme:
      return "CRC64NVME";
  }
  return "";
}

std::optional<ChecksumAlgorithm> parse_checksum_name(std::string_view name) {
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms)
    if (base::equals_ignore_case(name, checksum_name(algorithm))) return algorithm;
  return std::nullopt;
}

std::string checksum_header(ChecksumAlgorithm algorithm) {
  return "x-amz-checksum-" + base::to_lower(checksum_name(algorithm));
}

size_t checksum_size(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
    case ChecksumAlgorithm::kCrc32c:
      return 4;
    case ChecksumAlgorithm::kCrc64nvme:
      return 8;
    case ChecksumAlgorithm::kSha1:
      return 20;
    case ChecksumAlgorithm::kSha256:
      return 32;
  }
  return 0;
}

ChecksumDigest::ChecksumDigest(ChecksumAlgorithm algorithm) : algorithm_(algorithm) {
  if (algorithm == ChecksumAlgorithm::kSha1) digest_.emplace(base::Digest::Algorithm::kSha1);
  if (algorithm == ChecksumAlgorithm::kSha256) digest_.emplace(base::Digest::Algorithm::kSha256);
  if (is_crc(algorithm)) crc_ = all_ones(algorithm);
}

void ChecksumDigest::update(std::string_view data) {
  if (digest_) return digest_->update(data);
  crc_ = crc_of(algorithm_).advance(crc_, data);
}

std::string ChecksumDigest::finish() {
  if (digest_) return digest_->finish();
  crc_ ^= all_ones(algorithm_);
  return big_endian(crc_, checksum_size(algorithm_));
}

std::string checksum_of(ChecksumAlgorithm algorithm, std::string_view data) {
  ChecksumDigest digest(algorithm);
  digest.update(data);
  return digest.finish();
}

std::string combine_crc(ChecksumAlgorithm algorithm, std::string_view a, std::string_view b,
                        uint64_t b_size) {
  if (!is_crc(algorithm)) throw base::InternalError("only CRCs can be combined");
  uint64_t poly = algorithm == ChecksumAlgorithm::kCrc32    ? kPolyCrc32
                  : algorithm == ChecksumAlgorithm::kCrc32c ? kPolyCrc32c
                                                            : kPolyCrc64nvme;
  // Appending b_size zero bytes to A is a linear map on its CRC: one zero bit, squared three times, is one
  // zero byte.
  Matrix zeros{};
  zeros[0] = poly;
  for (size_t i = 1; i < 64; ++i) zeros[i] = uint64_t{1} << (i - 1);
  for (int i = 0; i < 3; ++i) zeros = squared(zeros);
  uint64_t crc = from_big_endian(a);
  for (uint64_t n = b_size; n != 0; n >>= 1) {
    if (n & 1) crc = times(zeros, crc);
    if (n > 1) zeros = squared(zeros);
  }
  return big_endian(crc ^ from_big_endian(b), checksum_size(algorithm));
}

}  // namespace millrace::objects
