#include "objects/store_errors.h"

#include <string>
#include <string_view>

namespace millrace::objects {

base::NotFoundError no_such_bucket() {
  return base::NotFoundError("The specified bucket does not exist", "NoSuchBucket");
}
base::NotFoundError no_such_key() {
  return base::NotFoundError("The specified key does not exist.", "NoSuchKey");
}
base::NotFoundError no_such_upload() {
  return base::NotFoundError(
      "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
      "aborted or "
      "completed.",
      "NoSuchUpload");
}
base::NotFoundError no_such_version() {
  return base::NotFoundError("The specified version does not exist.", "NoSuchVersion");
}
base::UsageError invalid_version_id() {
  return base::UsageError("Invalid version id specified", "InvalidArgument");
}
base::ConflictError bucket_already_owned() {
  return base::ConflictError(
      "Your previous request to create the named bucket succeeded and you already own it.",
      "BucketAlreadyOwnedByYou");
}
base::ConflictError bucket_not_empty() {
  return base::ConflictError("The bucket you tried to delete is not empty", "BucketNotEmpty");
}
base::ConflictError precondition_failed() {
  return base::ConflictError("At least one of the pre-conditions you specified did not hold",
                             "PreconditionFailed");
}
base::UsageError invalid_bucket_name() {
  return base::UsageError("The specified bucket is not valid.", "InvalidBucketName");
}
base::UsageError key_too_long() { return base::UsageError("Your key is too long", "KeyTooLongError"); }
base::UsageError invalid_part() {
  return base::UsageError(
      "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
      "specified "
      "entity tag may not match the part's entity tag.",
      "InvalidPart");
}
base::UsageError invalid_part_order() {
  return base::UsageError(
      "The list of parts was not in ascending order. Parts must be ordered by part number.",
      "InvalidPartOrder");
}
base::UsageError entity_too_small() {
  return base::UsageError("Your proposed upload is smaller than the minimum allowed size", "EntityTooSmall");
}
base::UsageError entity_too_large() {
  return base::UsageError("Your proposed upload exceeds the maximum allowed size", "EntityTooLarge");
}
base::UsageError bad_md5() {
  return base::UsageError("The Content-MD5 you specified did not match what we received.", "BadDigest");
}
base::UsageError bad_checksum(std::string_view algorithm) {
  return base::UsageError(
      "The " + std::string(algorithm) + " you specified did not match the calculated checksum.", "BadDigest");
}

}  // namespace millrace::objects
