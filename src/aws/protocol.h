// AWS's wire protocols (REST-JSON, JSON 1.0/1.1, Query, REST-XML), driven by the tables of model.h: bytes of
// a request -> operation and checked JSON input; JSON output or error -> bytes of the reply. Pure functions,
// thread-safe.
//
// The JSON of an input or output is keyed by the member names of AWS's documentation (Member::name), whatever
// the protocol. In it:
//   * a timestamp is an int64 in milliseconds since the epoch (UTC), whatever the wire format;
//   * a blob is its base64 text (RFC 4648 section 4); streaming blobs are not in it at all: the handler reads
//   the
//     request body itself, and sets Response::body, file or source after encode();
//   * integer and long are int64, float and double are double;
//   * a map bound to a header prefix (x-amz-meta-*) is an object keyed by the rest of the header name, lower
//   case;
//   * absent members and JSON nulls are not in it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "aws/api_error.h"
#include "aws/model.h"
#include "base/json.h"
#include "http/message.h"

namespace millrace::aws {

// The operation that a request asks for, null when the service has none such (throw unknown_operation()
// then). REST: method, URI template, query literals, and, where that leaves several (S3), required query
// parameters and headers. JSON: X-Amz-Target. Query: Action, from the body or the query string. S3 is
// path-style; a key is any bytes after "/bucket/", percent-decoded once and never normalised. `body` is only
// looked at by Query.
const Operation* route(const ServiceModel& service, const http::RequestHead& head, std::string_view body);

// What AWS answers to a request that route() knows no operation for.
ApiError unknown_operation(const ServiceModel& service, const http::RequestHead& head, std::string_view body);

// Binds and checks the input: wire syntax, JSON types, required members, enum values, lengths, ranges,
// patterns. Unknown members are ignored. Throws ApiError with the service's own code and wording
// (error_wording.h). `body` of an operation with a streaming payload is ignored: pass "".
base::json::object decode(const Operation& operation, const http::RequestHead& head, std::string_view body);

// The reply to a success, with the protocol's request-id header. Members that the model does not know are
// dropped; nulls count as absent. An output member bound to the status code overrides the modelled one. A
// payload member that is a string becomes the body as it is. Throws InternalError when `output` has a value
// of the wrong type: a bug of the caller.
http::Response encode(const Operation& operation, base::json::object output, std::string_view request_id);

// The reply to a failure. `service` may be null (the service could not be told): then REST-JSON's form.
http::Response encode_error(const ServiceModel* service, const ApiError& error, std::string_view request_id);

// An error that the service's model names, with the HTTP status of the model (400 when it names none).
ApiError modelled_error(const ServiceModel& service, std::string_view code, const std::string& message);

}  // namespace millrace::aws
