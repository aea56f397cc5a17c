// What is said to a request whose signature is not accepted: AWS's codes and texts, by the kind of service.
#pragma once

#include <string>
#include <string_view>

#include "aws/api_error.h"

namespace millrace::aws {

// AWS words the same refusal differently by protocol.
enum class Dialect { kS3, kQuery, kJson, kRestJson };

enum class AuthProblem {
  kMissing,     // no signature at all
  kUnknownKey,  // no such access key
  kSignatureMismatch,
  kExpired,        // detail (not S3): "<signed at> is now earlier than …"
  kNotYetCurrent,  // detail (not S3): "<signed at> is still later than …"
  kPresignedExpired,
  kPresignedNotYetValid,  // detail as of kNotYetCurrent
  kMalformedHeader,       // detail: what is wrong
  kMalformedQuery,        // detail: what is wrong
  kNoDate,
  kTwoMechanisms,         // header and query
  kUnsupportedMechanism,  // SigV2 and others
  kAsymmetric,            // SigV4a
  kHeadersNotSigned,      // detail: the names
  kNoPayloadHash,
  kBadPayloadHash,
  kPayloadMismatch,
  kTokenExpired,
  kTokenInvalid,
};

// The error to throw. `detail` goes where the table's text says {}.
ApiError auth_error(AuthProblem problem, Dialect dialect, std::string_view detail = {});

}  // namespace millrace::aws
