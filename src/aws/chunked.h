// Decodes the `aws-chunked` content encoding: uploads whose pieces carry signatures, whose end carries a
// checksum, or both ("Signature Calculations for the Authorization Header: Transferring Payload in Multiple
// Chunks", S3 API reference).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/sigv4.h"
#include "base/hash.h"

namespace millrace::aws {

// What chunk signatures continue from.
struct ChunkSigning {
  SigningKey key{};
  std::string time;            // of the request
  std::string scope;           // "day/region/service/aws4_request"
  std::string seed_signature;  // of the request's head
};

struct ChunkedOptions {
  bool signed_chunks = false;              // every chunk states a chunk-signature
  bool has_trailer = false;                // trailers are allowed after the last chunk
  std::optional<ChunkSigning> signing;     // nothing: signatures are read over, not checked
  uint64_t decoded_length = 0;             // X-Amz-Decoded-Content-Length
  std::vector<std::string> trailer_names;  // X-Amz-Trailer, lower case; no other trailer is taken
};

// The options of a request whose body is framed so, nothing when its x-amz-content-sha256 is no STREAMING-…
// value. `signing_key`: null when signatures are not to be checked. Throws ApiError MissingContentLength
// without a usable X-Amz-Decoded-Content-Length.
std::optional<ChunkedOptions> chunked_options(const Claim& claim, const http::RequestHead& head,
                                              const SigningKey* signing_key);

// Fed piece by piece, cut anywhere; holds at most one line or the trailers (16 KiB). Bytes reach `out` before
// the signature of their chunk is known: keep what was stored only when finish() returned. Throws ApiError:
// SignatureDoesNotMatch, IncompleteBody, InvalidRequest (framing), MalformedTrailerError; and whatever `out`
// throws.
class ChunkedDecoder {
 public:
  static constexpr size_t kLineBytesMax = 4096;
  static constexpr size_t kTrailerBytesMax = 16 * 1024;

  ChunkedDecoder(ChunkedOptions options, std::function<void(std::string_view)> out);
  void feed(std::string_view bytes);
  void finish();
  // Lower-case names, in their order; complete after finish(). Without x-amz-trailer-signature.
  const std::vector<std::pair<std::string, std::string>>& trailers() const { return trailers_; }

 private:
  enum class At { kSizeLine, kData, kDataEnd, kTrailers, kEnd };
  std::optional<std::string_view> take_line(std::string_view& bytes);
  void begin_chunk(std::string_view line);
  void end_chunk();
  void take_trailer(std::string_view line);
  void end_trailers();

  ChunkedOptions options_;
  std::function<void(std::string_view)> out_;
  At at_ = At::kSizeLine;
  std::string line_;  // unfinished
  bool line_given_ = false;
  uint64_t chunk_left_ = 0;
  bool last_chunk_ = false;
  uint64_t decoded_ = 0;
  std::string chunk_signature_;
  std::string previous_signature_;
  std::string trailer_signature_;
  size_t trailer_bytes_ = 0;
  std::optional<base::Digest> digest_;
  std::vector<std::pair<std::string, std::string>> trailers_;
};

}  // namespace millrace::aws
