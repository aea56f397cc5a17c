// What Terraform, s3cmd and the SDKs read and write around objects: versions, tags, settings of buckets.
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/strings.h"
#include "tests/services/s3_server.h"

namespace millrace::services {
namespace {

using S3SubResourcesTest = S3Server;

TEST_F(S3SubResourcesTest, VersionsOverTheWire) {
  // Without this a versioned bucket looks to its clients as if it had none.
  EXPECT_EQ(element(send("GET", "/bucket?versioning").body, "Status"), "");
  EXPECT_FALSE(send("PUT", "/bucket/k", "zero").headers.has("x-amz-version-id"));
  EXPECT_EQ(send("PUT", "/bucket?versioning",
                 "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
                .status,
            200);
  EXPECT_EQ(element(send("GET", "/bucket?versioning").body, "Status"), "Enabled");
  std::string v1(send("PUT", "/bucket/k", "one").headers.get("x-amz-version-id"));
  std::string v2(send("PUT", "/bucket/k", "two").headers.get("x-amz-version-id"));
  EXPECT_EQ(send("GET", "/bucket/k").headers.get("x-amz-version-id"), v2);
  EXPECT_EQ(send("GET", "/bucket/k?versionId=" + v1).body, "one");
  EXPECT_EQ(send("GET", "/bucket/k?versionId=null").body, "zero");
  expect_error(send("GET", "/bucket/k?versionId="), 400, "InvalidArgument");
  expect_error(send("GET", "/bucket/k?versionId=ffff"), 400, "InvalidArgument");

  http::ClientResponse gone = send("DELETE", "/bucket/k");
  EXPECT_EQ(gone.status, 204);
  EXPECT_EQ(gone.headers.get("x-amz-delete-marker"), "true");
  std::string marker(gone.headers.get("x-amz-version-id"));
  http::ClientResponse hidden = send("GET", "/bucket/k");
  expect_error(hidden, 404, "NoSuchKey");
  EXPECT_EQ(hidden.headers.get("x-amz-delete-marker"), "true");
  http::ClientResponse asked = send("GET", "/bucket/k?versionId=" + marker);
  expect_error(asked, 405, "MethodNotAllowed");
  EXPECT_EQ(asked.headers.get("allow"), "DELETE");
  EXPECT_EQ(send("HEAD", "/bucket/k?versionId=" + marker).status, 405);
  EXPECT_EQ(send("HEAD", "/bucket/k").status, 404);

  std::string list = send("GET", "/bucket?versions").body;
  EXPECT_NE(list.find("<DeleteMarker>"), std::string::npos) << list;
  EXPECT_NE(list.find("<VersionId>" + v1 + "</VersionId>"), std::string::npos) << list;
  EXPECT_NE(list.find("<VersionId>null</VersionId>"), std::string::npos) << list;
  http::ClientResponse page = send("GET", "/bucket?versions&max-keys=1");
  EXPECT_EQ(element(page.body, "NextVersionIdMarker"), marker);
  expect_error(send("GET", "/bucket?versions&version-id-marker=" + v1), 400, "InvalidArgument");

  http::ClientResponse copied =
      send("PUT", "/bucket/copy", "", {{"x-amz-copy-source", "/bucket/k?versionId=" + v1}});
  EXPECT_EQ(copied.status, 200) << copied.body;
  EXPECT_EQ(copied.headers.get("x-amz-copy-source-version-id"), v1);
  EXPECT_EQ(send("GET", "/bucket/copy").body, "one");
  expect_error(send("PUT", "/bucket/copy", "", {{"x-amz-copy-source", "/bucket/k?versionId=" + marker}}), 400,
               "InvalidRequest");
  expect_error(send("PUT", "/bucket/copy", "", {{"x-amz-copy-source", "/bucket/k"}}), 404, "NoSuchKey");

  std::string batch = "<Delete><Object><Key>k</Key><VersionId>" + marker +
                      "</VersionId></Object><Object><Key>k" + "</Key><VersionId>" + v2 +
                      "</VersionId></Object></Delete>";
  http::ClientResponse deleted =
      send("POST", "/bucket?delete", batch, {{"Content-MD5", base::base64(base::md5(batch))}});
  EXPECT_EQ(element(deleted.body, "DeleteMarkerVersionId"), marker) << deleted.body;
  EXPECT_EQ(send("GET", "/bucket/k").body, "one");
}

TEST_F(S3SubResourcesTest, TagsOfObjects) {
  // Without this Terraform's objects are never as configured.
  send("PUT", "/bucket/k", "x", {{"x-amz-tagging", "a=1&b%20c=2"}});
  EXPECT_EQ(send("HEAD", "/bucket/k").headers.get("x-amz-tagging-count"), "2");
  std::string tags = "<Tagging><TagSet><Tag><Key>p</Key><Value>q&amp;=</Value></Tag></TagSet></Tagging>";
  EXPECT_EQ(send("PUT", "/bucket/k?tagging", tags).status, 400) << "& is no character of a tag";
  tags = "<Tagging><TagSet><Tag><Key>p</Key><Value>q=/@</Value></Tag></TagSet></Tagging>";
  EXPECT_EQ(send("PUT", "/bucket/k?tagging", tags).status, 200);
  EXPECT_EQ(element(send("GET", "/bucket/k?tagging").body, "Value"), "q=/@");
  EXPECT_EQ(send("DELETE", "/bucket/k?tagging").status, 204);
  EXPECT_EQ(element(send("GET", "/bucket/k?tagging").body, "Value"), "");
  std::string many = "<Tagging><TagSet>";
  for (char c = 'a'; c <= 'k'; ++c) many += std::string("<Tag><Key>") + c + "</Key><Value>v</Value></Tag>";
  expect_error(send("PUT", "/bucket/k?tagging", many + "</TagSet></Tagging>"), 400, "BadRequest");
  expect_error(send("PUT", "/bucket/k2", "x", {{"x-amz-tagging", "a=1&a=2"}}), 400, "InvalidTag");
  expect_error(send("PUT", "/bucket/k?tagging", "<Tagging><TagSet>"), 400, "MalformedXML");
}

TEST_F(S3SubResourcesTest, AttributesOfObjects) {
  // Without this tools that verify uploads by attributes cannot.
  http::ClientResponse put = send("PUT", "/bucket/k", "123456789");
  EXPECT_EQ(put.headers.get("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=") << "the default since 2024";
  http::ClientResponse told =
      send("GET", "/bucket/k?attributes", "", {{"x-amz-object-attributes", "ETag,Checksum,ObjectSize"}});
  EXPECT_EQ(told.status, 200) << told.body;
  EXPECT_EQ(element(told.body, "ETag"), base::md5_hex("123456789")) << "without quotes";
  EXPECT_EQ(element(told.body, "ObjectSize"), "9");
  EXPECT_EQ(element(told.body, "ChecksumCRC64NVME"), "rosUhgp5mIg=");
  EXPECT_EQ(element(told.body, "StorageClass"), "") << "not asked for";
}

struct Unconfigured {
  const char* query;
  int status;
  const char* found;  // an error code, or text of the document
};

TEST_F(S3SubResourcesTest, AnUnconfiguredBucketAnswersAsOnAws) {
  // Without this `terraform plan` fails on its first look at a bucket.
  for (const Unconfigured& expected : {
           Unconfigured{"accelerate", 200, "<AccelerateConfiguration"},
           {"acl", 200, "FULL_CONTROL"},
           {"cors", 404, "NoSuchCORSConfiguration"},
           {"encryption", 200, "<SSEAlgorithm>AES256</SSEAlgorithm>"},
           {"lifecycle", 404, "NoSuchLifecycleConfiguration"},
           {"location", 200, "<LocationConstraint"},
           {"logging", 200, "<BucketLoggingStatus"},
           {"notification", 200, "<NotificationConfiguration"},
           {"object-lock", 404, "ObjectLockConfigurationNotFoundError"},
           {"ownershipControls", 200, "BucketOwnerEnforced"},
           {"policy", 404, "NoSuchBucketPolicy"},
           {"policyStatus", 404, "NoSuchBucketPolicy"},
           {"publicAccessBlock", 200, "<BlockPublicAcls>true</BlockPublicAcls>"},
           {"replication", 404, "ReplicationConfigurationNotFoundError"},
           {"requestPayment", 200, "<Payer>BucketOwner</Payer>"},
           {"tagging", 404, "NoSuchTagSet"},
           {"versioning", 200, "<VersioningConfiguration"},
           {"website", 404, "NoSuchWebsiteConfiguration"},
           {"metrics&id=x", 404, "NoSuchConfiguration"},
           {"inventory", 200, "IsTruncated"},
       }) {
    http::ClientResponse answer = send("GET", std::string("/bucket?") + expected.query);
    EXPECT_EQ(answer.status, expected.status) << expected.query << answer.body;
    EXPECT_NE(answer.body.find(expected.found), std::string::npos) << expected.query << answer.body;
    expect_error(send("GET", std::string("/nosuch?") + expected.query), 404, "NoSuchBucket");
  }
}

TEST_F(S3SubResourcesTest, WhatIsPutIsKeptAndCanBeDeleted) {
  // Without this a second `terraform apply` finds nothing of the first.
  struct Kept {
    const char* query;
    const char* document;
    const char* after_delete;  // error code; empty: cannot be deleted
  };
  for (
      const Kept& kept : {
          Kept{"cors",
               "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</"
               "AllowedOrigin>"
               "</CORSRule></CORSConfiguration>",
               "NoSuchCORSConfiguration"},
          {"policy",
           R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}})",
           "NoSuchBucketPolicy"},
          {"publicAccessBlock",
           "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls>"
           "</PublicAccessBlockConfiguration>",
           "NoSuchPublicAccessBlockConfiguration"},
          {"notification",
           "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>", ""},
          {"tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
           "NoSuchTagSet"},
          {"lifecycle",
           "<LifecycleConfiguration><Rule><ID>x</ID><Filter><Prefix/></Filter><Status>Enabled</Status>"
           "<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
           "NoSuchLifecycleConfiguration"},
      }) {
    std::string target = std::string("/bucket?") + kept.query;
    EXPECT_LT(send("PUT", target, kept.document).status, 300) << kept.query;
    EXPECT_EQ(send("GET", target).body, kept.document);
    if (std::string_view(kept.query) == "policy") {
      EXPECT_EQ(element(send("GET", "/bucket?policyStatus").body, "IsPublic"), "true");
      expect_error(send("PUT", target, "{}"), 400, "MalformedPolicy");
      expect_error(send("PUT", target, "no json"), 400, "MalformedPolicy");
    } else {
      expect_error(send("PUT", target, "<Wrong"), 400, "MalformedXML");
    }
    EXPECT_EQ(send("GET", target).body, kept.document) << "a refused one changes nothing";
    if (!*kept.after_delete) continue;
    EXPECT_EQ(send("DELETE", target).status, 204);
    expect_error(send("GET", target), 404, kept.after_delete);
  }
  store_.delete_bucket("bucket");
  store_.create_bucket("bucket", "us-east-1");
  EXPECT_EQ(send("GET", "/bucket?notification").body.find("EventBridge"), std::string::npos)
      << "a new bucket of the same name is a new bucket";
}

TEST_F(S3SubResourcesTest, NobodyElseIsGrantedAnything) {
  // Without this a public-read upload seems to work and is public nowhere.
  EXPECT_EQ(send("PUT", "/bucket/k", "x", {{"x-amz-acl", "private"}}).status, 200);
  expect_error(send("PUT", "/bucket/k", "y", {{"x-amz-acl", "public-read"}}), 400,
               "AccessControlListNotSupported");
  expect_error(send("PUT", "/bucket/k?acl", "", {{"x-amz-grant-read", "id=1"}}), 400,
               "AccessControlListNotSupported");
  EXPECT_EQ(send("GET", "/bucket/k").body, "x");
  EXPECT_EQ(send("GET", "/bucket/k?acl").status, 200);
  expect_error(send("GET", "/bucket/k", "", {{"x-amz-expected-bucket-owner", "210987654321"}}), 403,
               "AccessDenied");
  EXPECT_EQ(send("GET", "/bucket/k", "", {{"x-amz-expected-bucket-owner", "123456789012"}}).status, 200);
  expect_error(send("PUT", "/bucket/k", "z", {{"x-amz-expected-bucket-owner", "210987654321"}}), 403,
               "AccessDenied");
  expect_error(send("GET", "/bucket/k?retention"), 400, "InvalidRequest");
}

TEST_F(S3SubResourcesTest, BucketsAreTaggedAsTheyAreMade) {
  // Without this the tags that new SDKs send with the bucket are lost without a word.
  std::string tags = "<Tags><Tag><Key>a</Key><Value>b&amp;c</Value></Tag></Tags>";
  std::string document = "<CreateBucketConfiguration>" + tags + "</CreateBucketConfiguration>";
  expect_error(send("PUT", "/tagged", document), 400, "InvalidTag");
  EXPECT_EQ(send("GET", "/tagged?location").status, 404);
  document = base::replace_all(document, "&amp;", "=");
  EXPECT_EQ(send("PUT", "/tagged", document).status, 200);
  EXPECT_EQ(element(send("GET", "/tagged?tagging").body, "Value"), "b=c");
}

TEST_F(S3SubResourcesTest, TheSizeOfAnUploadIsChecked) {
  // Without this an upload that lost its last part is completed as if it were whole.
  std::string id = element(send("POST", "/bucket/k?uploads").body, "UploadId");
  std::string etag(send("PUT", "/bucket/k?partNumber=1&uploadId=" + id, "12345").headers.get("etag"));
  std::string document = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag +
                         "</ETag></Part></CompleteMultipartUpload>";
  expect_error(send("POST", "/bucket/k?uploadId=" + id, document, {{"x-amz-mp-object-size", "6"}}), 400,
               "InvalidRequest");
  EXPECT_EQ(send("POST", "/bucket/k?uploadId=" + id, document, {{"x-amz-mp-object-size", "5"}}).status, 200);
  EXPECT_EQ(
      send("HEAD", "/bucket/k", "", {{"x-amz-checksum-mode", "ENABLED"}}).headers.get("x-amz-checksum-type"),
      "FULL_OBJECT");
}

TEST_F(S3SubResourcesTest, StorageClassesAndWhatErrorsName) {
  // Without this listings and heads contradict each other, and errors do not say about what they are.
  EXPECT_EQ(send("PUT", "/bucket/cold", "x",
                 {{"x-amz-storage-class", "GLACIER_IR"}, {"x-amz-meta-a", "x-amz-storage-class"}})
                .status,
            200);
  EXPECT_EQ(send("HEAD", "/bucket/cold").headers.get("x-amz-storage-class"), "GLACIER_IR");
  EXPECT_EQ(element(send("GET", "/bucket?list-type=2").body, "StorageClass"), "GLACIER_IR");
  EXPECT_EQ(element(send("GET", "/bucket?versions").body, "StorageClass"), "GLACIER_IR");
  expect_error(send("PUT", "/bucket/x", "x", {{"x-amz-storage-class", "COLD"}}), 400, "InvalidStorageClass");
  EXPECT_EQ(element(send("GET", "/bucket/no%20key").body, "Key"), "no key");
  EXPECT_EQ(element(send("GET", "/nobucket/x").body, "BucketName"), "nobucket");
  http::ClientResponse refused = send("POST", "/bucket/cold?select&select-type=2", "<x/>");
  expect_error(refused, 501, "NotImplemented");
  EXPECT_NE(refused.body.find("SelectObjectContent"), std::string::npos);
}

}  // namespace
}  // namespace millrace::services
