#include "services/s3_settings.h"

#include <algorithm>

#include "base/json.h"
#include "iam/policy.h"
#include "objects/directory_store.h"
#include "services/s3_call.h"
#include "services/s3_tags.h"

namespace millrace::services {

namespace json = base::json;

namespace {

// One sub-resource. Its document is given back byte for byte; the shape of what is put is checked against the
// model before. `unconfigured`: what a bucket has that nobody configured, the content of `root`; then
// deleting goes back to `missing` where that is named, else to `unconfigured`.
struct Setting {
  std::string_view name, get, put, remove;
  std::string_view missing, missing_text;  // the error when there is none
  std::string_view root, unconfigured;
};

constexpr Setting kSettings[] = {
    {"abac", "GetBucketAbac", "PutBucketAbac", "", "", "", "AbacStatus", "<Status>Disabled</Status>"},
    {"accelerate", "GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", "", "", "",
     "AccelerateConfiguration", ""},
    {"cors", "GetBucketCors", "PutBucketCors", "DeleteBucketCors", "NoSuchCORSConfiguration",
     "The CORS configuration does not exist", "", ""},
    {"encryption", "GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption", "", "",
     "ServerSideEncryptionConfiguration",
     "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
     "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"},
    {"lifecycle", "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration",
     "DeleteBucketLifecycle", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist",
     "", ""},
    {"logging", "GetBucketLogging", "PutBucketLogging", "", "", "", "BucketLoggingStatus", ""},
    {"notification", "GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", "", "", "",
     "NotificationConfiguration", ""},
    {"object-lock", "GetObjectLockConfiguration", "", "", "ObjectLockConfigurationNotFoundError",
     "Object Lock configuration does not exist for this bucket", "", ""},
    {"ownershipControls", "GetBucketOwnershipControls", "PutBucketOwnershipControls",
     "DeleteBucketOwnershipControls", "OwnershipControlsNotFoundError",
     "The bucket ownership controls were not found", "OwnershipControls",
     "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"},
    {"policy", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy", "NoSuchBucketPolicy",
     "The bucket policy does not exist", "", ""},
    {"publicAccessBlock", "GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock",
     "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found",
     "PublicAccessBlockConfiguration",
     "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>"
     "<BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>"},
    {"replication", "GetBucketReplication", "", "DeleteBucketReplication",
     "ReplicationConfigurationNotFoundError", "The replication configuration was not found", "", ""},
    {"requestPayment", "GetBucketRequestPayment", "PutBucketRequestPayment", "", "", "",
     "RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"},
    {"tagging", "GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging", "NoSuchTagSet",
     "The TagSet does not exist", "", ""},
    {"website", "GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite", "NoSuchWebsiteConfiguration",
     "The specified bucket does not have a website configuration", "", ""},
};

const Setting* find_setting(std::string_view operation) {
  auto found = std::find_if(std::begin(kSettings), std::end(kSettings), [&](const Setting& s) {
    return operation == s.get || operation == s.put || operation == s.remove;
  });
  return found == std::end(kSettings) ? nullptr : found;
}

aws::ApiError missing(const Setting& setting, const std::string& bucket) {
  aws::ApiError error = s3_error(std::string(setting.missing), std::string(setting.missing_text));
  error.status = 404;
  error.details = {{"BucketName", bucket}};
  return error;
}

constexpr size_t kPolicyBytesMax = 20'480;

// Throws MalformedPolicy.
std::shared_ptr<const iam::Policy> policy_of(const std::string& text) {
  if (!base::trim(text).starts_with('{'))
    throw s3_error("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'");
  try {
    return iam::Policy::parse(text, iam::PolicyKind::kResource);
  } catch (const base::UsageError& error) {
    throw s3_error("MalformedPolicy", error.what());
  }
}

}  // namespace

namespace {

// A switch of the bucket's public access block ("BlockPublicPolicy"); false when nobody configured it.
bool blocks(objects::DirectoryStore& store, const std::string& bucket, const std::string& name) {
  std::string document = store.setting(bucket, "publicAccessBlock").value_or("");
  size_t at = document.find("<" + name + ">");
  if (at == std::string::npos) return false;
  std::string_view value = std::string_view(document).substr(at + name.size() + 2);
  return base::equals_ignore_case(base::trim(value.substr(0, value.find('<'))), "true");
}

}  // namespace

bool S3Service::restricts_public_access(objects::DirectoryStore& store, const std::string& bucket) {
  try {
    return blocks(store, bucket, "RestrictPublicBuckets");
  } catch (const base::NotFoundError&) {
    return false;  // no such bucket: the request will be told
  }
}

SettingVerb setting_verb(std::string_view operation) {
  const Setting* setting = find_setting(operation);
  if (!setting || operation.empty()) return SettingVerb::kNone;
  if (operation == setting->get) return SettingVerb::kGet;
  return operation == setting->put ? SettingVerb::kPut : SettingVerb::kDelete;
}

http::Response S3Service::get_setting(Call& call) {
  const Setting& setting = *find_setting(call.operation.name);
  std::optional<std::string> value = store_.setting(call.bucket(), setting.name);
  if (value && !value->empty())
    return call.answer_document(*value, setting.name == "policy" ? "application/json" : "application/xml");
  if (value || setting.root.empty()) throw missing(setting, call.bucket());
  std::string document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<";
  (((document += setting.root) += " xmlns=\"") += kXmlNamespace) += "\">";
  ((document += setting.unconfigured) += "</") += setting.root;
  return call.answer_document(document + ">");
}

http::Response S3Service::put_setting(Call& call) {
  const Setting& setting = *find_setting(call.operation.name);
  call.check_body();
  if (call.body.empty()) throw s3_error("MissingRequestBodyError", "Request Body is empty");
  if (setting.name == "policy") {
    if (call.body.size() > kPolicyBytesMax)
      throw s3_error("PolicyTooLarge", "Policy exceeds the maximum allowed document size.");
    if (policy_of(call.body)->is_public() && blocks(store_, call.bucket(), "BlockPublicPolicy"))
      throw aws::ApiError(
          403, "AccessDenied",
          "User: " + call.context.principal +
              " is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::" +
              call.bucket() +
              "\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block "
              "Public Access.");
  } else if (setting.name == "tagging") {
    const json::object* tagging = base::find_object(call.input, "Tagging");
    const json::array* set = tagging ? base::find_array(*tagging, "TagSet") : nullptr;
    if (!set) throw malformed_xml();
    check_tags(tags_in(*set), kBucketTagsMax);
  } else if (setting.name == "notification") {
    // Events go to EventBridge whether or not it says so; there are no topics, queues and functions, and a
    // configuration that nobody acts on is not taken.
    const json::object* notify = base::find_object(call.input, "NotificationConfiguration");
    for (const char* name : {"TopicConfigurations", "QueueConfigurations", "LambdaFunctionConfigurations"})
      if (const json::array* list = notify ? base::find_array(*notify, name) : nullptr;
          list && !list->empty())
        throw s3_error("InvalidArgument", "Unable to validate the following destination configurations");
  }
  store_.put_setting(call.bucket(), std::string(setting.name), call.body);
  return call.answer();
}

http::Response S3Service::delete_setting(Call& call) {
  const Setting& setting = *find_setting(call.operation.name);
  std::string name(setting.name);
  // Where having nobody configured it is something else than having deleted it, an empty document says so.
  if (!setting.root.empty() && !setting.missing.empty())
    store_.put_setting(call.bucket(), name, "");
  else
    store_.erase_setting(call.bucket(), name);
  return call.answer();
}

// Analytics, inventory, metrics and tiering cannot be configured: there is never one.
http::Response S3Service::list_nothing(Call& call) {
  store_.bucket(call.bucket());
  return call.answer({{"IsTruncated", false}});
}

http::Response S3Service::no_such_configuration(Call& call) {
  store_.bucket(call.bucket());
  aws::ApiError error = s3_error("NoSuchConfiguration", "The specified configuration does not exist.");
  error.status = 404;
  throw error;
}

// Public: a statement allows everybody, unconditionally (S3 user guide, "The meaning of public", without
// looking into conditions).
http::Response S3Service::get_bucket_policy_status(Call& call) {
  std::optional<std::string> policy = store_.setting(call.bucket(), "policy");
  if (!policy) throw missing(*find_setting("GetBucketPolicy"), call.bucket());
  std::shared_ptr<const iam::Policy> parsed = policy_of(*policy);
  return call.answer({{"PolicyStatus", json::object{{"IsPublic", parsed->is_public()}}}});
}

}  // namespace millrace::services
