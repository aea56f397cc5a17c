#include "aws/chunked.h"

#include <algorithm>

#include "base/strings.h"

namespace millrace::aws {
namespace {

constexpr std::string_view kSignaturePrefix = "chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";

ApiError incomplete() {
  return ApiError(400, "IncompleteBody",
                  "You did not provide the number of bytes specified by the Content-Length HTTP header");
}
ApiError bad_framing(const char* why) {
  return ApiError(400, "InvalidRequest",
                  std::string("The aws-chunked request body is malformed: ") + why + ".");
}
ApiError bad_trailer() {
  return ApiError(
      400, "MalformedTrailerError",
      "The request contained trailing data that was not well-formed or did not conform to our published "
      "schema.");
}

// Up to 15 hexadecimal digits.
std::optional<uint64_t> parse_size(std::string_view text) {
  if (text.empty() || text.size() > 15) return std::nullopt;
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
  return value;
}

std::string signed_text(std::string_view kind, const ChunkSigning& signing, std::string_view previous) {
  std::string text(kind);
  text += '\n';
  text += signing.time;
  text += '\n';
  text += signing.scope;
  text += '\n';
  text += previous;
  text += '\n';
  return text;
}

}  // namespace

std::optional<ChunkedOptions> chunked_options(const Claim& claim, const http::RequestHead& head,
                                              const SigningKey* signing_key) {
  ChunkedOptions options;
  if (claim.payload_hash == kStreamingSigned || claim.payload_hash == kStreamingSignedTrailer)
    options.signed_chunks = true;
  else if (claim.payload_hash != kStreamingUnsignedTrailer)
    return std::nullopt;
  options.has_trailer = claim.payload_hash != kStreamingSigned;
  auto length = base::parse_number<uint64_t>(head.headers.get("x-amz-decoded-content-length"));
  if (!length)
    throw ApiError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
  options.decoded_length = *length;
  for (const auto& [name, value] : head.headers) {
    if (!base::equals_ignore_case(name, "x-amz-trailer")) continue;
    for (std::string_view each : base::split(value, ','))
      if (!base::trim(each).empty()) options.trailer_names.push_back(base::to_lower(base::trim(each)));
  }
  if (signing_key) options.signing = ChunkSigning{*signing_key, claim.time, claim.scope(), claim.signature};
  return options;
}

ChunkedDecoder::ChunkedDecoder(ChunkedOptions options, std::function<void(std::string_view)> out)
    : options_(std::move(options)), out_(std::move(out)) {
  if (options_.signing) previous_signature_ = options_.signing->seed_signature;
}

// The next line without CRLF, or nothing when it is not complete yet (then all of `bytes` was kept).
std::optional<std::string_view> ChunkedDecoder::take_line(std::string_view& bytes) {
  if (line_given_) {
    line_.clear();
    line_given_ = false;
  }
  size_t end = bytes.find('\n');
  size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
  if (line_.size() + size > kLineBytesMax) throw bad_framing("a line is too long");
  line_.append(bytes.substr(0, size));
  bytes.remove_prefix(size);
  if (end == std::string_view::npos) return std::nullopt;
  if (line_.size() < 2 || line_[line_.size() - 2] != '\r') throw bad_framing("a line does not end in CR LF");
  line_given_ = true;
  return std::string_view(line_).substr(0, line_.size() - 2);
}

void ChunkedDecoder::begin_chunk(std::string_view line) {
  size_t semicolon = line.find(';');
  auto size = parse_size(line.substr(0, semicolon));
  if (!size) throw bad_framing("a chunk size is not a hexadecimal number");
  if (options_.signed_chunks) {
    std::string_view extension =
        semicolon == std::string_view::npos ? std::string_view() : line.substr(semicolon + 1);
    if (!extension.starts_with(kSignaturePrefix)) throw bad_framing("a chunk has no chunk-signature");
    chunk_signature_ = extension.substr(kSignaturePrefix.size());
    if (options_.signing) digest_.emplace(base::Digest::Algorithm::kSha256);
  }
  if (*size > options_.decoded_length - decoded_) throw incomplete();
  chunk_left_ = *size;
  last_chunk_ = *size == 0;
  if (!last_chunk_) {
    at_ = At::kData;
    return;
  }
  end_chunk();
  at_ = At::kTrailers;
}

void ChunkedDecoder::end_chunk() {
  if (!options_.signing || !options_.signed_chunks) return;
  std::string text = signed_text("AWS4-HMAC-SHA256-PAYLOAD", *options_.signing, previous_signature_);
  text += kEmptySha256;
  text += '\n';
  text += base::hex(digest_->finish());
  std::string expected = signature_of(options_.signing->key, text);
  if (!base::equal_in_constant_time(expected, chunk_signature_))
    throw auth_error(AuthProblem::kSignatureMismatch, Dialect::kS3);
  previous_signature_ = std::move(expected);
}

void ChunkedDecoder::take_trailer(std::string_view line) {
  trailer_bytes_ += line.size() + 2;
  size_t colon = line.find(':');
  if (!options_.has_trailer || colon == std::string_view::npos || colon == 0 ||
      trailer_bytes_ > kTrailerBytesMax)
    throw bad_trailer();
  std::string name = base::to_lower(base::trim(line.substr(0, colon)));
  std::string value(base::trim(line.substr(colon + 1)));
  if (name == kTrailerSignature) {
    if (!options_.signed_chunks || !trailer_signature_.empty()) throw bad_trailer();
    trailer_signature_ = std::move(value);
    return;
  }
  bool announced = std::find(options_.trailer_names.begin(), options_.trailer_names.end(), name) !=
                   options_.trailer_names.end();
  bool twice =
      std::any_of(trailers_.begin(), trailers_.end(), [&](const auto& each) { return each.first == name; });
  // The signature comes last: nothing after it would be signed.
  if (!announced || twice || !trailer_signature_.empty()) throw bad_trailer();
  trailers_.emplace_back(std::move(name), std::move(value));
}

void ChunkedDecoder::end_trailers() {
  if (decoded_ != options_.decoded_length) throw incomplete();
  if (options_.has_trailer && trailers_.size() != options_.trailer_names.size()) throw bad_trailer();
  if (options_.signed_chunks && options_.has_trailer && options_.signing) {
    std::string lines;
    for (const auto& [name, value] : trailers_) lines += name + ":" + value + "\n";
    std::string text = signed_text("AWS4-HMAC-SHA256-TRAILER", *options_.signing, previous_signature_);
    text += base::sha256_hex(lines);
    if (!base::equal_in_constant_time(signature_of(options_.signing->key, text), trailer_signature_))
      throw auth_error(AuthProblem::kSignatureMismatch, Dialect::kS3);
  }
  at_ = At::kEnd;
}

void ChunkedDecoder::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (at_) {
      case At::kSizeLine:
        if (auto line = take_line(bytes)) begin_chunk(*line);
        break;
      case At::kData: {
        std::string_view piece =
            bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(chunk_left_, bytes.size())));
        bytes.remove_prefix(piece.size());
        chunk_left_ -= piece.size();
        decoded_ += piece.size();
        if (digest_) digest_->update(piece);
        out_(piece);
        if (chunk_left_ == 0) {
          end_chunk();
          at_ = At::kDataEnd;
        }
        break;
      }
      case At::kDataEnd:
        if (auto line = take_line(bytes)) {
          if (!line->empty()) throw bad_framing("a chunk is longer than it says");
          at_ = At::kSizeLine;
        }
        break;
      case At::kTrailers:
        if (auto line = take_line(bytes)) {
          if (line->empty())
            end_trailers();
          else
            take_trailer(*line);
        }
        break;
      case At::kEnd:
        throw bad_framing("something follows its end");
    }
  }
}

void ChunkedDecoder::finish() {
  if (at_ != At::kEnd) throw incomplete();
}

}  // namespace millrace::aws
