// Errors of the object store as S3 answers them.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "aws/api_error.h"

namespace millrace::services {

// Whatever a handler threw as an S3 error: its code, S3's HTTP status for it, and a text that gives nothing
// internal away. `error` must not be null.
aws::ApiError to_s3_error(std::exception_ptr error);

// An error by its code, with S3's HTTP status for it.
aws::ApiError s3_error(const std::string& code, const std::string& message);
aws::ApiError not_implemented(std::string_view header = {});
aws::ApiError malformed_xml();

}  // namespace millrace::services
