// Without this an upload could be stored with its framing, with a forged piece, or differently depending on
// how TCP cut it.
#include "aws/chunked.h"

#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"

namespace millrace::aws {
namespace {

// The worked example of the S3 API reference: 65 KiB of 'a' in chunks of 64 KiB, 1 KiB and 0.
struct Example {
  ChunkedOptions options;
  std::string body;
};

Example published(bool trailer) {
  Example example;
  example.options.signed_chunks = true;
  example.options.has_trailer = trailer;
  example.options.decoded_length = 66560;
  example.options.signing = ChunkSigning{
      derive_signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3"),
      "20130524T000000Z", "20130524/us-east-1/s3/aws4_request",
      trailer ? "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
              : "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"};
  const char* signatures[2][3] = {{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                                   "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                                   "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
                                  {"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                                   "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                                   "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"}};
  size_t sizes[] = {65536, 1024, 0};
  const char* hex[] = {"10000", "400", "0"};
  for (int i = 0; i < 3; ++i) {
    example.body += std::string(hex[i]) + ";chunk-signature=" + signatures[trailer][i] + "\r\n";
    if (sizes[i]) example.body += std::string(sizes[i], 'a') + "\r\n";
  }
  if (trailer) {
    example.options.trailer_names = {"x-amz-checksum-crc32c"};
    example.body +=
        "x-amz-checksum-crc32c:sOO8/Q==\r\n"
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";
  }
  example.body += "\r\n";
  return example;
}

std::string decode(const ChunkedOptions& options, const std::vector<std::string_view>& pieces) {
  std::string out;
  ChunkedDecoder decoder(options, [&](std::string_view bytes) { out += bytes; });
  for (std::string_view piece : pieces) decoder.feed(piece);
  decoder.finish();
  return out;
}

std::string code_of(const ChunkedOptions& options, const std::string& body) {
  try {
    decode(options, {body});
  } catch (const ApiError& error) {
    return error.code();
  }
  return "accepted";
}

TEST(Chunked, ThePublishedExamples) {
  for (bool trailer : {false, true}) {
    Example example = published(trailer);
    EXPECT_EQ(decode(example.options, {example.body}), std::string(66560, 'a')) << trailer;
  }
}

TEST(Chunked, AFlippedByteIsRefusedWhereverItIs) {
  for (bool trailer : {false, true}) {
    Example example = published(trailer);
    std::mt19937 random(20130524);
    for (int i = 0; i < 300; ++i) {
      std::string body = example.body;
      // Half of them in the framing at the end, which is short.
      size_t at =
          i % 2 ? random() % body.size() : body.size() - 1 - random() % std::min<size_t>(1400, body.size());
      body[at] = static_cast<char>(body[at] ^ 1);
      EXPECT_NE(code_of(example.options, body), "accepted") << "byte " << at << " trailer " << trailer;
    }
  }
}

TEST(Chunked, UnsignedTrailerAtEverySplit) {
  ChunkedOptions options;
  options.has_trailer = true;
  options.decoded_length = 11;
  options.trailer_names = {"x-amz-checksum-crc32"};
  std::string body = "6\r\nhello\n\r\n5;x=y\r\nworld\r\n0\r\nx-amz-checksum-crc32:NjowIA==\r\n\r\n";
  for (size_t a = 0; a <= body.size(); ++a) {
    for (size_t b = a; b <= body.size(); ++b) {
      std::string_view all = body;
      ASSERT_EQ(decode(options, {all.substr(0, a), all.substr(a, b - a), all.substr(b)}), "hello\nworld")
          << a << " " << b;
    }
    if (a == body.size()) continue;
    EXPECT_EQ(code_of(options, body.substr(0, a)), "IncompleteBody") << a;
  }
}

TEST(Chunked, EveryDefectHasItsError) {
  ChunkedOptions options;
  options.has_trailer = true;
  options.decoded_length = 3;
  options.trailer_names = {"x-amz-checksum-crc32"};
  const std::string end = "x-amz-checksum-crc32:AA==\r\n\r\n";
  EXPECT_EQ(code_of(options, "3\r\nabc\r\n0\r\n" + end), "accepted");
  EXPECT_EQ(code_of(options, "2\r\nab\r\n0\r\n" + end), "IncompleteBody");
  EXPECT_EQ(code_of(options, "4\r\nabcd\r\n0\r\n" + end), "IncompleteBody");
  EXPECT_EQ(code_of(options, "ffffffffffffffff\r\n"), "InvalidRequest");
  EXPECT_EQ(code_of(options, "3\nabc\n"), "InvalidRequest");
  EXPECT_EQ(code_of(options, "3\r\nabcd\r\n"), "InvalidRequest");
  EXPECT_EQ(code_of(options, "g\r\n"), "InvalidRequest");
  EXPECT_EQ(code_of(options, "-1\r\n"), "InvalidRequest");
  EXPECT_EQ(code_of(options, std::string(5000, '0')), "InvalidRequest");
  EXPECT_EQ(code_of(options, "3\r\nabc\r\n0\r\n\r\n"), "MalformedTrailerError");
  EXPECT_EQ(code_of(options, "3\r\nabc\r\n0\r\nx-amz-other:1\r\n" + end), "MalformedTrailerError");
  EXPECT_EQ(code_of(options, "3\r\nabc\r\n0\r\n" + end + "x"), "InvalidRequest");
}

}  // namespace
}  // namespace millrace::aws
