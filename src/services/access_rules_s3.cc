// S3's actions: "Actions, resources, and condition keys for Amazon S3".
#include <algorithm>
#include <array>

#include "base/strings.h"
#include "base/url.h"
#include "services/access_rules.h"

namespace millrace::services {
namespace {

namespace json = base::json;

struct S3Rule {
  std::string_view operation, action;  // without "s3:"
};

// Where the action has another name than the operation.
constexpr std::array kActions = {
    S3Rule{"HeadObject", "GetObject"},
    S3Rule{"SelectObjectContent", "GetObject"},
    S3Rule{"PostObject", "PutObject"},
    S3Rule{"CopyObject", "PutObject"},
    S3Rule{"UploadPart", "PutObject"},
    S3Rule{"UploadPartCopy", "PutObject"},
    S3Rule{"CreateMultipartUpload", "PutObject"},
    S3Rule{"CompleteMultipartUpload", "PutObject"},
    S3Rule{"ListParts", "ListMultipartUploadParts"},
    S3Rule{"ListObjects", "ListBucket"},
    S3Rule{"ListObjectsV2", "ListBucket"},
    S3Rule{"HeadBucket", "ListBucket"},
    S3Rule{"ListObjectVersions", "ListBucketVersions"},
    S3Rule{"ListMultipartUploads", "ListBucketMultipartUploads"},
    S3Rule{"ListBuckets", "ListAllMyBuckets"},
    S3Rule{"GetBucketEncryption", "GetEncryptionConfiguration"},
    S3Rule{"PutBucketEncryption", "PutEncryptionConfiguration"},
    S3Rule{"DeleteBucketEncryption", "PutEncryptionConfiguration"},
    S3Rule{"GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"},
    S3Rule{"PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"},
    S3Rule{"DeleteBucketLifecycle", "PutLifecycleConfiguration"},
    S3Rule{"GetBucketCors", "GetBucketCORS"},
    S3Rule{"PutBucketCors", "PutBucketCORS"},
    S3Rule{"DeleteBucketCors", "PutBucketCORS"},
    S3Rule{"DeleteBucketTagging", "PutBucketTagging"},
    S3Rule{"GetBucketNotificationConfiguration", "GetBucketNotification"},
    S3Rule{"PutBucketNotificationConfiguration", "PutBucketNotification"},
    S3Rule{"GetBucketReplication", "GetReplicationConfiguration"},
    S3Rule{"PutBucketReplication", "PutReplicationConfiguration"},
    S3Rule{"DeleteBucketReplication", "PutReplicationConfiguration"},
    S3Rule{"GetPublicAccessBlock", "GetBucketPublicAccessBlock"},
    S3Rule{"PutPublicAccessBlock", "PutBucketPublicAccessBlock"},
    S3Rule{"DeletePublicAccessBlock", "PutBucketPublicAccessBlock"},
    S3Rule{"DeleteBucketOwnershipControls", "PutBucketOwnershipControls"},
    S3Rule{"GetBucketAccelerateConfiguration", "GetAccelerateConfiguration"},
    S3Rule{"PutBucketAccelerateConfiguration", "PutAccelerateConfiguration"},
    S3Rule{"GetBucketAnalyticsConfiguration", "GetAnalyticsConfiguration"},
    S3Rule{"ListBucketAnalyticsConfigurations", "GetAnalyticsConfiguration"},
    S3Rule{"GetBucketInventoryConfiguration", "GetInventoryConfiguration"},
    S3Rule{"ListBucketInventoryConfigurations", "GetInventoryConfiguration"},
    S3Rule{"GetBucketMetricsConfiguration", "GetMetricsConfiguration"},
    S3Rule{"ListBucketMetricsConfigurations", "GetMetricsConfiguration"},
    S3Rule{"GetBucketIntelligentTieringConfiguration", "GetIntelligentTieringConfiguration"},
    S3Rule{"ListBucketIntelligentTieringConfigurations", "GetIntelligentTieringConfiguration"},
    S3Rule{"GetObjectLockConfiguration", "GetBucketObjectLockConfiguration"},
    S3Rule{"PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"},
};

// Actions that have another name when they ask for one version.
constexpr std::array<std::string_view, 7> kOfVersions = {
    "GetObject",           "DeleteObject", "GetObjectTagging",   "PutObjectTagging",
    "DeleteObjectTagging", "GetObjectAcl", "GetObjectAttributes"};

std::string versioned(std::string_view action) {
  std::string out(action);
  size_t at = out.find("Object");
  return out.insert(at + 6, "Version");
}

}  // namespace

iam::Access s3_access(std::string_view action, std::string_view bucket, std::string_view key) {
  std::string arn = bucket.empty() ? "*" : "arn:aws:s3:::" + std::string(bucket);
  if (!key.empty()) arn += "/" + std::string(key);
  return {"s3:" + std::string(action), std::move(arn)};
}

std::vector<iam::Access> s3_accesses_of(const aws::Operation& operation, const json::object& input,
                                        const http::RequestHead& head) {
  if (operation.name == "DeleteObjects") return {};
  auto renamed = std::find_if(kActions.begin(), kActions.end(),
                              [&](const S3Rule& rule) { return rule.operation == operation.name; });
  std::string action(renamed == kActions.end() ? operation.name : renamed->action);
  std::string bucket(base::find_string(input, "Bucket").value_or(""));
  std::string key(base::find_string(input, "Key").value_or(""));
  if (base::find_string(input, "VersionId") &&
      std::find(kOfVersions.begin(), kOfVersions.end(), action) != kOfVersions.end())
    action = versioned(action);
  std::vector<iam::Access> out{s3_access(action, bucket, key)};
  if (bucket.empty()) out.front().aliases.emplace_back("arn:aws:s3:::*");
  if (action == "GetObjectAttributes") out.push_back(s3_access("GetObject", bucket, key));
  bool writes = operation.name == "PutObject" || operation.name == "CopyObject" ||
                operation.name == "CreateMultipartUpload";
  if (!writes && operation.name != "UploadPartCopy") return out;
  // What goes with the object needs its own permission.
  bool grants = false;
  for (const http::Headers::Field& field : head.headers) {
    std::string name = base::to_lower(field.first);
    grants = grants || name == "x-amz-acl" || name.starts_with("x-amz-grant-");
  }
  if (writes && grants) out.push_back(s3_access("PutObjectAcl", bucket, key));
  if (writes && head.headers.has("x-amz-tagging")) out.push_back(s3_access("PutObjectTagging", bucket, key));
  if (std::string_view from = head.headers.get("x-amz-copy-source"); !from.empty()) {
    size_t version = from.find("?versionId=");
    std::string source = base::percent_decode(from.substr(0, version));
    if (source.starts_with('/')) source.erase(0, 1);
    size_t slash = std::min(source.find('/'), source.size());
    out.push_back(s3_access(version == std::string_view::npos ? "GetObject" : "GetObjectVersion",
                            source.substr(0, slash), source.substr(std::min(slash + 1, source.size()))));
  }
  return out;
}

}  // namespace millrace::services
