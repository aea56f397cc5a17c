#include "events/s3_event.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/strings.h"

namespace millrace::events {
namespace {

namespace json = base::json;

// Keys are bytes to the store; what is not UTF-8 cannot stand in JSON.
std::string key_text(const std::string& key) {
  if (base::is_utf8(key)) return key;
  std::string out;
  for (const char c : key) {
    if (static_cast<unsigned char>(c) < 0x80)
      out += c;
    else
      out += "\xef\xbf\xbd";
  }
  return out;
}

std::string bucket_arn(const Place& place, const std::string& bucket) {
  std::string arn = place.arn("s3", "");
  return arn.substr(0, arn.find(":s3:")) + ":s3:::" + bucket;
}

json::object details_of(const objects::ObjectEvent& change) {
  try {
    json::value parsed = base::parse_json(change.details);
    if (json::object* object = parsed.if_object()) return std::move(*object);
  } catch (const base::CorruptError&) {
  }
  return {};
}

std::string text(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

}  // namespace

Event native_s3_event(const objects::ObjectEvent& change, const Place& place) {
  const bool created = change.kind == objects::ObjectEvent::Kind::kCreated;
  json::object object{{"key", key_text(change.key)}};
  if (created) object["size"] = change.size;
  if (!change.etag.empty()) object["etag"] = change.etag;
  if (!change.version_id.empty() && change.version_id != "null") object["version-id"] = change.version_id;
  object["sequencer"] = fmt::format("{:018X}", change.sequence);
  json::object detail{{"version", "0"},
                      {"bucket", json::object{{"name", change.bucket}}},
                      {"object", std::move(object)},
                      {"request-id", change.request_id},
                      {"requester", place.account},
                      {"source-ip-address", change.source_address},
                      {"reason", change.reason}};
  if (!created)
    detail["deletion-type"] = change.delete_marker ? "Delete Marker Created" : "Permanently Deleted";
  EventFields fields;
  fields.source = "aws.s3";
  fields.detail_type = created ? "Object Created" : "Object Deleted";
  fields.time = change.time;
  fields.resources = {bucket_arn(place, change.bucket)};
  fields.detail = json::serialize(detail);
  return make_event(fields, place);
}

Event trail_s3_event(const objects::ObjectEvent& change, const Place& place) {
  const json::object details = details_of(change);
  const std::string name = change.reason == "POST Object" ? "PostObject" : change.reason;
  const bool of_job = change.requester != place.account;
  const std::string partition = place.arn("iam", "").substr(0, place.arn("iam", "").find(":iam:"));
  json::object identity{
      {"type", of_job ? "AssumedRole" : "Root"},
      {"principalId", of_job ? text(details, "accessKeyId") + ":" + change.requester : place.account},
      {"arn", of_job ? fmt::format("{}:sts::{}:assumed-role/millrace-job/{}", partition, place.account,
                                   change.requester)
                     : fmt::format("{}:iam::{}:root", partition, place.account)},
      {"accountId", place.account},
      {"accessKeyId", text(details, "accessKeyId")}};
  json::object parameters{{"bucketName", change.bucket}, {"Host", text(details, "Host")}};
  for (const char* header : {"x-amz-acl", "x-amz-storage-class", "x-amz-server-side-encryption",
                             "x-amz-copy-source", "uploadId", "x-id", "versionId"})
    if (const json::value* value = base::find(details, header)) parameters[header] = *value;
  parameters["key"] = key_text(change.key);
  json::value response;  // null
  if (!change.version_id.empty()) {
    json::object elements{{"x-amz-version-id", change.version_id}};
    if (change.delete_marker) elements["x-amz-delete-marker"] = "true";
    response = std::move(elements);
  }
  const std::string arn = bucket_arn(place, change.bucket);
  json::object detail{
      {"eventVersion", "1.10"},
      {"userIdentity", std::move(identity)},
      {"eventTime", base::iso8601(change.time)},
      {"eventSource", "s3.amazonaws.com"},
      {"eventName", name},
      {"awsRegion", place.region},
      {"sourceIPAddress", change.source_address},
      {"userAgent", "[" + text(details, "userAgent") + "]"},
      {"requestParameters", std::move(parameters)},
      {"responseElements", std::move(response)},
      {"additionalEventData",
       json::object{{"SignatureVersion", "SigV4"},
                    {"CipherSuite", ""},
                    {"bytesTransferredIn", name == "PutObject" || name == "PostObject" ? change.size : 0},
                    {"AuthenticationMethod", "AuthHeader"},
                    {"x-amz-id-2", change.request_id},
                    {"bytesTransferredOut", 0}}},
      {"requestID", change.request_id},
      {"eventID", base::uuid4()},
      {"readOnly", false},
      {"resources",
       json::array{json::object{{"type", "AWS::S3::Object"}, {"ARN", arn + "/" + key_text(change.key)}},
                   json::object{{"accountId", place.account}, {"type", "AWS::S3::Bucket"}, {"ARN", arn}}}},
      {"eventType", "AwsApiCall"},
      {"managementEvent", false},
      {"recipientAccountId", place.account},
      {"eventCategory", "Data"}};
  EventFields fields;
  fields.source = "aws.s3";
  fields.detail_type = "AWS API Call via CloudTrail";
  fields.time = change.time;
  fields.detail = json::serialize(detail);
  return make_event(fields, place);
}

}  // namespace millrace::events
