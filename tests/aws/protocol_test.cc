#include "aws/protocol.h"

#include <gtest/gtest.h>

namespace millrace::aws {
namespace {

namespace json = base::json;

const Operation& operation(std::string_view service, std::string_view name) {
  return *find_operation(*find_service(service), name);
}

json::object decode_body(std::string_view service, std::string_view name, std::string_view body) {
  http::RequestHead head;
  head.method = "POST";
  head.path = "/";
  return decode(operation(service, name), head, body);
}

struct Refusal {
  int status = 0;
  std::string code, message;
  bool operator==(const Refusal&) const = default;
};
void PrintTo(const Refusal& r, std::ostream* out) { *out << r.status << " " << r.code << ": " << r.message; }

Refusal refusal(std::string_view service, std::string_view name, std::string_view body) {
  try {
    decode_body(service, name, body);
  } catch (const ApiError& error) {
    return {error.status, error.code(), error.what()};
  }
  return {};
}

std::string header(const http::Response& response, std::string_view name) {
  return std::string(response.headers.get(name));
}

TEST(Decode, RestJsonBody) {
  // Without this a valid SubmitJob is refused, or loses members, or keeps unknown ones and nulls.
  json::object input = decode_body(
      "batch", "SubmitJob",
      R"({"jobName":"j","jobQueue":"q","jobDefinition":"d","unknown":{"a":1},"shareIdentifier":null,)"
      R"("containerOverrides":{"environment":[{"name":"A","value":"1"}],"vcpus":2},"retryStrategy":)"
      R"({"attempts":3,"evaluateOnExit":[{"onExitCode":"1","action":"retry"}]},"parameters":{"x":"y"}})");
  EXPECT_EQ(
      json::serialize(input),
      R"({"jobName":"j","jobQueue":"q","jobDefinition":"d",)"
      R"("containerOverrides":{"environment":[{"name":"A","value":"1"}],"vcpus":2},"retryStrategy":)"
      R"({"attempts":3,"evaluateOnExit":[{"onExitCode":"1","action":"retry"}]},"parameters":{"x":"y"}})");
}

TEST(Decode, LeavesEnumsWithSentencesOfTheirOwnToTheService) {
  // Without this the model's message hides the one that AWS gives for these two.
  json::object input =
      decode_body("batch", "RegisterJobDefinition",
                  R"({"jobDefinitionName":"d","type":"container","platformCapabilities":["X"]})");
  EXPECT_EQ(input.at("platformCapabilities"), json::value(json::array{"X"}));
  EXPECT_EQ(refusal("batch", "UpdateJobQueue",
                    R"({"jobQueue":"q","jobStateTimeLimitActions":[{"reason":"r","state":"RUNNABLE",)"
                    R"("maxTimeSeconds":600,"action":"X"}]})"),
            Refusal{});
}

TEST(Decode, BatchRefusals) {
  // Without this Batch answers bad input with something else than ClientException 400.
  EXPECT_EQ(
      refusal("batch", "SubmitJob", R"({"jobName":"j","jobQueue":"q"})"),
      (Refusal{400, "ClientException",
               "1 validation error detected: Value null at 'jobDefinition' failed to satisfy constraint: "
               "Member must not be null"}));
  EXPECT_EQ(refusal("batch", "SubmitJob", R"({"jobName":1,"jobQueue":"q","jobDefinition":"d"})"),
            (Refusal{400, "ClientException", "NUMBER_VALUE can not be converted to a String"}));
  EXPECT_EQ(refusal("batch", "CancelJob", "{\"jobId\":").code, "ClientException");
  EXPECT_EQ(refusal("batch", "CancelJob", "[]").code, "ClientException");
  EXPECT_EQ(refusal("batch", "CancelJob", "").code, "ClientException");
  EXPECT_EQ(
      refusal("batch", "CreateJobQueue", R"({"jobQueueName":"q","priority":1,"state":"ON"})"),
      (Refusal{400, "ClientException",
               "1 validation error detected: Value 'ON' at 'state' failed to satisfy constraint: Member must "
               "satisfy enum value set: [DISABLED, ENABLED]"}));
  EXPECT_EQ(refusal("batch", "CreateJobQueue", R"({"jobQueueName":"q","priority":1.5})").code,
            "ClientException");
  EXPECT_EQ(refusal("batch", "CreateJobQueue", R"({"jobQueueName":"q","priority":3000000000})").code,
            "ClientException");
}

TEST(Decode, ConstraintsInAwsWords) {
  // Without this users do not recognise the errors that AWS gives for the same mistake.
  EXPECT_EQ(
      refusal("logs", "CreateLogGroup", R"({"logGroupName":"a b"})"),
      (Refusal{
          400, "InvalidParameterException",
          "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member "
          "must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"}));
  EXPECT_EQ(refusal("events", "PutRule", "{}").code, "ValidationException");
  EXPECT_EQ(refusal("events", "PutRule", R"({"Name":7})").code, "SerializationException");
  EXPECT_EQ(
      refusal("events", "PutTargets", R"({"Rule":"r","Targets":[{"Id":"1","Arn":""},{"Id":"","Arn":"a"}]})")
          .message,
      "3 validation errors detected: Value '' at 'targets.1.member.arn' failed to satisfy constraint: Member "
      "must have length greater than or equal to 1; Value '' at 'targets.2.member.id' failed to satisfy "
      "constraint: Member must have length greater than or equal to 1; Value '' at 'targets.2.member.id' "
      "failed "
      "to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+");
  EXPECT_EQ(
      refusal("events", "PutEvents", R"({"Entries":[]})").message,
      "1 validation error detected: Value '[]' at 'entries' failed to satisfy constraint: Member must have "
      "length greater than or equal to 1");
  EXPECT_EQ(refusal("secretsmanager", "GetSecretValue", "{}").message,
            "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must "
            "not be "
            "null");
  EXPECT_EQ(refusal("logs", "DescribeLogGroups", R"({"limit":51})").message,
            "1 validation error detected: Value '51' at 'limit' failed to satisfy constraint: Member must "
            "have value "
            "less than or equal to 50");
}

TEST(Decode, LengthCountsCharacters) {
  // Without this a name of 256 letters outside ASCII is refused for its bytes.
  std::string name;
  for (int i = 0; i < 256; ++i) name += "\xc3\xa9";
  EXPECT_EQ(refusal("batch", "TagResource", "{\"tags\":{}}").status, 400);
  json::object tags;
  tags["k"] = name;
  http::RequestHead head;
  head.method = "POST";
  head.path = "/v1/tags/arn";
  json::object body;
  body["tags"] = tags;
  EXPECT_NO_THROW(decode(operation("batch", "TagResource"), head, json::serialize(body)));
  body["tags"].as_object()["k"] = name + "x";
  EXPECT_THROW(decode(operation("batch", "TagResource"), head, json::serialize(body)), ApiError);
}

TEST(Decode, TimestampsBecomeMilliseconds) {
  // Without this an event of 2023 is stored as one of 1970.
  json::object input =
      decode_body("events", "PutEvents", R"({"Entries":[{"Source":"s","Time":1700000000.125}]})");
  EXPECT_EQ(json::serialize(input), R"({"Entries":[{"Source":"s","Time":1700000000125}]})");
  EXPECT_EQ(refusal("events", "PutEvents", R"({"Entries":[{"Time":1e300}]})").code, "SerializationException");
  EXPECT_EQ(refusal("events", "PutEvents", R"({"Entries":[{"Time":true}]})").code, "SerializationException");
}

TEST(Decode, QueryForms) {
  // Without this lists and structures of IAM and STS requests are lost.
  json::object input =
      decode_body("sts", "AssumeRole",
                  "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Flong-"
                  "enough&RoleSessionName=s1&DurationSeconds=900&Tags.member.1.Key=a+b&Tags.member.1."
                  "Value=1&Tags.member.2.Key=c&Tags.member.2.Value=");
  EXPECT_EQ(json::serialize(input),
            R"({"RoleArn":"arn:aws:iam::1:role/long-enough","RoleSessionName":"s1","DurationSeconds":900,)"
            R"("Tags":[{"Key":"a b","Value":"1"},{"Key":"c","Value":""}]})");
  EXPECT_EQ(refusal("sts", "AssumeRole", "RoleSessionName=s1").code, "ValidationError");
  EXPECT_EQ(refusal("sts", "AssumeRole",
                    "RoleSessionName=s1&RoleArn=" + std::string(30, 'a') + "&DurationSeconds=x")
                .code,
            "ValidationError");
}

TEST(Decode, S3Xml) {
  // Without this CompleteMultipartUpload and DeleteObjects cannot be read.
  http::RequestHead head;
  head.method = "POST";
  head.path = "/b/k";
  head.query = "uploadId=u%2B1";
  json::object input =
      decode(operation("s3", "CompleteMultipartUpload"), head,
             "<?xml version=\"1.0\"?><CompleteMultipartUpload "
             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><ETag>&quot;a&quot;</ETag>"
             "<PartNumber>1</PartNumber></Part><Part><PartNumber>2</PartNumber><ETag>b</ETag></Part>"
             "</CompleteMultipartUpload>");
  EXPECT_EQ(json::serialize(input),
            R"({"MultipartUpload":{"Parts":[{"ETag":"\"a\"","PartNumber":1},{"ETag":"b","PartNumber":2}]},)"
            R"("Bucket":"b","Key":"k","UploadId":"u+1"})");

  head.path = "/b";
  head.query = "delete";
  input = decode(
      operation("s3", "DeleteObjects"), head,
      "<s:Delete xmlns:s='x'><s:Object><s:Key> </s:Key></s:Object><Object><Key>a&amp;&#13;<![CDATA[<]]></Key>"
      "</Object><Quiet>true</Quiet></s:Delete>");
  EXPECT_EQ(json::serialize(input),
            R"({"Delete":{"Objects":[{"Key":" "},{"Key":"a&\r<"}],"Quiet":true},"Bucket":"b"})");
  for (const char* bad :
       {"<Delete>", "<Other/>", "x", "<Delete><Quiet>maybe</Quiet></Delete>", "<Delete/>"}) {
    try {
      decode(operation("s3", "DeleteObjects"), head, bad);
      ADD_FAILURE() << bad;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.code(), "MalformedXML") << bad;
    }
  }
}

TEST(Decode, S3HeadersAndQuery) {
  // Without this metadata, ranges of parts and conditions of a request are lost.
  http::RequestHead head;
  head.method = "PUT";
  head.path = "/b/k";
  head.headers.add("X-Amz-Meta-Owner", " me ");
  head.headers.add("Content-Type", "text/plain");
  head.headers.add("x-amz-server-side-encryption-bucket-key-enabled", "true");
  head.headers.add("Expires", "Sat, 21 Nov 2026 14:18:25 GMT");
  EXPECT_EQ(json::serialize(decode(operation("s3", "PutObject"), head, "ignored")),
            R"({"Bucket":"b","Key":"k","ContentType":"text/plain","Expires":1795270705000,)"
            R"("Metadata":{"owner":"me"},"BucketKeyEnabled":true})");
  head.query = "uploadId=u&partNumber=x";
  try {
    decode(operation("s3", "UploadPart"), head, "");
    ADD_FAILURE();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.code(), "InvalidArgument");
    EXPECT_EQ(error.details[0], std::pair(std::string("ArgumentName"), std::string("partNumber")));
  }
}

TEST(Encode, RestJson) {
  // Without this a reply has members that AWS's does not, or lacks its request id.
  json::object output =
      base::parse_json(R"({"jobName":"j","jobId":"1","extra":1,"jobArn":null})").as_object();
  http::Response response = encode(operation("batch", "SubmitJob"), output, "req");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"jobName":"j","jobId":"1"})");
  EXPECT_EQ(header(response, "x-amzn-requestid"), "req");
  EXPECT_EQ(header(response, "content-type"), "application/json");
  EXPECT_THROW(encode(operation("batch", "SubmitJob"), {{"jobName", 5}}, "req"), base::InternalError);
}

TEST(Encode, JsonTimestampsAreSeconds) {
  // Without this SDKs show dates fifty thousand years ahead.
  json::object output =
      base::parse_json(R"({"Name":"s","CreatedDate":1700000000000,"DeletedDate":1700000000125})").as_object();
  http::Response response = encode(operation("secretsmanager", "DescribeSecret"), output, "r");
  EXPECT_EQ(header(response, "content-type"), "application/x-amz-json-1.1");
  json::object back = base::parse_json(response.body).as_object();
  EXPECT_EQ(back["CreatedDate"].as_int64(), 1700000000);
  EXPECT_DOUBLE_EQ(back["DeletedDate"].as_double(), 1700000000.125);
}

TEST(Encode, Query) {
  // Without this the CLI cannot read who it is.
  json::object output = {{"UserId", "u"}, {"Account", "1<2"}, {"Arn", "a"}};
  EXPECT_EQ(
      encode(operation("sts", "GetCallerIdentity"), output, "r").body,
      "<GetCallerIdentityResponse "
      "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"
      "<UserId>u</UserId><Account>1&lt;2</Account><Arn>a</Arn></GetCallerIdentityResult><ResponseMetadata>"
      "<RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>");
}

TEST(Encode, S3Xml) {
  // Without this listings are unreadable: lists are flattened, order, dates and escapes are fixed.
  json::object output =
      base::parse_json(
          R"({"KeyCount":1,"Name":"b","IsTruncated":false,"CommonPrefixes":[{"Prefix":"p/"}],"Contents":[)"
          R"({"Key":"a&\r\u0001","LastModified":1700000000000,"ETag":"\"e\"","Size":5}]})")
          .as_object();
  EXPECT_EQ(
      encode(operation("s3", "ListObjectsV2"), output, "r").body,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>false</"
      "IsTruncated><Contents><Key>a&amp;"
      "&#13;&#1;</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>5"
      "</Size></Contents><Name>b</Name><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes><KeyCount>1"
      "</KeyCount></ListBucketResult>");
  EXPECT_EQ(encode(operation("s3", "GetBucketLocation"), {{"LocationConstraint", "eu-west-1"}}, "r").body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
            "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">eu-west-1</LocationConstraint>");
  EXPECT_EQ(encode(operation("s3", "GetBucketPolicy"), {{"Policy", "{\"a\":1}"}}, "r").body, "{\"a\":1}");
}

TEST(Encode, S3Headers) {
  // Without this GetObject and HeadObject lose their metadata, and stored text could forge a header.
  json::object output =
      base::parse_json(
          R"({"ContentLength":5,"LastModified":1700000000000,"ETag":"\"e\"","Metadata":{"a":"b\r\nX: y"},)"
          R"("DeleteMarker":true})")
          .as_object();
  http::Response response = encode(operation("s3", "HeadObject"), output, "r");
  EXPECT_EQ(header(response, "last-modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
  EXPECT_EQ(header(response, "x-amz-meta-a"), "b  X: y");
  EXPECT_EQ(header(response, "x-amz-delete-marker"), "true");
  EXPECT_EQ(header(response, "x-amz-request-id"), "r");
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(encode(operation("s3", "DeleteObject"), {}, "r").status, 204);
}

TEST(EncodeError, EachProtocol) {
  // Without this SDKs raise a parse error instead of the service's exception.
  http::Response batch = encode_error(find_service("batch"), {400, "ClientException", "no \"q\""}, "r");
  EXPECT_EQ(header(batch, "x-amzn-errortype"), "ClientException");
  EXPECT_EQ(batch.body, R"({"message":"no \"q\""})");
  EXPECT_EQ(header(encode_error(nullptr, {403, "AccessDeniedException", "m"}, "r"), "x-amzn-requestid"), "r");
  EXPECT_EQ(encode_error(find_service("logs"), {400, "ResourceNotFoundException", "m"}, "r").body,
            R"({"__type":"ResourceNotFoundException","message":"m"})");
  EXPECT_EQ(encode_error(find_service("scheduler"), {404, "ResourceNotFoundException", "m"}, "r").body,
            R"({"Message":"m"})");
  EXPECT_EQ(
      encode_error(find_service("sts"), {403, "AccessDenied", "m"}, "r").body,
      "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>"
      "AccessDenied</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>");
  ApiError missing(404, "NoSuchKey", "The specified key does not exist.");
  missing.details = {{"Key", "a&b"}};
  EXPECT_EQ(encode_error(find_service("s3"), missing, "r").body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified "
            "key does "
            "not exist.</Message><Key>a&amp;b</Key><RequestId>r</RequestId><HostId>r</HostId></Error>");
  EXPECT_EQ(encode_error(find_service("s3"), {304, "NotModified", ""}, "r").body, "");
  EXPECT_EQ(modelled_error(*find_service("s3"), "NoSuchKey", "").status, 404);
  EXPECT_EQ(modelled_error(*find_service("iam"), "NoSuchEntity", "").status, 404);
  EXPECT_EQ(modelled_error(*find_service("scheduler"), "ConflictException", "").status, 409);
}

}  // namespace
}  // namespace millrace::aws
