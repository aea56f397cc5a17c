// An error as an AWS API answers it: code, message, HTTP status.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace millrace::aws {

struct ApiError : base::Error {
  ApiError(int http_status, std::string error_code, const std::string& message)
      : base::Error(http_status >= 500 ? base::ErrorKind::kInternal : base::ErrorKind::kUsage, message,
                    std::move(error_code)),
        status(http_status) {}
  int status;
  // Further members of the error, in order: S3's <Key>, <BucketName>, <ArgumentName>; JSON members elsewhere.
  std::vector<std::pair<std::string, std::string>> details;
};

}  // namespace millrace::aws
