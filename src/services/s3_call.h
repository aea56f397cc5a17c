// One S3 request with its decoded input, and what handlers need to answer it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "aws/protocol.h"
#include "base/hash.h"
#include "base/strings.h"
#include "objects/directory_store.h"
#include "objects/store_errors.h"
#include "services/s3.h"
#include "services/s3_errors.h"

namespace millrace::services {

// Who asks, with what CloudTrail tells of a request.
objects::Requester requester_of(const http::RequestHead& head, const SigningContext& context);

struct S3Service::Call {
  const aws::Operation& operation;
  const http::RequestHead& head;
  const std::string& body;
  const SigningContext& context;
  base::json::object input;

  // A string member of the input, empty when it is not given.
  std::string text(std::string_view name) const {
    return std::string(base::find_string(input, name).value_or(std::string_view()));
  }
  std::string bucket() const { return text("Bucket"); }
  std::string key() const { return text("Key"); }
  // The version asked for, empty for the current one. Throws InvalidArgument for "?versionId=".
  std::string version() const {
    auto id = base::find_string(input, "VersionId");
    if (id && id->empty()) throw s3_error("InvalidArgument", "Version id cannot be the empty string");
    return std::string(id.value_or(""));
  }
  objects::Requester requester() const { return requester_of(head, context); }
  // A count such as max-keys: at most and by default `most`. Throws InvalidArgument when it is negative.
  size_t count(std::string_view name, int64_t most) const {
    int64_t value = base::find_int(input, name).value_or(most);
    if (value < 0)
      throw s3_error("InvalidArgument",
                     "Argument " + std::string(name) + " must be an integer between 0 and 2147483647");
    return static_cast<size_t>(std::min(value, most));
  }
  // Throws BadDigest unless the whole body is what Content-MD5 and x-amz-checksum-* say. True when either was
  // given.
  bool check_body() const;
  // An answer with a document that stands outside the model.
  http::Response answer_document(std::string document, std::string_view type = "application/xml") const {
    http::Response response;
    response.headers.add("Content-Type", std::string(type));
    response.headers.add("x-amz-request-id", context.request_id);
    response.body = std::move(document);
    return response;
  }
  http::Response answer(base::json::object output = {}) const {
    return aws::encode(operation, std::move(output), context.request_id);
  }
};

inline std::string quoted(const std::string& etag) { return '"' + etag + '"'; }

inline void add_version(base::json::object& output, const objects::ObjectRecord& record) {
  if (record.versioned) output["VersionId"] = record.version_id();
}
inline void add_version(base::json::object& output, const std::string& version_id) {
  if (!version_id.empty()) output["VersionId"] = version_id;
}

inline const char* storage_class(const objects::ListedObject& object) {
  return object.storage_class.empty() ? "STANDARD" : object.storage_class.c_str();
}

inline constexpr std::string_view kXmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";

// {"ChecksumCRC32": …, "ChecksumType": …} into `output`.
inline void add_checksum(base::json::object& output, const std::optional<objects::Checksum>& checksum,
                         bool with_type = true) {
  if (!checksum) return;
  output["Checksum" + std::string(objects::checksum_name(checksum->algorithm))] = checksum->value;
  if (with_type) output["ChecksumType"] = checksum->composite ? "COMPOSITE" : "FULL_OBJECT";
}

// The checksum among the Checksum… members of an input, if any.
inline std::optional<objects::Checksum> checksum_in(const base::json::object& input) {
  for (objects::ChecksumAlgorithm algorithm : objects::kChecksumAlgorithms)
    if (auto value = base::find_string(input, "Checksum" + std::string(objects::checksum_name(algorithm))))
      return objects::Checksum{algorithm, value->find('-') != std::string_view::npos, std::string(*value)};
  return std::nullopt;
}

}  // namespace millrace::services
