#include "services/cloudtrail.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::services {
namespace {

namespace json = base::json;

constexpr char kHidden[] = "HIDDEN_DUE_TO_SECURITY_REASONS";
constexpr size_t kErrorBytesMax = 4096;
constexpr size_t kResourceBytesMax = 2048;
constexpr size_t kRequestBytesMax = 16 * 1024;  // parameters of larger requests are left out

// What a call that changes nothing begins with.
constexpr std::array<std::string_view, 12> kReads = {"BatchGet", "Describe", "Filter",    "Get",
                                                     "Head",     "List",     "Lookup",    "Search",
                                                     "Simulate", "Select",   "StartLive", "Test"};
// Calls that carry data; on AWS they are no management events either.
constexpr std::array<std::string_view, 3> kData = {"AssumeRole", "PutEvents", "PutLogEvents"};
constexpr std::array<std::string_view, 3> kObjectWords = {"Object", "Upload", "Part"};

// Members of a request that say what it is about.
constexpr std::array<std::string_view, 24> kResourceMembers = {"ArchiveName",
                                                               "Bucket",
                                                               "computeEnvironment",
                                                               "computeEnvironmentName",
                                                               "GroupName",
                                                               "InstanceProfileName",
                                                               "jobDefinition",
                                                               "jobDefinitionName",
                                                               "jobId",
                                                               "jobName",
                                                               "jobQueue",
                                                               "jobQueueName",
                                                               "logGroupName",
                                                               "Name",
                                                               "PolicyArn",
                                                               "PolicyName",
                                                               "ResourceARN",
                                                               "resourceArn",
                                                               "ResourceId",
                                                               "RoleName",
                                                               "Rule",
                                                               "SecretId",
                                                               "UserName",
                                                               "schedulingPolicyName"};

bool begins_with_any(std::string_view name, const auto& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::string lower_first(std::string_view name) {
  std::string text(name);
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

// `value` as CloudTrail shows it: names begin in lower case, what is sensitive is not there.
json::value shown(const json::value& value, const aws::Shape& shape) {
  if (shape.sensitive) return kHidden;
  if (const json::object* object = value.if_object()) {
    json::object out;
    for (const auto& [key, member] : *object) {
      const std::string_view name(key.data(), key.size());
      if (shape.type == aws::ShapeType::kStructure) {
        const aws::Member* known = aws::find_member(shape, name);
        // Variables of jobs often are what should have been secrets.
        if (shape.name == "KeyValuePair" && name == "value")
          out[key] = kHidden;
        else if (known)
          out[lower_first(name)] = shown(member, *known->shape);
      } else if (shape.type == aws::ShapeType::kMap) {
        out[key] = shown(member, *shape.members[1].shape);
      } else {
        out[key] = member;
      }
    }
    return out;
  }
  if (const json::array* array = value.if_array(); array && shape.type == aws::ShapeType::kList) {
    json::array out;
    for (const json::value& element : *array) out.push_back(shown(element, *shape.members[0].shape));
    return out;
  }
  return value;
}

std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const size_t at = text.find(before);
  if (at == std::string_view::npos) return "";
  text.remove_prefix(at + before.size());
  return std::string(text.substr(0, text.find(after)));
}

// Code and message of an error, whatever the protocol.
std::pair<std::string, std::string> error_of(const http::Response& response) {
  std::string code(response.headers.get("x-amzn-errortype"));
  std::string message;
  const std::string_view body = std::string_view(response.body).substr(0, kErrorBytesMax);
  if (body.starts_with("{")) {
    try {
      const json::value parsed = base::parse_json(response.body);
      const json::object& object = parsed.as_object();
      if (code.empty()) code = base::find_string(object, "__type").value_or("");
      message =
          base::find_string(object, "message").value_or(base::find_string(object, "Message").value_or(""));
    } catch (const base::Error&) {
      // no more is known than its status
    }
  } else {
    if (code.empty()) code = between(body, "<Code>", "</Code>");
    message = between(body, "<Message>", "</Message>");
  }
  code = code.substr(0, code.find(':'));
  if (const size_t hash = code.find('#'); hash != std::string::npos) code = code.substr(hash + 1);
  return {code.empty() ? std::to_string(response.status) : code, message.substr(0, kErrorBytesMax)};
}

audit::Attribute attribute_of(std::string_view key) {
  using A = audit::Attribute;
  static constexpr std::array<std::pair<std::string_view, A>, 7> kKeys{{{"EventId", A::kEventId},
                                                                        {"EventName", A::kEventName},
                                                                        {"ReadOnly", A::kReadOnly},
                                                                        {"Username", A::kUsername},
                                                                        {"ResourceName", A::kResourceName},
                                                                        {"EventSource", A::kEventSource},
                                                                        {"AccessKeyId", A::kAccessKeyId}}};
  for (const auto& [name, attribute] : kKeys)
    if (name == key) return attribute;
  throw aws::ApiError(
      400, "InvalidLookupAttributesException",
      "Millrace keeps no resource types: look events up by another attribute than " + std::string(key) + ".");
}

}  // namespace

struct CloudTrailService::Call {
  audit::Event event;
  json::object record;
};

CloudTrailService::CloudTrailService(audit::AuditLog& log, const Authorizer& authorizer,
                                     const base::Clock& clock, std::string account, std::string region)
    : log_(log),
      authorizer_(authorizer),
      clock_(clock),
      account_(std::move(account)),
      region_(std::move(region)) {}

bool CloudTrailService::is_recorded(const aws::Operation& operation) {
  if (begins_with_any(operation.name, kReads) || begins_with_any(operation.name, kData)) return false;
  if (operation.service->signing_name != "s3") return true;
  return std::none_of(kObjectWords.begin(), kObjectWords.end(), [&](std::string_view word) {
    return operation.name.find(word) != std::string_view::npos &&
           operation.name != "PutObjectLockConfiguration";
  });
}

std::shared_ptr<CloudTrailService::Call> CloudTrailService::note(const aws::Operation& operation,
                                                                 const http::RequestHead& head,
                                                                 const Caller& caller) const {
  auto call = std::make_shared<Call>();
  const Authorizer::Identity identity = authorizer_.identity_of(caller);
  audit::Event& event = call->event;
  event.time = clock_.now_ms();
  event.id = base::uuid4();
  event.name = operation.name;
  event.source = std::string(operation.service->signing_name) + ".amazonaws.com";
  const bool root = caller.user.empty() && !caller.session;
  event.user = root ? "root" : caller.session ? caller.session->name : caller.user;
  event.access_key = caller.access_key;
  json::object who{{"type", root             ? "Root"
                            : caller.session ? "AssumedRole"
                                             : "IAMUser"},
                   {"principalId", identity.user_id},
                   {"arn", identity.arn},
                   {"accountId", account_},
                   {"accessKeyId", caller.access_key}};
  if (!caller.user.empty()) who["userName"] = caller.user;
  std::string_view address = head.peer;
  address = address.substr(0, address.rfind(':'));
  call->record = {{"eventVersion", "1.11"},
                  {"userIdentity", std::move(who)},
                  {"eventTime", base::iso8601(event.time)},
                  {"eventSource", event.source},
                  {"eventName", event.name},
                  {"awsRegion", region_},
                  {"sourceIPAddress", address},
                  {"userAgent", head.headers.get("user-agent")},
                  {"requestParameters", nullptr},
                  {"responseElements", nullptr},
                  {"eventID", event.id},
                  {"readOnly", false},
                  {"eventType", "AwsApiCall"},
                  {"managementEvent", true},
                  {"recipientAccountId", account_},
                  {"eventCategory", "Management"}};
  if (operation.service->signing_name == "s3") {
    const std::string_view path = std::string_view(head.path).substr(1);
    const std::string bucket(path.substr(0, path.find('/')));
    call->record["requestParameters"] = json::object{{"bucketName", bucket}};
    if (!bucket.empty()) event.resources.push_back(bucket);
  }
  return call;
}

void CloudTrailService::record(std::shared_ptr<Call> call) {
  log_.add([call = std::move(call)] {
    call->event.body = json::serialize(call->record);
    return std::move(call->event);
  });
}

http::Respond CloudTrailService::watch(const aws::Operation& operation, const http::RequestHead& head,
                                       const Caller& caller, const json::object& input,
                                       const std::string& request_id, http::Respond respond) {
  std::shared_ptr<Call> call = note(operation, head, caller);
  call->record["requestID"] = request_id;
  const auto size = base::parse_number<size_t>(head.headers.get("content-length"));
  if (size && *size > kRequestBytesMax)
    call->record["requestParameters"] =
        json::object{{"omitted", true}, {"originalSize", *size}, {"reason", "requestParameters too large"}};
  else if (!input.empty())
    call->record["requestParameters"] = shown(input, *operation.input);
  for (const std::string_view member : kResourceMembers)
    if (auto name = base::find_string(input, member);
        name && name->size() <= kResourceBytesMax && name->find('\n') == std::string_view::npos)
      call->event.resources.emplace_back(*name);
  return [this, call = std::move(call), respond = std::move(respond)](http::Response response) {
    if (response.status >= 400) {
      auto [code, message] = error_of(response);
      call->record["errorCode"] = code;
      call->record["errorMessage"] = message;
    }
    record(call);
    respond(std::move(response));
  };
}

void CloudTrailService::refused(const aws::Operation& operation, const http::RequestHead& head,
                                const Caller& caller, const std::string& code, const std::string& message) {
  std::shared_ptr<Call> call = note(operation, head, caller);
  call->record["errorCode"] = code;
  call->record["errorMessage"] = message.substr(0, kErrorBytesMax);
  record(std::move(call));
}

json::object CloudTrailService::call(const aws::Operation&, const json::object& input) {
  audit::Lookup lookup;
  if (const json::array* attributes = base::find_array(input, "LookupAttributes");
      attributes && !attributes->empty()) {
    if (attributes->size() > 1)
      throw aws::ApiError(400, "InvalidLookupAttributesException",
                          "You can only specify one attribute in the LookupAttributes parameter.");
    const json::object& attribute = attributes->front().as_object();
    lookup.attribute = {attribute_of(base::find_string(attribute, "AttributeKey").value_or("")),
                        std::string(base::find_string(attribute, "AttributeValue").value_or(""))};
  }
  lookup.from = base::find_int(input, "StartTime").value_or(lookup.from);
  lookup.until = base::find_int(input, "EndTime").value_or(lookup.until);
  if (lookup.from > lookup.until)
    throw aws::ApiError(400, "InvalidTimeRangeException", "The start time must not be after the end time.");
  lookup.limit = static_cast<size_t>(base::find_int(input, "MaxResults").value_or(50));
  if (auto token = base::find_string(input, "NextToken"); token && !token->empty()) {
    auto before = base::parse_number<int64_t>(base::unbase64(*token).value_or(""));
    if (!before) throw aws::ApiError(400, "InvalidNextTokenException", "The NextToken value is invalid.");
    lookup.before = *before;
  }
  const size_t limit = lookup.limit++;
  std::vector<audit::Event> events = log_.find(lookup);
  json::object out;
  if (events.size() > limit) {
    events.resize(limit);
    out["NextToken"] = base::base64(std::to_string(events.back().seq));
  }
  json::array list;
  for (const audit::Event& event : events) {
    json::array resources;
    for (const std::string& name : event.resources) resources.push_back(json::object{{"ResourceName", name}});
    json::object entry{{"EventId", event.id},
                       {"EventName", event.name},
                       {"ReadOnly", event.read_only ? "true" : "false"},
                       {"EventTime", event.time},
                       {"EventSource", event.source},
                       {"Username", event.user},
                       {"Resources", std::move(resources)},
                       {"CloudTrailEvent", event.body}};
    if (!event.access_key.empty()) entry["AccessKeyId"] = event.access_key;
    list.push_back(std::move(entry));
  }
  out["Events"] = std::move(list);
  return out;
}

}  // namespace millrace::services
