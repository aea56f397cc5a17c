#include "services/s3.h"

#include <algorithm>
#include <array>

#include "base/url.h"
#include "objects/store_errors.h"
#include "services/s3_call.h"
#include "services/s3_errors.h"
#include "services/s3_settings.h"

namespace millrace::services {

namespace {

// What AWS names in an error: the bucket or the key that was asked for.
std::vector<std::pair<std::string, std::string>> named_in(const http::RequestHead& head,
                                                          const std::string& code) {
  std::string path = base::percent_decode(std::string_view(head.path).substr(1));
  size_t slash = path.find('/');
  if (code == "NoSuchBucket" || code == "BucketNotEmpty" || code == "InvalidBucketName" ||
      code == "BucketAlreadyOwnedByYou")
    return {{"BucketName", path.substr(0, slash)}};
  if ((code == "NoSuchKey" || code == "NoSuchVersion") && slash != std::string::npos)
    return {{"Key", path.substr(slash + 1)}};
  return {};
}

}  // namespace

S3Service::S3Service(objects::DirectoryStore& store, S3Options options)
    : store_(store), options_(std::move(options)), workers_(options_.workers) {}

S3Service::~S3Service() = default;

S3Service::Handler S3Service::handler_of(std::string_view operation) {
  struct Entry {
    std::string_view operation;
    Handler handler;
  };
  static constexpr std::array kHandlers = {
      Entry{"AbortMultipartUpload", &S3Service::abort_multipart_upload},
      Entry{"CompleteMultipartUpload", &S3Service::complete_multipart_upload},
      Entry{"CopyObject", &S3Service::copy_object},
      Entry{"CreateBucket", &S3Service::create_bucket},
      Entry{"CreateMultipartUpload", &S3Service::create_multipart_upload},
      Entry{"DeleteBucket", &S3Service::delete_bucket},
      Entry{"DeleteObject", &S3Service::delete_object},
      Entry{"DeleteObjectTagging", &S3Service::delete_object_tagging},
      Entry{"DeleteObjects", &S3Service::delete_objects},
      Entry{"GetBucketAcl", &S3Service::get_bucket_acl},
      Entry{"GetBucketAnalyticsConfiguration", &S3Service::no_such_configuration},
      Entry{"GetBucketIntelligentTieringConfiguration", &S3Service::no_such_configuration},
      Entry{"GetBucketInventoryConfiguration", &S3Service::no_such_configuration},
      Entry{"GetBucketLocation", &S3Service::get_bucket_location},
      Entry{"GetBucketMetricsConfiguration", &S3Service::no_such_configuration},
      Entry{"GetBucketPolicyStatus", &S3Service::get_bucket_policy_status},
      Entry{"GetBucketVersioning", &S3Service::get_bucket_versioning},
      Entry{"GetObject", &S3Service::get_object},
      Entry{"GetObjectAcl", &S3Service::get_object_acl},
      Entry{"GetObjectAttributes", &S3Service::get_object_attributes},
      Entry{"GetObjectLegalHold", &S3Service::no_object_lock},
      Entry{"GetObjectRetention", &S3Service::no_object_lock},
      Entry{"GetObjectTagging", &S3Service::get_object_tagging},
      Entry{"HeadBucket", &S3Service::head_bucket},
      Entry{"HeadObject", &S3Service::head_object},
      Entry{"ListBucketAnalyticsConfigurations", &S3Service::list_nothing},
      Entry{"ListBucketIntelligentTieringConfigurations", &S3Service::list_nothing},
      Entry{"ListBucketInventoryConfigurations", &S3Service::list_nothing},
      Entry{"ListBucketMetricsConfigurations", &S3Service::list_nothing},
      Entry{"ListBuckets", &S3Service::list_buckets},
      Entry{"ListMultipartUploads", &S3Service::list_multipart_uploads},
      Entry{"ListObjectVersions", &S3Service::list_object_versions},
      Entry{"ListObjects", &S3Service::list_objects},
      Entry{"ListObjectsV2", &S3Service::list_objects_v2},
      Entry{"ListParts", &S3Service::list_parts},
      Entry{"PutBucketAcl", &S3Service::put_bucket_acl},
      Entry{"PutBucketVersioning", &S3Service::put_bucket_versioning},
      Entry{"PutObjectAcl", &S3Service::put_object_acl},
      Entry{"PutObjectLegalHold", &S3Service::no_object_lock},
      Entry{"PutObjectRetention", &S3Service::no_object_lock},
      Entry{"PutObjectTagging", &S3Service::put_object_tagging},
      Entry{"UploadPartCopy", &S3Service::upload_part_copy},
  };
  auto found = std::find_if(kHandlers.begin(), kHandlers.end(),
                            [&](const Entry& entry) { return entry.operation == operation; });
  if (found != kHandlers.end()) return found->handler;
  switch (setting_verb(operation)) {
    case SettingVerb::kGet:
      return &S3Service::get_setting;
    case SettingVerb::kPut:
      return &S3Service::put_setting;
    case SettingVerb::kDelete:
      return &S3Service::delete_setting;
    case SettingVerb::kNone:
      break;
  }
  return nullptr;
}

namespace {

// Whether an object is there is told only to those who may list its bucket.
std::exception_ptr shown_to(const SigningContext& context, const std::string& bucket,
                            std::exception_ptr error) {
  if (!context.require || bucket.empty()) return error;
  std::string code = to_s3_error(error).code();
  if (code != "NoSuchKey" && code != "NoSuchVersion") return error;
  try {
    context.require("ListBucket", bucket, "");
    return error;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

bool S3Service::is_streamed(const aws::Operation& operation) {
  return operation.name == "PutObject" || operation.name == "UploadPart";
}

bool S3Service::is_implemented(const aws::Operation& operation) {
  return is_streamed(operation) || handler_of(operation.name) != nullptr;
}

void S3Service::handle(const aws::Operation& operation, http::Request request, const SigningContext& context,
                       http::Respond respond) {
  // shared: std::function wants copies, and a body of 32 MiB should not be copied.
  auto owned = std::make_shared<http::Request>(std::move(request));
  workers_.post([this, &operation, owned, context, respond = std::move(respond)] {
    http::Response response;
    std::string bucket;
    try {
      Handler handler = handler_of(operation.name);
      if (!handler)
        throw s3_error("NotImplemented",
                       std::string(operation.name) + " of S3 is not supported by this version of Millrace.");
      check_owner(owned->head);
      Call call{operation, owned->head, owned->body, context,
                aws::decode(operation, owned->head, owned->body)};
      bucket = call.bucket();
      response = (this->*handler)(call);
    } catch (...) {
      response = failed(owned->head, shown_to(context, bucket, std::current_exception()), context.request_id);
    }
    respond(std::move(response));
  });
}

http::Response S3Service::failed(const http::RequestHead& head, std::exception_ptr error,
                                 const std::string& request_id) {
  aws::ApiError s3 = to_s3_error(error);
  http::Headers hidden_by;
  try {
    std::rethrow_exception(error);
  } catch (const objects::DeleteMarkerError& marker) {
    hidden_by.add("x-amz-delete-marker", "true");
    hidden_by.add("x-amz-version-id", marker.version_id);
    // Asked for by its own id, a marker is there, but can only be deleted.
    for (const auto& [name, value] : base::parse_query(head.query)) {
      if (name != "versionId") continue;
      s3 = s3_error("MethodNotAllowed", "The specified method is not allowed against this resource.");
      hidden_by.add("Allow", "DELETE");
    }
  } catch (...) {
  }
  if (s3.details.empty()) s3.details = named_in(head, s3.code());
  http::Response response = aws::encode_error(aws::find_service("s3"), s3, request_id);
  for (const auto& [name, value] : hidden_by) response.headers.add(name, value);
  if (head.method == "HEAD") {
    response.body.clear();  // RFC 9110 section 9.3.2: the status tells it all
    response.content_length_of_head = 0;
  }
  return response;
}

void S3Service::check_owner(const http::RequestHead& head) const {
  for (const char* name : {"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"})
    if (std::string_view owner = head.headers.get(name); !owner.empty() && owner != options_.account)
      throw s3_error("AccessDenied", "Access Denied");
}

base::json::object S3Service::owner() const {
  return {{"ID", base::sha256_hex(options_.account)}, {"DisplayName", options_.account}};
}

}  // namespace millrace::services
