#include "aws/sigv4.h"

#include <algorithm>

#include "aws/sigv4_canonical.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr size_t kKeysMax = 4096;
constexpr std::string_view kExpectedScope = "expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";

// The decoded value of a query parameter; nothing when it is not there.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  size_t at = 0;
  while (at <= query.size()) {
    size_t end = std::min(query.find('&', at), query.size());
    std::string_view part = query.substr(at, end - at);
    if (part.substr(0, name.size()) == name && (part.size() == name.size() || part[name.size()] == '='))
      return base::percent_decode(part.size() > name.size() ? part.substr(name.size() + 1)
                                                            : std::string_view());
    at = end + 1;
  }
  return std::nullopt;
}

// "Credential=…, SignedHeaders=…, Signature=…" after the algorithm, in any order.
struct AuthorizationParts {
  std::optional<std::string_view> credential, signed_headers, signature;
};

AuthorizationParts split_authorization(std::string_view text) {
  AuthorizationParts parts;
  for (std::string_view part : base::split(text, ',')) {
    part = base::trim(part);
    size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = base::trim(part.substr(0, equals));
    std::string_view value = base::trim(part.substr(equals + 1));
    if (name == "Credential") parts.credential = value;
    if (name == "SignedHeaders") parts.signed_headers = value;
    if (name == "Signature") parts.signature = value;
  }
  return parts;
}

ApiError malformed(const Claim& claim, const std::string& s3_detail, const std::string& detail) {
  AuthProblem problem = claim.presigned ? AuthProblem::kMalformedQuery : AuthProblem::kMalformedHeader;
  return auth_error(problem, claim.dialect, claim.dialect == Dialect::kS3 ? s3_detail : detail);
}

// A scope that is well-formed but not the right one. S3 calls that malformed too, the others a wrong
// signature.
ApiError wrong_scope(const Claim& claim, const std::string& s3_detail, const std::string& detail) {
  if (claim.dialect == Dialect::kS3) return malformed(claim, s3_detail, s3_detail);
  ApiError error = auth_error(AuthProblem::kSignatureMismatch, claim.dialect);
  return ApiError(error.status, error.code(), detail);
}

// An access key may hold slashes in theory: the scope is what stands after the last four.
void read_credential(Claim& claim, std::string_view credential) {
  std::string s3_text = std::string(claim.presigned ? "Error parsing the X-Amz-Credential parameter; " : "") +
                        "the Credential is mal-formed; " + std::string(kExpectedScope);
  std::vector<std::string_view> parts = base::split(credential, '/');
  size_t n = parts.size();
  if (n < 5 || parts[n - 4].data() - credential.data() < 2)
    throw malformed(claim, s3_text,
                    "Credential must have exactly 5 slash-delimited elements, e.g. "
                    "keyid/date/region/service/term, got '" +
                        std::string(credential) + "'");
  if (parts.back() != "aws4_request")
    throw wrong_scope(claim, s3_text,
                      "Credential should be scoped with a valid terminator: 'aws4_request', not '" +
                          std::string(parts.back()) + "'.");
  claim.service = parts[n - 2];
  claim.region = parts[n - 3];
  claim.day = parts[n - 4];
  claim.access_key = credential.substr(0, static_cast<size_t>(parts[n - 4].data() - credential.data()) - 1);
}

void check_day(const Claim& claim) {
  if (claim.day == claim.time.substr(0, 8)) return;
  throw wrong_scope(
      claim,
      "Invalid credential date \"" + claim.day + "\". This date is not the same as X-Amz-Date: \"" +
          claim.time.substr(0, 8) + "\".",
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
          claim.day + "' != '" + claim.time.substr(0, 8) + "', from '" + claim.time + "'.");
}

void read_signed_headers(Claim& claim, std::string_view text) {
  for (std::string_view name : base::split(text, ';'))
    if (!name.empty()) claim.signed_headers.push_back(base::to_lower(name));
}

bool is_signed(const Claim& claim, std::string_view lower_name) {
  return std::find(claim.signed_headers.begin(), claim.signed_headers.end(), lower_name) !=
         claim.signed_headers.end();
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

void read_payload_hash(Claim& claim, const http::RequestHead& head) {
  std::string value(head.headers.get("x-amz-content-sha256"));
  bool is_s3 = claim.dialect == Dialect::kS3;
  if (claim.presigned && value.empty())
    value = query_parameter(head.query, "X-Amz-Content-Sha256")
                .value_or(is_s3 ? std::string(kUnsignedPayload) : "");
  if (value.empty()) {
    if (is_s3) throw auth_error(AuthProblem::kNoPayloadHash, claim.dialect);
    return;
  }
  if (value.starts_with("STREAMING-AWS4-ECDSA-"))
    throw auth_error(AuthProblem::kAsymmetric, claim.dialect, value);
  bool known =
      is_sha256_hex(value) || (is_s3 && (value == kUnsignedPayload || value == kStreamingUnsignedTrailer ||
                                         value == kStreamingSigned || value == kStreamingSignedTrailer));
  if (!known) throw auth_error(AuthProblem::kBadPayloadHash, claim.dialect);
  claim.payload_hash = std::move(value);
}

// A Date as HTTP has it, or with the zone of mails, "-0000", as botocore signs it.
std::optional<base::TimeMs> parse_date_header(std::string_view date) {
  if (!date.ends_with(" -0000") && !date.ends_with(" +0000")) return base::parse_http_date(date);
  return base::parse_http_date(std::string(date.substr(0, date.size() - 5)) + "GMT");
}

Claim parse_header(const http::RequestHead& head, std::string_view authorization, Dialect dialect) {
  Claim claim;
  claim.dialect = dialect;
  std::string_view algorithm = authorization.substr(0, authorization.find(' '));
  if (algorithm == "AWS4-ECDSA-P256-SHA256") throw auth_error(AuthProblem::kAsymmetric, dialect, algorithm);
  if (algorithm != kAlgorithm) throw auth_error(AuthProblem::kUnsupportedMechanism, dialect, algorithm);
  AuthorizationParts parts = split_authorization(authorization.substr(algorithm.size()));
  std::string_view date = head.headers.get("x-amz-date");
  if (date.empty()) date = head.headers.get("date");
  if (!parts.credential || !parts.signed_headers || !parts.signature) {
    std::string missing;
    if (!parts.credential) missing += "Authorization header requires 'Credential' parameter. ";
    if (!parts.signature) missing += "Authorization header requires 'Signature' parameter. ";
    if (!parts.signed_headers) missing += "Authorization header requires 'SignedHeaders' parameter. ";
    if (date.empty())
      missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    throw malformed(
        claim,
        "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
        missing + "Authorization=" + std::string(algorithm));
  }
  read_credential(claim, *parts.credential);
  read_signed_headers(claim, *parts.signed_headers);
  claim.signature = *parts.signature;
  auto time = base::parse_amz_date(date);
  if (!time) time = parse_date_header(date);
  if (!time) throw auth_error(AuthProblem::kNoDate, dialect);
  claim.signed_at = *time;
  claim.time = base::amz_date(*time);
  check_day(claim);
  claim.session_token = head.headers.get("x-amz-security-token");
  read_payload_hash(claim, head);
  return claim;
}

Claim parse_presigned(const http::RequestHead& head, const std::string& algorithm, Dialect dialect) {
  Claim claim;
  claim.dialect = dialect;
  claim.presigned = true;
  if (algorithm == "AWS4-ECDSA-P256-SHA256") throw auth_error(AuthProblem::kAsymmetric, dialect, algorithm);
  if (algorithm != kAlgorithm)
    throw malformed(claim, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
                    "Unsupported AWS 'algorithm': '" + algorithm + "', only AWS4-HMAC-SHA256 is supported.");
  auto credential = query_parameter(head.query, "X-Amz-Credential");
  auto signature = query_parameter(head.query, "X-Amz-Signature");
  auto date = query_parameter(head.query, "X-Amz-Date");
  auto names = query_parameter(head.query, "X-Amz-SignedHeaders");
  auto expires = query_parameter(head.query, "X-Amz-Expires");
  if (!credential || !signature || !date || !names || !expires) {
    std::string missing;
    auto need = [&](bool there, const char* name) {
      if (!there) missing += std::string("AWS query-string parameters must include '") + name + "'. ";
    };
    need(credential.has_value(), "X-Amz-Credential");
    need(signature.has_value(), "X-Amz-Signature");
    need(date.has_value(), "X-Amz-Date");
    need(names.has_value(), "X-Amz-SignedHeaders");
    need(expires.has_value(), "X-Amz-Expires");
    throw malformed(claim,
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                    "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
                    missing + "Re-examine the query-string parameters.");
  }
  read_credential(claim, *credential);
  read_signed_headers(claim, *names);
  claim.signature = *signature;
  auto time = base::parse_amz_date(*date);
  if (!time)
    throw malformed(claim, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
                    "Date must be in ISO-8601 'basic format'. Got '" + *date +
                        "'. See http://en.wikipedia.org/wiki/ISO_8601");
  claim.signed_at = *time;
  claim.time = *date;
  check_day(claim);
  auto seconds = base::parse_number<int64_t>(*expires);
  if (!seconds)
    throw malformed(claim, "X-Amz-Expires should be a number", "X-Amz-Expires should be a number");
  if (*seconds < 0)
    throw malformed(claim, "X-Amz-Expires must be non-negative", "X-Amz-Expires must be non-negative");
  if (*seconds > kPresignedSecondsMax) {
    std::string text =
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
        "than 604800 "
        "seconds";
    throw malformed(claim, text, text);
  }
  claim.expires_s = *seconds;
  claim.session_token = query_parameter(head.query, "X-Amz-Security-Token").value_or("");
  read_payload_hash(claim, head);
  return claim;
}

void check_time(const Claim& claim, base::TimeMs now) {
  constexpr base::TimeMs skew = kClockSkewMaxMs;
  base::TimeMs valid_for = claim.presigned ? claim.expires_s * 1000 : skew;
  if (claim.signed_at > now + skew)
    throw auth_error(claim.presigned ? AuthProblem::kPresignedNotYetValid : AuthProblem::kNotYetCurrent,
                     claim.dialect,
                     claim.time + " is still later than " + base::amz_date(now + skew) + " (" +
                         base::amz_date(now) + " + 15 min.)");
  if (claim.presigned && now > claim.signed_at + valid_for)
    throw auth_error(
        AuthProblem::kPresignedExpired, claim.dialect,
        base::amz_date(claim.signed_at + valid_for) + " is now earlier than " + base::amz_date(now));
  if (!claim.presigned && now > claim.signed_at + skew)
    throw auth_error(AuthProblem::kExpired, claim.dialect,
                     claim.time + " is now earlier than " + base::amz_date(now - skew) + " (" +
                         base::amz_date(now) + " - 15 min.)");
}

// What is not signed may have been changed on the way: Host, and everything AWS gives a meaning to.
void check_what_is_signed(const Claim& claim, const http::RequestHead& head) {
  if (!is_signed(claim, "host"))
    throw auth_error(AuthProblem::kHeadersNotSigned, claim.dialect, "Host' or ':authority");
  for (const auto& [name, value] : head.headers) {
    if (name.size() < 6 || !base::equals_ignore_case(std::string_view(name).substr(0, 6), "x-amz-")) continue;
    std::string lower = base::to_lower(name);
    if (!is_signed(claim, lower)) throw auth_error(AuthProblem::kHeadersNotSigned, claim.dialect, lower);
  }
}

}  // namespace

std::string claimed_service(const http::RequestHead& head) {
  std::string presigned;
  std::string_view credential;
  std::string_view authorization = head.headers.get("authorization");
  if (size_t at = authorization.find("Credential="); at != std::string_view::npos) {
    credential = authorization.substr(at + 11);
    credential = base::trim(credential.substr(0, credential.find(',')));
  } else if (head.query.find("X-Amz-Credential=") != std::string::npos) {
    presigned = query_parameter(head.query, "X-Amz-Credential").value_or("");
    credential = presigned;
  }
  std::vector<std::string_view> parts = base::split(credential, '/');
  return parts.size() < 5 ? std::string() : std::string(parts[parts.size() - 2]);
}

std::optional<Claim> parse_claim(const http::RequestHead& head, Dialect dialect) {
  std::string_view authorization = head.headers.get("authorization");
  std::optional<std::string> algorithm;
  if (!head.query.empty()) algorithm = query_parameter(head.query, "X-Amz-Algorithm");
  if (!authorization.empty() && algorithm) throw auth_error(AuthProblem::kTwoMechanisms, dialect);
  if (!authorization.empty()) return parse_header(head, base::trim(authorization), dialect);
  if (algorithm) return parse_presigned(head, *algorithm, dialect);
  if (query_parameter(head.query, "AWSAccessKeyId") && query_parameter(head.query, "Signature"))
    throw auth_error(AuthProblem::kUnsupportedMechanism, dialect, "AWS");
  return std::nullopt;
}

SigningKey Verifier::signing_key(const Claim& claim, std::string_view secret) {
  std::string id = claim.access_key + "/" + claim.day + "/" + claim.region + "/" + claim.service;
  {
    std::lock_guard lock(mutex_);
    auto found = keys_.find(id);
    if (found != keys_.end() && base::equal_in_constant_time(found->second.secret, secret))
      return found->second.key;
  }
  SigningKey key = derive_signing_key(secret, claim.day, claim.region, claim.service);
  std::lock_guard lock(mutex_);
  if (keys_.size() >= kKeysMax) keys_.clear();  // days pass and jobs end: what is in use comes back at once
  keys_[id] = {std::string(secret), key};
  return key;
}

void Verifier::verify(const Claim& claim, const http::RequestHead& head,
                      std::optional<std::string_view> body_sha256, std::string_view secret,
                      base::TimeMs now) {
  bool is_s3 = claim.dialect == Dialect::kS3;
  check_time(claim, now);
  check_what_is_signed(claim, head);
  std::string_view hash = claim.payload_hash;
  if (hash.empty()) hash = body_sha256.value_or(kEmptySha256);
  std::string text(kAlgorithm);
  text += '\n';
  text += claim.time;
  text += '\n';
  text += claim.scope();
  text += '\n';
  text += base::sha256_hex(canonical_request(
      {head.method, head.path, head.query, head.headers, claim.signed_headers, hash, is_s3}));
  std::string expected = signature_of(signing_key(claim, secret), text);
  if (!base::equal_in_constant_time(expected, claim.signature))
    throw auth_error(AuthProblem::kSignatureMismatch, claim.dialect);
  if (body_sha256) check_payload(claim, *body_sha256);
}

void check_payload(const Claim& claim, std::string_view body_sha256) {
  if (!is_sha256_hex(claim.payload_hash)) return;
  if (!base::equal_in_constant_time(base::to_lower(claim.payload_hash), body_sha256))
    throw auth_error(AuthProblem::kPayloadMismatch, claim.dialect);
}

void check_region(const Claim& claim, std::string_view region) {
  if (claim.region == region) return;
  std::string s3 = std::string(claim.presigned ? "Error parsing the X-Amz-Credential parameter; " : "") +
                   "the region '" + claim.region + "' is wrong; expecting '" + std::string(region) + "'";
  throw wrong_scope(claim, s3, "Credential should be scoped to a valid region.");
}

}  // namespace millrace::aws
