#include "objects/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"
#include "objects/crc.h"

namespace millrace::objects {
namespace {

TEST(Checksum, PublishedCheckValues) {
  // Without this every upload of a new SDK is refused, or a damaged one accepted.
  auto of = [](ChecksumAlgorithm a) { return base::hex(checksum_of(a, "123456789")); };
  EXPECT_EQ(of(ChecksumAlgorithm::kCrc32), "cbf43926");
  EXPECT_EQ(of(ChecksumAlgorithm::kCrc32c), "e3069283");
  EXPECT_EQ(of(ChecksumAlgorithm::kCrc64nvme), "ae8b14860a799888");
  EXPECT_EQ(of(ChecksumAlgorithm::kSha1), base::hex(base::sha1("123456789")));
  EXPECT_EQ(of(ChecksumAlgorithm::kSha256), base::sha256_hex("123456789"));
}

TEST(Checksum, AnySplitGivesTheSameAndPartsCombine) {
  // Without this a body that arrives in odd pieces, or a multipart object, gets a wrong checksum.
  const unsigned seed = 7;
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    std::string data(random() % 5000, '\0');
    for (char& c : data) c = static_cast<char>(random());
    size_t at = data.empty() ? 0 : random() % data.size();
    std::string a = data.substr(0, at), b = data.substr(at);
    for (ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
      ChecksumDigest digest(algorithm);
      digest.update(a);
      digest.update("");
      digest.update(b);
      std::string whole = checksum_of(algorithm, data);
      EXPECT_EQ(whole.size(), checksum_size(algorithm));
      EXPECT_EQ(digest.finish(), whole) << "seed " << seed << " round " << round;
      if (algorithm == ChecksumAlgorithm::kSha1 || algorithm == ChecksumAlgorithm::kSha256) continue;
      EXPECT_EQ(combine_crc(algorithm, checksum_of(algorithm, a), checksum_of(algorithm, b), b.size()), whole)
          << "seed " << seed << " round " << round << " " << checksum_name(algorithm);
    }
  }
}

TEST(Checksum, NamesReadBack) {
  // Without this x-amz-checksum-algorithm: crc32c would be taken for another algorithm.
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms)
    EXPECT_EQ(parse_checksum_name(checksum_name(algorithm)), algorithm);
  EXPECT_EQ(parse_checksum_name("crc32c"), ChecksumAlgorithm::kCrc32c);
  EXPECT_EQ(parse_checksum_name("MD5"), std::nullopt);
  EXPECT_EQ(checksum_header(ChecksumAlgorithm::kCrc64nvme), "x-amz-checksum-crc64nvme");
}

TEST(Crc, FoldingIsTheTable) {
  // Without this a processor with the instruction stores other checksums than one without.
  unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Crc crcs[] = {{0xEDB88320, 32}, {0x82F63B78, 32}, {0x9A6C9329AC4BC9B5, 64}};
  std::string data(2000, '\0');
  for (char& c : data) c = static_cast<char>(random());
  for (const Crc& crc : crcs) {
    for (size_t size = 0; size < 600; ++size) {
      uint64_t state = &crc == &crcs[2] ? random() : random() & 0xFFFFFFFF;
      std::string_view piece = std::string_view(data).substr(random() % 1000, size);
      EXPECT_EQ(crc.advance(state, piece), crc.advance_by_table(state, piece)) << size;
    }
  }
}

}  // namespace
}  // namespace millrace::objects
