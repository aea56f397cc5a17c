#include "services/secretsmanager.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <memory>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/hash.h"
#include "iam/policy.h"
#include "services/random_password.h"
#include "services/secret_filters.h"
#include "services/tag_list.h"
#include "services/wiped_input.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using secrets::NewValue;
using secrets::Plaintext;
using secrets::Secret;
using secrets::SecretOrder;
using secrets::SecretPosition;

constexpr unsigned kThreads = 2;
constexpr size_t kValueBytesMax = 65'536;
constexpr size_t kTagsMax = 50;
constexpr size_t kPageMax = 100, kBatchMax = 20;
constexpr int64_t kRecoveryDaysMin = 7, kRecoveryDaysMax = 30;

[[noreturn]] void invalid(const std::string& message) {
  throw aws::ApiError(400, "InvalidParameterException", message);
}
[[noreturn]] void refused(const std::string& message) {
  throw aws::ApiError(400, "InvalidRequestException", message);
}

std::string text(const json::object& object, std::string_view member) {
  return std::string(base::find_string(object, member).value_or(""));
}

std::string required_token(const json::object& input) {
  std::string token = text(input, "ClientRequestToken");
  if (token.empty()) refused("You must provide a ClientRequestToken value. We recommend a UUID-type value.");
  return token;
}

// SecretString or SecretBinary of `input`, taken out of it.
std::optional<NewValue> take_value(json::object& input) {
  std::optional<Plaintext> string = take_text(input, "SecretString");
  std::optional<Plaintext> encoded = take_text(input, "SecretBinary");
  if (string && encoded)
    invalid("You can't specify both a binary secret value and a string secret value in the same secret.");
  if (!string && !encoded) return std::nullopt;
  NewValue value;
  value.version = required_token(input);
  value.binary = encoded.has_value();
  value.bytes = string ? std::move(*string) : Plaintext(base::unbase64(encoded->view()).value_or(""));
  if (value.bytes.view().size() > kValueBytesMax)
    invalid(fmt::format("The secret value is larger than {} bytes.", kValueBytesMax));
  return value;
}

// Lays `added` over `tags`, both lists of {Key, Value}.
void merge_tags(json::array& tags, const json::array& added) {
  merge_tag_list(tags, added, "InvalidParameterException");
  if (tags.size() > kTagsMax)
    throw aws::ApiError(400, "LimitExceededException",
                        fmt::format("A secret can have at most {} tags.", kTagsMax));
}

std::shared_ptr<const iam::Policy> policy_of(const json::object& input) {
  try {
    return iam::Policy::parse(text(input, "ResourcePolicy"), iam::PolicyKind::kResource);
  } catch (const base::UsageError& error) {
    throw aws::ApiError(400, "MalformedPolicyDocumentException", error.what());
  }
}

size_t limit_of(const json::object& input, size_t most) {
  return static_cast<size_t>(base::find_int(input, "MaxResults").value_or(static_cast<int64_t>(most)));
}

std::string token_of(const SecretPosition& position) {
  const json::array fields{position.number, position.name, position.id};
  return base::base64(json::serialize(fields));
}

std::optional<SecretPosition> position_of(const json::object& input) {
  auto token = base::find_string(input, "NextToken");
  if (!token || token->empty()) return std::nullopt;
  try {
    const json::value fields = base::parse_json(base::unbase64(*token).value_or(""));
    const json::array& array = fields.as_array();
    return SecretPosition{array.at(0).as_int64(), std::string(base::view(array.at(1).as_string())),
                          array.at(2).as_int64()};
  } catch (const std::exception&) {
    throw aws::ApiError(400, "InvalidNextTokenException", "The NextToken value is invalid.");
  }
}

json::object stages_json(const secrets::StagesByVersion& stages) {
  json::object out;
  for (const auto& [version, of_version] : stages)
    out[version] = json::array(of_version.begin(), of_version.end());
  return out;
}

[[noreturn]] void no_replicas() {
  invalid("Millrace has one region: a secret cannot be replicated to others.");
}

}  // namespace

struct SecretsManagerService::Handler {
  std::string_view operation;
  Output (SecretsManagerService::*run)(Input& input);
};

const SecretsManagerService::Handler* SecretsManagerService::find_handler(std::string_view operation) {
  using S = SecretsManagerService;
  static constexpr Handler kHandlers[] = {
      {"BatchGetSecretValue", &S::batch_get_secret_value},
      {"CancelRotateSecret", &S::cancel_rotate_secret},
      {"CreateSecret", &S::create_secret},
      {"DeleteResourcePolicy", &S::delete_resource_policy},
      {"DeleteSecret", &S::delete_secret},
      {"DescribeSecret", &S::describe_secret},
      {"GetRandomPassword", &S::get_random_password},
      {"GetResourcePolicy", &S::get_resource_policy},
      {"GetSecretValue", &S::get_secret_value},
      {"ListSecretVersionIds", &S::list_secret_version_ids},
      {"ListSecrets", &S::list_secrets},
      {"PutResourcePolicy", &S::put_resource_policy},
      {"PutSecretValue", &S::put_secret_value},
      {"RemoveRegionsFromReplication", &S::remove_regions_from_replication},
      {"ReplicateSecretToRegions", &S::replicate_secret_to_regions},
      {"RestoreSecret", &S::restore_secret},
      {"RotateSecret", &S::rotate_secret},
      {"StopReplicationToReplica", &S::stop_replication_to_replica},
      {"TagResource", &S::tag_resource},
      {"UntagResource", &S::untag_resource},
      {"UpdateSecret", &S::update_secret},
      {"UpdateSecretVersionStage", &S::update_secret_version_stage},
      {"ValidateResourcePolicy", &S::validate_resource_policy},
  };
  for (const Handler& handler : kHandlers)
    if (handler.operation == operation) return &handler;
  return nullptr;
}

bool SecretsManagerService::implements(std::string_view operation) {
  return find_handler(operation) != nullptr;
}

SecretsManagerService::SecretsManagerService(secrets::SecretStore& store, std::string region)
    : store_(store), region_(std::move(region)), workers_(kThreads) {}

void SecretsManagerService::call(const aws::Operation& operation, Input input, Reply reply) {
  workers_.post([this, handler = find_handler(operation.name), reply = std::move(reply),
                 input = std::make_shared<Input>(std::move(input))] {
    Output output;
    std::exception_ptr error;
    try {
      output = (this->*handler->run)(*input);
    } catch (const aws::ApiError&) {
      error = std::current_exception();
    } catch (const base::Error& e) {
      const bool unreadable = e.code() == "CannotDecrypt";
      error = std::make_exception_ptr(aws::ApiError(
          unreadable ? 400 : 500, unreadable ? "DecryptionFailure" : "InternalServiceError",
          unreadable ? std::string("Secrets Manager can't decrypt the protected secret text: ") + e.what()
                     : e.what()));
    }
    for (const char* member : {"SecretString", "SecretBinary"}) take_text(*input, member);
    reply(std::move(output), error);
    try {
      store_.flush_accesses();
    } catch (const base::Error& e) {
      spdlog::warn("when secrets were read last cannot be written: {}", e.what());
    }
  });
}

json::object SecretsManagerService::named(const Secret& secret) const {
  return {{"ARN", store_.arn(secret)}, {"Name", secret.name}};
}

// What DescribeSecret and ListSecrets have in common.
json::object SecretsManagerService::described(const Secret& secret) const {
  json::object out = named(secret);
  for (const char* member :
       {"Description", "KmsKeyId", "RotationEnabled", "RotationLambdaARN", "RotationRules", "Type"})
    if (const json::value* value = base::find(secret.body, member)) out[member] = *value;
  out["CreatedDate"] = secret.created;
  out["LastChangedDate"] = secret.changed;
  if (secret.accessed != 0) out["LastAccessedDate"] = secret.accessed;
  if (secret.delete_at != 0) out["DeletedDate"] = secret.delete_at;
  const json::value* tags = base::find(secret.body, "Tags");
  out["Tags"] = tags ? *tags : json::value(json::array());
  return out;
}

json::object SecretsManagerService::value_of(const Secret& secret, const secrets::Value& value) const {
  json::object out = named(secret);
  out["VersionId"] = value.version;
  if (value.binary)
    out["SecretBinary"] = base::base64(value.bytes.view());
  else
    out["SecretString"] = json::string(value.bytes.view().data(), value.bytes.view().size());
  out["VersionStages"] = json::array(value.stages.begin(), value.stages.end());
  out["CreatedDate"] = value.created;
  return out;
}

json::object SecretsManagerService::create_secret(Input& input) {
  const std::string name = text(input, "Name");
  if (!secrets::is_secret_name(name))
    throw aws::ApiError(
        400, "ValidationException",
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the "
        "following: -/_+=.@!");
  if (const json::array* replicas = base::find_array(input, "AddReplicaRegions");
      replicas && !replicas->empty())
    no_replicas();
  json::object body;
  for (const char* member : {"Description", "KmsKeyId", "Type"})
    if (std::string given = text(input, member); !given.empty()) body[member] = given;
  if (const json::array* tags = base::find_array(input, "Tags"); tags && !tags->empty())
    merge_tags(body["Tags"].emplace_array(), *tags);
  std::optional<NewValue> value = take_value(input);
  required_token(input);
  const Secret secret = store_.create(name, std::move(body), value ? &*value : nullptr);
  json::object out = named(secret);
  if (value) out["VersionId"] = value->version;
  return out;
}

json::object SecretsManagerService::put_secret_value(Input& input) {
  std::optional<NewValue> value = take_value(input);
  if (!value) refused("You must provide either SecretString or SecretBinary.");
  std::vector<std::string> stages;
  if (const json::array* given = base::find_array(input, "VersionStages"))
    for (const json::value& stage : *given) stages.emplace_back(base::view(stage.as_string()));
  const auto [secret, now] = store_.put(text(input, "SecretId"), *value, std::move(stages));
  json::object out = named(secret);
  out["VersionId"] = value->version;
  out["VersionStages"] = json::array(now.begin(), now.end());
  return out;
}

json::object SecretsManagerService::get_secret_value(Input& input) {
  const auto [secret, value] =
      store_.get(text(input, "SecretId"), text(input, "VersionId"), text(input, "VersionStage"));
  return value_of(secret, value);
}

json::object SecretsManagerService::batch_get_secret_value(Input& input) {
  const json::array* ids = base::find_array(input, "SecretIdList");
  const json::array* filters = base::find_array(input, "Filters");
  if ((ids != nullptr) == (filters != nullptr))
    invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
  json::array values, errors;
  json::object out;
  auto add = [&](const std::string& id) {
    try {
      const auto [secret, value] = store_.get(id, "", "");
      values.push_back(value_of(secret, value));
    } catch (const aws::ApiError& error) {
      errors.push_back({{"SecretId", id}, {"ErrorCode", error.code()}, {"Message", error.what()}});
    }
  };
  if (ids) {
    if (base::find(input, "MaxResults") || base::find(input, "NextToken"))
      invalid("'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.");
    for (const json::value& id : *ids) add(std::string(base::view(id.as_string())));
  } else {
    std::optional<SecretPosition> next;
    const auto wanted = secret_filter(*filters, region_);
    for (const auto& [secret, stages] : store_.list(
             SecretOrder::kCreated, false, position_of(input), limit_of(input, kBatchMax),
             [&](const Secret& secret) { return secret.delete_at == 0 && wanted(secret); }, next))
      add(store_.arn(secret));
    if (next) out["NextToken"] = token_of(*next);
  }
  out["SecretValues"] = std::move(values);
  out["Errors"] = std::move(errors);
  return out;
}

json::object SecretsManagerService::update_secret(Input& input) {
  std::optional<NewValue> value = take_value(input);
  json::object changes;
  for (const char* member : {"Description", "KmsKeyId", "Type"})
    if (const json::value* given = base::find(input, member)) changes[member] = *given;
  const Secret secret = store_.update(text(input, "SecretId"), changes, value ? &*value : nullptr);
  json::object out = named(secret);
  if (value) out["VersionId"] = value->version;
  return out;
}

json::object SecretsManagerService::update_secret_version_stage(Input& input) {
  return named(store_.move_stage(text(input, "SecretId"), text(input, "VersionStage"),
                                 text(input, "RemoveFromVersionId"), text(input, "MoveToVersionId")));
}

json::object SecretsManagerService::describe_secret(Input& input) {
  const auto [secret, stages] = store_.describe(text(input, "SecretId"));
  json::object out = described(secret);
  if (!stages.empty()) out["VersionIdsToStages"] = stages_json(stages);
  return out;
}

json::object SecretsManagerService::list_secrets(Input& input) {
  static constexpr std::array<std::pair<std::string_view, SecretOrder>, 4> kOrders{
      {{"created-date", SecretOrder::kCreated},
       {"last-changed-date", SecretOrder::kChanged},
       {"last-accessed-date", SecretOrder::kAccessed},
       {"name", SecretOrder::kName}}};
  SecretOrder order = SecretOrder::kCreated;
  for (const auto& [name, named_order] : kOrders)
    if (text(input, "SortBy") == name) order = named_order;
  static const json::array kNoFilters;
  const json::array* filters = base::find_array(input, "Filters");
  const auto wanted = secret_filter(filters ? *filters : kNoFilters, region_);
  const bool deleted = base::find_bool(input, "IncludePlannedDeletion").value_or(false);
  std::optional<SecretPosition> next;
  json::array list;
  for (const auto& [secret, stages] : store_.list(
           order, text(input, "SortOrder") == "asc", position_of(input), limit_of(input, kPageMax),
           [&](const Secret& one) { return (deleted || one.delete_at == 0) && wanted(one); }, next)) {
    json::object entry = described(secret);
    if (!stages.empty()) entry["SecretVersionsToStages"] = stages_json(stages);
    list.push_back(std::move(entry));
  }
  json::object out{{"SecretList", std::move(list)}};
  if (next) out["NextToken"] = token_of(*next);
  return out;
}

json::object SecretsManagerService::list_secret_version_ids(Input& input) {
  const auto [secret, versions] = store_.versions(text(input, "SecretId"));
  const bool deprecated = base::find_bool(input, "IncludeDeprecated").value_or(false);
  const size_t limit = limit_of(input, kPageMax);
  const std::string after = base::unbase64(text(input, "NextToken")).value_or("");
  json::object out = named(secret);
  json::array list;
  std::string last;
  bool begun = after.empty();
  for (const secrets::VersionInfo& version : versions) {
    if (!begun) {
      begun = version.version == after;
      continue;
    }
    if (version.stages.empty() && !deprecated) continue;
    if (list.size() == limit) {
      out["NextToken"] = base::base64(last);
      break;
    }
    json::object entry{{"VersionId", version.version}, {"CreatedDate", version.created}};
    if (!version.stages.empty())
      entry["VersionStages"] = json::array(version.stages.begin(), version.stages.end());
    if (version.accessed != 0) entry["LastAccessedDate"] = version.accessed;
    list.push_back(std::move(entry));
    last = version.version;
  }
  if (!begun) throw aws::ApiError(400, "InvalidNextTokenException", "The NextToken value is invalid.");
  out["Versions"] = std::move(list);
  return out;
}

json::object SecretsManagerService::delete_secret(Input& input) {
  const std::string id = text(input, "SecretId");
  const auto days = base::find_int(input, "RecoveryWindowInDays");
  const bool force = base::find_bool(input, "ForceDeleteWithoutRecovery").value_or(false);
  if (days && force)
    invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
  if (days && (*days < kRecoveryDaysMin || *days > kRecoveryDaysMax))
    invalid("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
  Secret secret;
  try {
    secret = force ? store_.delete_now(id) : store_.schedule_deletion(id, days.value_or(kRecoveryDaysMax));
  } catch (const aws::ApiError& error) {
    // What is not there is gone without recovery already; AWS answers so too.
    if (!force || error.code() != "ResourceNotFoundException") throw;
    return {{"ARN", id.starts_with("arn:") ? id : store_.arn(id, "")}, {"Name", id}};
  }
  json::object out = named(secret);
  out["DeletionDate"] = secret.delete_at;
  return out;
}

json::object SecretsManagerService::restore_secret(Input& input) {
  return named(store_.restore(text(input, "SecretId")));
}

json::object SecretsManagerService::tag_resource(Input& input) {
  store_.edit(text(input, "SecretId"), [&](Secret& secret) {
    json::value& tags = secret.body["Tags"];
    if (!tags.is_array()) tags.emplace_array();
    merge_tags(tags.as_array(), input.at("Tags").as_array());
  });
  return {};
}

json::object SecretsManagerService::untag_resource(Input& input) {
  store_.edit(text(input, "SecretId"), [&](Secret& secret) {
    json::value& tags = secret.body["Tags"];
    if (!tags.is_array()) tags.emplace_array();
    drop_from_tag_list(tags.as_array(), input.at("TagKeys").as_array());
  });
  return {};
}

json::object SecretsManagerService::get_resource_policy(Input& input) {
  const Secret secret = store_.describe(text(input, "SecretId")).first;
  json::object out = named(secret);
  if (auto policy = base::find_string(secret.body, "ResourcePolicy"))
    out["ResourcePolicy"] = std::string(*policy);
  return out;
}

json::object SecretsManagerService::put_resource_policy(Input& input) {
  const bool is_public = policy_of(input)->is_public();
  if (base::find_bool(input, "BlockPublicPolicy").value_or(false) && is_public)
    throw aws::ApiError(
        400, "PublicPolicyException",
        "The resource policy grants broad access to the secret: an Allow for every principal.");
  return named(store_.edit(text(input, "SecretId"), [&](Secret& secret) {
    secret.body["ResourcePolicy"] = text(input, "ResourcePolicy");
  }));
}

json::object SecretsManagerService::delete_resource_policy(Input& input) {
  return named(
      store_.edit(text(input, "SecretId"), [](Secret& secret) { secret.body.erase("ResourcePolicy"); }));
}

json::object SecretsManagerService::validate_resource_policy(Input& input) {
  const auto policy = policy_of(input);
  if (std::string id = text(input, "SecretId"); !id.empty()) store_.describe(id);
  json::array errors;
  if (policy->is_public())
    errors.push_back({{"CheckName", "PUBLIC_POLICY"},
                      {"ErrorMessage", "The resource policy grants broad access to the secret."}});
  const bool passed = errors.empty();
  return {{"PolicyValidationPassed", passed}, {"ValidationErrors", std::move(errors)}};
}

json::object SecretsManagerService::get_random_password(Input& input) {
  const Plaintext password = random_password(input);
  return {{"RandomPassword", json::string(password.view().data(), password.view().size())}};
}

// Rotation needs a function of AWS Lambda, which nothing here runs: what was set up is kept and shown, and a
// rotation that would have to happen now is refused.
json::object SecretsManagerService::rotate_secret(Input& input) {
  const std::string id = text(input, "SecretId"), function = text(input, "RotationLambdaARN");
  const std::string token = required_token(input);
  store_.check_no_rotation_under_way(id, token);
  const bool now = base::find_bool(input, "RotateImmediately").value_or(true);
  const Secret secret = store_.edit(id, [&](Secret& there) {
    if (function.empty() && text(there.body, "RotationLambdaARN").empty())
      refused("No Lambda rotation function ARN is associated with this secret.");
    if (now)
      refused(
          "Secrets Manager cannot invoke the specified Lambda function: Millrace runs no functions. Put the "
          "new value with PutSecretValue, or keep the settings alone with RotateImmediately false.");
    const json::object* rules = base::find_object(input, "RotationRules");
    if (rules && rules->contains("AutomaticallyAfterDays") && rules->contains("ScheduleExpression"))
      invalid("You can specify AutomaticallyAfterDays or ScheduleExpression, but not both.");
    there.body["RotationEnabled"] = true;
    if (!function.empty()) there.body["RotationLambdaARN"] = function;
    if (rules) there.body["RotationRules"] = *rules;
  });
  return named(secret);
}

json::object SecretsManagerService::cancel_rotate_secret(Input& input) {
  return named(store_.edit(text(input, "SecretId"), [](Secret& secret) {
    if (text(secret.body, "RotationLambdaARN").empty())
      refused("No Lambda rotation function ARN is associated with this secret.");
    secret.body["RotationEnabled"] = false;
  }));
}

json::object SecretsManagerService::replicate_secret_to_regions(Input& input) {
  store_.describe(text(input, "SecretId"));
  no_replicas();
}

json::object SecretsManagerService::remove_regions_from_replication(Input& input) {
  store_.describe(text(input, "SecretId"));
  invalid("The secret has no replicas in these regions.");
}

json::object SecretsManagerService::stop_replication_to_replica(Input& input) {
  store_.describe(text(input, "SecretId"));
  invalid("The secret is not a replica.");
}

}  // namespace millrace::services
