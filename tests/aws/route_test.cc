#include <gtest/gtest.h>

#include "aws/protocol.h"

namespace millrace::aws {
namespace {

http::RequestHead head(std::string method, std::string target, http::Headers headers = {}) {
  http::RequestHead head;
  head.method = std::move(method);
  size_t question = target.find('?');
  head.path = target.substr(0, question);
  if (question != std::string::npos) head.query = target.substr(question + 1);
  head.headers = std::move(headers);
  return head;
}

std::string name_of(const Operation* operation) { return operation ? std::string(operation->name) : "none"; }

struct S3Case {
  const char* method;
  const char* target;
  const char* header;  // one header that discriminates, or ""
  const char* operation;
  const char* key;  // expected Key, or null
};

class S3Route : public testing::TestWithParam<S3Case> {};

TEST_P(S3Route, FindsTheOperation) {
  // Without this an upload of a part would overwrite the object, or a copy would store an empty one.
  const S3Case& c = GetParam();
  http::Headers headers;
  if (*c.header) headers.add(c.header, "b/k");
  http::RequestHead request = head(c.method, c.target, headers);
  const Operation* operation = route(*find_service("s3"), request, "");
  ASSERT_EQ(name_of(operation), c.operation) << c.method << " " << c.target;
  if (!c.key) return;
  base::json::object input = decode(*operation, request, "");
  EXPECT_EQ(base::find_string(input, "Key"), std::optional<std::string_view>(c.key));
  EXPECT_EQ(base::find_string(input, "Bucket"), std::optional<std::string_view>("bucket"));
}

INSTANTIATE_TEST_SUITE_P(
    Forms, S3Route,
    testing::Values(
        S3Case{"GET", "/", "", "ListBuckets", nullptr},
        S3Case{"GET", "/?x-id=ListBuckets", "", "ListBuckets", nullptr},
        S3Case{"PUT", "/bucket", "", "CreateBucket", nullptr},
        S3Case{"PUT", "/bucket/", "", "CreateBucket", nullptr},
        S3Case{"HEAD", "/bucket", "", "HeadBucket", nullptr},
        S3Case{"DELETE", "/bucket", "", "DeleteBucket", nullptr},
        S3Case{"GET", "/bucket", "", "ListObjects", nullptr},
        S3Case{"GET", "/bucket?prefix=a", "", "ListObjects", nullptr},
        S3Case{"GET", "/bucket?list-type=2&prefix=a", "", "ListObjectsV2", nullptr},
        S3Case{"GET", "/bucket/?list-type=2", "", "ListObjectsV2", nullptr},
        S3Case{"GET", "/bucket?location", "", "GetBucketLocation", nullptr},
        S3Case{"GET", "/bucket?location=", "", "GetBucketLocation", nullptr},
        S3Case{"GET", "/bucket?uploads", "", "ListMultipartUploads", nullptr},
        S3Case{"GET", "/bucket?versions", "", "ListObjectVersions", nullptr},
        S3Case{"GET", "/bucket?versioning", "", "GetBucketVersioning", nullptr},
        S3Case{"PUT", "/bucket?versioning", "", "PutBucketVersioning", nullptr},
        S3Case{"GET", "/bucket?analytics&id=a", "", "GetBucketAnalyticsConfiguration", nullptr},
        S3Case{"GET", "/bucket?analytics", "", "ListBucketAnalyticsConfigurations", nullptr},
        S3Case{"POST", "/bucket?delete", "", "DeleteObjects", nullptr},
        S3Case{"POST", "/bucket", "", "none", nullptr}, S3Case{"PATCH", "/bucket", "", "none", nullptr},
        S3Case{"GET", "/bucket/key", "", "GetObject", "key"},
        S3Case{"GET", "/bucket/key?x-id=GetObject", "", "GetObject", "key"},
        S3Case{"GET", "/bucket/key?versionId=3", "", "GetObject", "key"},
        S3Case{"GET", "/bucket/key?tagging", "", "GetObjectTagging", "key"},
        S3Case{"GET", "/bucket/key?uploadId=x", "", "ListParts", "key"},
        S3Case{"GET", "/bucket/key?attributes", "x-amz-object-attributes", "GetObjectAttributes", "key"},
        S3Case{"HEAD", "/bucket/key", "", "HeadObject", "key"},
        S3Case{"PUT", "/bucket/key", "", "PutObject", "key"},
        S3Case{"PUT", "/bucket/key?x-id=PutObject", "", "PutObject", "key"},
        S3Case{"PUT", "/bucket/key", "x-amz-copy-source", "CopyObject", "key"},
        S3Case{"PUT", "/bucket/key?uploadId=x&partNumber=2", "", "UploadPart", "key"},
        S3Case{"PUT", "/bucket/key?partNumber=2&uploadId=x", "X-Amz-Copy-Source", "UploadPartCopy", "key"},
        S3Case{"PUT", "/bucket/key?tagging", "", "PutObjectTagging", nullptr},
        S3Case{"POST", "/bucket/key?uploads", "", "CreateMultipartUpload", "key"},
        S3Case{"POST", "/bucket/key?uploads=", "", "CreateMultipartUpload", "key"},
        S3Case{"POST", "/bucket/key?uploadId=x", "", "CompleteMultipartUpload", "key"},
        S3Case{"DELETE", "/bucket/key", "", "DeleteObject", "key"},
        S3Case{"DELETE", "/bucket/key?uploadId=x", "", "AbortMultipartUpload", "key"},
        S3Case{"DELETE", "/bucket/key?tagging", "", "DeleteObjectTagging", "key"},
        S3Case{"GET", "/bucket//a//b/", "", "GetObject", "/a//b/"},
        S3Case{"GET", "/bucket/../x/./y", "", "GetObject", "../x/./y"},
        S3Case{"GET", "/bucket/a%20b%2Bc%2fd+e", "", "GetObject", "a b+c/d+e"},
        S3Case{"GET", "/bucket/%2541", "", "GetObject", "%41"},
        S3Case{"GET", "/bucket/100%", "", "GetObject", "100%"},
        S3Case{"GET", "/bucket/%ff%00x", "", "GetObject", nullptr}));

TEST(Route, RestJsonByUri) {
  // Without this Batch operations, and ARNs in a path, are not found.
  const ServiceModel& batch = *find_service("batch");
  EXPECT_EQ(name_of(route(batch, head("POST", "/v1/submitjob"), "")), "SubmitJob");
  EXPECT_EQ(name_of(route(batch, head("GET", "/v1/submitjob"), "")), "none");
  EXPECT_EQ(name_of(route(batch, head("POST", "/v1/submitjob/"), "")), "none");
  http::RequestHead untag =
      head("DELETE", "/v1/tags/arn%3Aaws%3Abatch%3Aus-east-1%3A1%3Ajob-queue%2Fq?tagKeys=a&tagKeys=b%20c");
  const Operation* operation = route(batch, untag, "");
  ASSERT_EQ(name_of(operation), "UntagResource");
  EXPECT_EQ(base::json::serialize(decode(*operation, untag, "")),
            R"({"resourceArn":"arn:aws:batch:us-east-1:1:job-queue/q","tagKeys":["a","b c"]})");
}

TEST(Route, EveryRestOperationIsReachedByItsOwnTemplate) {
  // Without this an operation of the tables may be shadowed by another one.
  for (const ServiceModel* service : all_services()) {
    for (const Operation& operation : service->operations) {
      if (operation.uri.empty()) continue;
      std::string path;
      for (const Segment& segment : operation.path)
        path += "/" + (segment.label < 0 ? std::string(segment.text) : "x");
      if (path.empty()) path = "/";
      std::string query;
      http::Headers headers;
      for (const QueryLiteral& literal : operation.query)
        query +=
            "&" + std::string(literal.name) + (literal.value.empty() ? "" : "=") + std::string(literal.value);
      for (const Member& member : operation.input->members) {
        if (member.required && member.location == Location::kQuery)
          query += "&" + std::string(member.wire) + "=1";
        if (member.required && member.location == Location::kHeader)
          headers.add(std::string(member.wire), "1");
      }
      if (!operation.wanted_id.empty()) query += "&x-id=" + std::string(operation.wanted_id);
      if (!query.empty()) query = "?" + query.substr(1);
      EXPECT_EQ(name_of(route(*service, head(std::string(operation.method), path + query, headers), "")),
                operation.name);
    }
  }
}

TEST(Route, ByTargetAndByAction) {
  // Without this the JSON and Query services answer every call with an unknown operation.
  http::Headers target;
  target.add("X-Amz-Target", "Logs_20140328.PutLogEvents");
  EXPECT_EQ(name_of(route(*find_service("logs"), head("POST", "/", target), "{}")), "PutLogEvents");
  EXPECT_EQ(name_of(route(*find_service("events"), head("POST", "/", target), "{}")), "none");
  EXPECT_EQ(find_service_by_target("AmazonSSM.GetParameter"), find_service("ssm"));
  EXPECT_EQ(find_service_by_target(""), nullptr);
  const ServiceModel& sts = *find_service("sts");
  EXPECT_EQ(name_of(route(sts, head("POST", "/"), "Version=2011-06-15&Action=GetCallerIdentity")),
            "GetCallerIdentity");
  EXPECT_EQ(name_of(route(sts, head("GET", "/?Action=GetCallerIdentity&Version=2011-06-15"), "")),
            "GetCallerIdentity");
  EXPECT_EQ(name_of(route(sts, head("POST", "/"), "XAction=GetCallerIdentity")), "none");
}

TEST(Route, UnknownOperationsAnswerAsAws) {
  // Without this SDKs retry, or report nonsense, when an operation is missing.
  ApiError rest = unknown_operation(*find_service("batch"), head("POST", "/v1/nothing"), "");
  EXPECT_EQ(rest.status, 404);
  EXPECT_EQ(rest.code(), "UnknownOperationException");
  ApiError json = unknown_operation(*find_service("logs"), head("POST", "/"), "");
  EXPECT_EQ(json.status, 400);
  EXPECT_EQ(json.code(), "UnknownOperationException");
  ApiError query =
      unknown_operation(*find_service("iam"), head("POST", "/"), "Action=Nope&Version=2010-05-08");
  EXPECT_EQ(query.code(), "InvalidAction");
  EXPECT_STREQ(query.what(), "Could not find operation Nope for version 2010-05-08");
  EXPECT_EQ(unknown_operation(*find_service("s3"), head("PATCH", "/b"), "").status, 405);
}

}  // namespace
}  // namespace millrace::aws
