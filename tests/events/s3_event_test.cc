#include "events/s3_event.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "events/pattern.h"
#include "events/rule_set.h"

namespace millrace::events {
namespace {

namespace json = base::json;

objects::ObjectEvent upload() {
  objects::ObjectEvent change;
  change.reason = "CompleteMultipartUpload";
  change.bucket = "in";
  change.key = "a b/\xc3\xbc.csv";
  change.size = 42;
  change.etag = "0123-2";
  change.time = 1'700'000'000'000;
  change.sequence = 77;
  change.requester = "123456789012";
  change.source_address = "127.0.0.1";
  change.request_id = "request";
  change.details =
      R"({"userAgent":"aws-cli/2","Host":"127.0.0.1:4600","uploadId":"u","x-amz-acl":"private"})";
  return change;
}

bool matches(const Event& event, const std::string& pattern) {
  RuleSet rules;
  rules.put("r", pattern);
  MatchScratch scratch;
  return !rules.snapshot()->match(event.body, &scratch).empty();
}

// Without this: rules that look at S3's own events match at AWS and not here.
TEST(S3Event, TheNativeFormIsS3s) {
  const Event event = native_s3_event(upload(), {});
  const json::value body = base::parse_json(event.body);
  EXPECT_EQ(body.at("detail-type"), "Object Created");
  EXPECT_EQ(body.at("time"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(json::serialize(body.at("resources")), R"(["arn:aws:s3:::in"])");
  EXPECT_EQ(
      json::serialize(body.at("detail")),
      R"({"version":"0","bucket":{"name":"in"},"object":{"key":"a b/)"
      "\xc3\xbc"
      R"(.csv","size":42,"etag":"0123-2","sequencer":"00000000000000004D"},"request-id":"request",)"
      R"("requester":"123456789012","source-ip-address":"127.0.0.1","reason":"CompleteMultipartUpload"})");
  EXPECT_TRUE(matches(event, R"({"source":["aws.s3"],"detail":{"object":{"size":[{"numeric":[">",41]}]}}})"));
}

// Without this: a deletion that only hides the object looks like one that destroys it.
TEST(S3Event, DeletionsSayWhatTheyDid) {
  objects::ObjectEvent change = upload();
  change.kind = objects::ObjectEvent::Kind::kDeleted;
  change.reason = "DeleteObject";
  change.etag = "";
  change.version_id = "v1";
  for (bool marker : {false, true}) {
    change.delete_marker = marker;
    const json::value body = base::parse_json(native_s3_event(change, {}).body);
    EXPECT_EQ(body.at("detail-type"), "Object Deleted");
    EXPECT_EQ(body.at("detail").at("deletion-type"),
              marker ? "Delete Marker Created" : "Permanently Deleted");
    EXPECT_EQ(body.at("detail").at("object").at("version-id"), "v1");
    EXPECT_FALSE(body.at("detail").at("object").as_object().contains("size"));
  }
}

// Without this: rules of old set-ups, which look at CloudTrail's events, never match.
TEST(S3Event, TheTrailsFormHasTheRequest) {
  const Event event = trail_s3_event(upload(), {});
  EXPECT_TRUE(matches(event, R"({"source":["aws.s3"],"detail-type":["AWS API Call via CloudTrail"],"detail":{
    "eventSource":["s3.amazonaws.com"],"eventName":["PutObject","CompleteMultipartUpload"],
    "requestParameters":{"bucketName":["in"],"key":[{"prefix":"a b/"}],"uploadId":["u"],"x-amz-acl":["private"]}}})"));
  const json::value body = base::parse_json(event.body);
  EXPECT_EQ(json::serialize(body.at("resources")), "[]");
  const json::value& detail = body.at("detail");
  EXPECT_EQ(detail.at("userAgent"), "[aws-cli/2]");
  EXPECT_TRUE(detail.at("responseElements").is_null());
  EXPECT_EQ(detail.at("resources").at(0).at("ARN"), "arn:aws:s3:::in/a b/\xc3\xbc.csv");
  EXPECT_EQ(detail.at("userIdentity").at("type"), "Root");
  EXPECT_EQ(detail.at("eventCategory"), "Data");
}

// Without this: a key of bytes that are no UTF-8 makes an event that nobody can read.
TEST(S3Event, KeysOfAnyBytesMakeJson) {
  objects::ObjectEvent change = upload();
  change.key = "a\xff\"\n";
  EXPECT_NO_THROW(base::parse_json(native_s3_event(change, {}).body));
  EXPECT_NO_THROW(base::parse_json(trail_s3_event(change, {}).body));
}

}  // namespace
}  // namespace millrace::events
