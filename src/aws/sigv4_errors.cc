#include "aws/sigv4_errors.h"

#include <algorithm>
#include <iterator>

#include "base/strings.h"

namespace millrace::aws {
namespace {

struct Wording {
  AuthProblem problem;
  int s3_status;
  const char* s3_code;
  const char* s3_text;
  const char* code;  // JSON and REST-JSON; without "Exception" in Query unless query_code says otherwise
  const char* query_code;  // Query
  const char* text;        // all but S3
};

constexpr const char kMismatch[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key "
    "and signing method. Consult the service documentation for details.";
constexpr const char kInvalidKey[] = "The security token included in the request is invalid.";

constexpr Wording kWordings[] = {
    {AuthProblem::kMissing, 403, "AccessDenied", "Access Denied", "MissingAuthenticationTokenException",
     "MissingAuthenticationToken", "Missing Authentication Token"},
    {AuthProblem::kUnknownKey, 403, "InvalidAccessKeyId",
     "The AWS Access Key Id you provided does not exist in our records.", "UnrecognizedClientException",
     "InvalidClientTokenId", kInvalidKey},
    {AuthProblem::kSignatureMismatch, 403, "SignatureDoesNotMatch",
     "The request signature we calculated does not match the signature you provided. Check your key and "
     "signing "
     "method.",
     "InvalidSignatureException", "SignatureDoesNotMatch", kMismatch},
    {AuthProblem::kExpired, 403, "RequestTimeTooSkewed",
     "The difference between the request time and the current time is too large.",
     "InvalidSignatureException", "SignatureDoesNotMatch", "Signature expired: {}"},
    {AuthProblem::kNotYetCurrent, 403, "RequestTimeTooSkewed",
     "The difference between the request time and the current time is too large.",
     "InvalidSignatureException", "SignatureDoesNotMatch", "Signature not yet current: {}"},
    {AuthProblem::kPresignedExpired, 403, "AccessDenied", "Request has expired", "InvalidSignatureException",
     "SignatureDoesNotMatch", "Signature expired: {}"},
    {AuthProblem::kPresignedNotYetValid, 403, "AccessDenied", "Request is not yet valid",
     "InvalidSignatureException", "SignatureDoesNotMatch", "Signature not yet current: {}"},
    {AuthProblem::kMalformedHeader, 400, "AuthorizationHeaderMalformed",
     "The authorization header is malformed; {}", "IncompleteSignatureException", "IncompleteSignature",
     "{}"},
    {AuthProblem::kMalformedQuery, 400, "AuthorizationQueryParametersError", "{}",
     "IncompleteSignatureException", "IncompleteSignature", "{}"},
    {AuthProblem::kNoDate, 403, "AccessDenied",
     "AWS authentication requires a valid Date or x-amz-date header", "IncompleteSignatureException",
     "IncompleteSignature",
     "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
    {AuthProblem::kTwoMechanisms, 400, "InvalidArgument",
     "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
     "parameter or "
     "the Authorization header should be specified",
     "InvalidSignatureException", "SignatureDoesNotMatch", kMismatch},
    {AuthProblem::kUnsupportedMechanism, 400, "InvalidRequest",
     "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
     "IncompleteSignatureException", "IncompleteSignature",
     "Unsupported AWS 'algorithm': '{}', only AWS4-HMAC-SHA256 is supported."},
    {AuthProblem::kAsymmetric, 501, "NotImplemented",
     "A header you provided implies functionality that is not implemented", "IncompleteSignatureException",
     "IncompleteSignature", "Unsupported AWS 'algorithm': '{}', only AWS4-HMAC-SHA256 is supported."},
    {AuthProblem::kHeadersNotSigned, 403, "AccessDenied",
     "There were headers present in the request which were not signed", "InvalidSignatureException",
     "SignatureDoesNotMatch", "'{}' must be a 'SignedHeader' in the AWS Authorization."},
    {AuthProblem::kNoPayloadHash, 400, "InvalidRequest",
     "Missing required header for this request: x-amz-content-sha256", "InvalidSignatureException",
     "SignatureDoesNotMatch", kMismatch},
    {AuthProblem::kBadPayloadHash, 400, "InvalidArgument",
     "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
     "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
     "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid "
     "sha256 "
     "value.",
     "InvalidSignatureException", "SignatureDoesNotMatch", kMismatch},
    {AuthProblem::kPayloadMismatch, 400, "XAmzContentSHA256Mismatch",
     "The provided 'x-amz-content-sha256' header does not match what was computed.",
     "InvalidSignatureException", "SignatureDoesNotMatch", kMismatch},
    {AuthProblem::kTokenExpired, 400, "ExpiredToken", "The provided token has expired.",
     "ExpiredTokenException", "ExpiredToken", "The security token included in the request is expired"},
    {AuthProblem::kTokenInvalid, 400, "InvalidToken", "The provided token is malformed or otherwise invalid.",
     "UnrecognizedClientException", "InvalidClientTokenId", kInvalidKey},
};

}  // namespace

ApiError auth_error(AuthProblem problem, Dialect dialect, std::string_view detail) {
  const Wording& wording = *std::find_if(std::begin(kWordings), std::end(kWordings),
                                         [&](const Wording& each) { return each.problem == problem; });
  bool is_s3 = dialect == Dialect::kS3;
  std::string text = base::replace_all(is_s3 ? wording.s3_text : wording.text, "{}", detail);
  if (is_s3) return ApiError(wording.s3_status, wording.s3_code, text);
  bool is_query = dialect == Dialect::kQuery;
  int status = dialect == Dialect::kJson ? 400 : 403;  // AWS JSON 1.x says 400 to every error of the client
  if (is_query && problem == AuthProblem::kMissing) text = "Request is missing Authentication Token";
  if (is_query && wording.query_code == std::string_view("IncompleteSignature")) status = 400;
  return ApiError(status, is_query ? wording.query_code : wording.code, text);
}

}  // namespace millrace::aws
