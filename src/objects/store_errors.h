// The errors of an object store, with S3's codes and texts (S3 API reference, "Error responses").
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace millrace::objects {

// The object is hidden by a delete marker: not there, but for its older versions.
struct DeleteMarkerError : base::NotFoundError {
  explicit DeleteMarkerError(std::string id)
      : base::NotFoundError("The specified key does not exist.", "NoSuchKey"), version_id(std::move(id)) {}
  std::string version_id;  // of the marker
};

base::NotFoundError no_such_bucket();
base::NotFoundError no_such_key();
base::NotFoundError no_such_upload();
base::NotFoundError no_such_version();
base::UsageError invalid_version_id();
base::ConflictError bucket_already_owned();
base::ConflictError bucket_not_empty();
base::ConflictError precondition_failed();
base::UsageError invalid_bucket_name();
base::UsageError key_too_long();
base::UsageError invalid_part();
base::UsageError invalid_part_order();
base::UsageError entity_too_small();
base::UsageError entity_too_large();
base::UsageError bad_md5();
base::UsageError bad_checksum(std::string_view algorithm);

}  // namespace millrace::objects
