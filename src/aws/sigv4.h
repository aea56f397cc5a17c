// AWS Signature Version 4: signing requests, and checking them. Pure: the time is a parameter, nothing is
// read or sent. "Authenticating Requests (AWS Signature Version 4)" in the S3 API reference; "AWS Signature
// Version 4 for API requests" in the IAM user guide for the other services, which normalise the path and
// encode it once more.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aws/credentials.h"
#include "aws/sigv4_errors.h"
#include "base/time.h"
#include "http/client.h"
#include "http/message.h"

namespace millrace::aws {

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kStreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
inline constexpr std::string_view kStreamingSigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
inline constexpr std::string_view kStreamingSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
inline constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
inline constexpr base::TimeMs kClockSkewMaxMs = 15 * 60 * 1000;
inline constexpr int64_t kPresignedSecondsMax = 604'800;

// The key derived for one day, region and service: 32 bytes.
using SigningKey = std::array<char, 32>;
SigningKey derive_signing_key(std::string_view secret, std::string_view day, std::string_view region,
                              std::string_view service);

// "AWS4-HMAC-SHA256\n<time>\n<day>/<region>/<service>/aws4_request\n<hash of the canonical request>" signed,
// in hex.
std::string signature_of(const SigningKey& key, std::string_view string_to_sign);

// ---- signing ----

// Adds X-Amz-Date, X-Amz-Security-Token (with temporary credentials), X-Amz-Content-Sha256 (S3) and
// Authorization to `request`. Signs host, content-type, content-md5 and every x-amz-*. `payload_hash`: empty
// for the SHA-256 of request.body, else a hex digest or kUnsignedPayload. `service` "s3" follows S3's rules.
void sign(http::ClientRequest& request, const Credentials& credentials, std::string_view region,
          std::string_view service, base::TimeMs now, std::string_view payload_hash = {});

// The URL with the signature in its query, good for `expires_s` (1..604800) seconds; signs host and
// `headers`, which the request must then carry. Throws UsageError for another duration.
std::string presign(std::string_view method, std::string_view url, const Credentials& credentials,
                    std::string_view region, std::string_view service, base::TimeMs now, int64_t expires_s,
                    const http::Headers& headers = {});

// ---- checking ----

// What a request says about its own signature. Nothing of it is true before verify().
struct Claim {
  Dialect dialect = Dialect::kS3;
  bool presigned = false;
  std::string access_key;
  std::string day;   // "20130524", from the scope
  std::string time;  // "20130524T000000Z", signed
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;  // lower case
  std::string signature;                    // hex
  std::string session_token;                // empty when there is none
  // What stands in the last line of the canonical request; empty: the SHA-256 of the body (services other
  // than S3).
  std::string payload_hash;
  base::TimeMs signed_at = 0;
  int64_t expires_s = 0;  // presigned only

  std::string scope() const { return day + "/" + region + "/" + service + "/aws4_request"; }
  // The body's own digest was signed (so it must be computed and compared), not a literal in its place.
  bool signs_body() const { return payload_hash.empty() || payload_hash.size() == 64; }
};

// The service named in the credential scope of a request, "" when there is none; looks at nothing else. For
// routing, before one knows whose error texts to use.
std::string claimed_service(const http::RequestHead& head);

// Reads the Authorization header or the presigned query. Nothing for a request without any signature. Throws
// ApiError when it cannot be understood.
std::optional<Claim> parse_claim(const http::RequestHead& head, Dialect dialect);

// Checks claims and remembers derived keys. Thread-safe.
class Verifier {
 public:
  // Throws ApiError unless `head` was signed with `secret` as claimed and its time is right. `body_sha256` in
  // hex; leave it out when the body is not there yet (S3 only: streamed uploads) and call check_payload() at
  // its end.
  void verify(const Claim& claim, const http::RequestHead& head, std::optional<std::string_view> body_sha256,
              std::string_view secret, base::TimeMs now);

  // The key for chunk signatures (aws/chunked.h).
  SigningKey signing_key(const Claim& claim, std::string_view secret);

 private:
  struct Entry {
    std::string secret;
    SigningKey key;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> keys_;  // by access key and scope
};

// Throws XAmzContentSHA256Mismatch unless the body's digest is the signed one, or the digest was not signed.
void check_payload(const Claim& claim, std::string_view body_sha256);

// Throws ApiError when the scope's region is not `region`.
void check_region(const Claim& claim, std::string_view region);

}  // namespace millrace::aws
