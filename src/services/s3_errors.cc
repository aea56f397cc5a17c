#include "services/s3_errors.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::services {
namespace {

struct CodeStatus {
  std::string_view code;
  int status;
};

// S3 API reference, "List of error codes": those that are not 400.
constexpr std::array kStatuses = {
    CodeStatus{"AccessDenied", 403},
    CodeStatus{"BucketAlreadyExists", 409},
    CodeStatus{"BucketAlreadyOwnedByYou", 409},
    CodeStatus{"BucketNotEmpty", 409},
    CodeStatus{"InternalError", 500},
    CodeStatus{"InvalidPartNumber", 416},
    CodeStatus{"InvalidRange", 416},
    CodeStatus{"MethodNotAllowed", 405},
    CodeStatus{"MissingContentLength", 411},
    CodeStatus{"NoSuchBucket", 404},
    CodeStatus{"NoSuchKey", 404},
    CodeStatus{"NoSuchUpload", 404},
    CodeStatus{"NotImplemented", 501},
    CodeStatus{"PreconditionFailed", 412},
    CodeStatus{"ServiceUnavailable", 503},
};

}  // namespace

aws::ApiError s3_error(const std::string& code, const std::string& message) {
  auto found =
      std::find_if(kStatuses.begin(), kStatuses.end(), [&](const CodeStatus& s) { return s.code == code; });
  return aws::ApiError(found == kStatuses.end() ? 400 : found->status, code, message);
}

aws::ApiError not_implemented(std::string_view header) {
  aws::ApiError error =
      s3_error("NotImplemented", "A header you provided implies functionality that is not implemented");
  if (!header.empty()) error.details = {{"Header", std::string(header)}};
  return error;
}

aws::ApiError malformed_xml() {
  return s3_error(
      "MalformedXML",
      "The XML you provided was not well-formed or did not validate against our published schema");
}

aws::ApiError to_s3_error(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const aws::ApiError& e) {
    return e;
  } catch (const base::Error& e) {
    bool has_s3_code =
        !e.code().empty() && (e.kind() == base::ErrorKind::kUsage || e.kind() == base::ErrorKind::kNotFound ||
                              e.kind() == base::ErrorKind::kConflict);
    if (has_s3_code) return s3_error(e.code(), e.what());
    spdlog::error("s3: {}", e.what());
    // A full or failing disk: the client may try again, and an operator reads why.
    if (e.kind() == base::ErrorKind::kTransient)
      return s3_error("ServiceUnavailable",
                      e.code() == "DiskFull"
                          ? "The disk of the object store is full; free some space and try again"
                          : "Service is unable to handle request. Please try again.");
  } catch (const std::exception& e) {
    spdlog::error("s3: {}", e.what());
  }
  return s3_error("InternalError", "We encountered an internal error. Please try again.");
}

}  // namespace millrace::services
