#include "services/job_credentials.h"

#include "base/hash.h"
#include "base/strings.h"

namespace millrace::services {
namespace {

namespace json = base::json;

// No bucket has so short a name: these paths are free.
constexpr std::string_view kCredentialsPath = "/v2/credentials", kMetadataPath = "/v4/";
constexpr std::string_view kCredentialsPurpose = "job credentials", kMetadataPurpose = "job metadata";
constexpr base::TimeMs kCredentialsLiveMs = base::TimeMs{3600} * 1000;

http::Response answer_json(int status, const json::object& body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.body = json::serialize(body);
  return response;
}

http::Response refusal(int status, const char* code, const char* message) {
  return answer_json(status, {{"code", code}, {"message", message}});
}

std::string text(const json::object& claims, std::string_view name) {
  return std::string(base::find_string(claims, name).value_or(""));
}

uint64_t attempt_of(const json::object& claims) {
  return static_cast<uint64_t>(base::find_int(claims, "attempt").value_or(0));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> JobCredentials::variables(
    const engine::StartAttempt& attempt, const std::string& endpoint) {
  std::shared_ptr<const iam::Entity> role = authorizer_.job_role(attempt.job_role);
  identities_.attempt_lives(attempt.token);
  json::object who{{"job", attempt.job_id}, {"attempt", attempt.token}};
  if (role) {
    who["role"] = role->name;
    who["id"] = role->id;
    who["arn"] = role->arn;
  }
  json::object facts{{"job", attempt.job_id},        {"attempt", attempt.token},
                     {"image", attempt.image},       {"cpu", static_cast<double>(attempt.vcpus_milli) / 1000},
                     {"memory", attempt.memory_mib}, {"group", attempt.log_group},
                     {"stream", attempt.log_stream}, {"at", clock_.now_ms()}};
  std::vector<std::pair<std::string, std::string>> out{
      {"ECS_CONTAINER_METADATA_URI_V4",
       endpoint + std::string(kMetadataPath) + identities_.seal(kMetadataPurpose, json::serialize(facts))}};
  if (role || !authorizer_.is_strict()) {
    out.emplace_back("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint + std::string(kCredentialsPath));
    out.emplace_back("AWS_CONTAINER_AUTHORIZATION_TOKEN",
                     identities_.seal(kCredentialsPurpose, json::serialize(who)));
  }
  return out;
}

std::optional<http::Response> JobCredentials::answer(const http::RequestHead& head) const {
  if (head.path == kCredentialsPath) return credentials(head);
  if (std::string_view path = head.path; path.starts_with(kMetadataPath))
    return metadata(path.substr(kMetadataPath.size()));
  return std::nullopt;
}

http::Response JobCredentials::credentials(const http::RequestHead& head) const {
  if (head.method != "GET") return refusal(405, "InvalidRequest", "Credentials are read with GET.");
  std::optional<std::string> claims =
      identities_.unseal(kCredentialsPurpose, base::trim(head.headers.get("authorization")));
  if (!claims)
    return refusal(
        403, "AccessDenied",
        "The Authorization header is not the AWS_CONTAINER_AUTHORIZATION_TOKEN of a job of this engine.");
  json::value value = base::parse_json(*claims);
  const json::object& who = value.as_object();
  Session session;
  session.attempt = attempt_of(who);
  if (!identities_.lives(session.attempt))
    return refusal(403, "AccessDenied", "The job has ended, and its credentials with it.");
  session.name = text(who, "job");
  session.role = text(who, "role");
  session.id = text(who, "id");
  session.unrestricted = session.role.empty();
  std::string role_arn = text(who, "arn");
  session.issued = clock_.now_ms();
  session.expires = session.issued + kCredentialsLiveMs;
  aws::Credentials keys = identities_.issue(session);
  if (role_arn.empty()) role_arn = "arn:aws:iam::" + account_ + ":role/millrace-job";
  return answer_json(200, {{"RoleArn", role_arn},
                           {"AccessKeyId", keys.access_key_id},
                           {"SecretAccessKey", keys.secret_access_key},
                           {"Token", keys.session_token},
                           {"Expiration", base::iso8601(session.expires)}});
}

http::Response JobCredentials::metadata(std::string_view path) const {
  size_t slash = std::min(path.find('/'), path.size());
  std::optional<std::string> sealed = identities_.unseal(kMetadataPurpose, path.substr(0, slash));
  if (!sealed) return refusal(404, "NotFound", "There is no such container.");
  json::value value = base::parse_json(*sealed);
  const json::object& facts = value.as_object();
  if (!identities_.lives(attempt_of(facts))) return refusal(404, "NotFound", "The container has ended.");
  std::string_view what = path.substr(slash);
  const std::string job = text(facts, "job");
  const std::string ecs = "arn:aws:ecs:" + region_ + ":" + account_ + ":";
  const std::string id = base::sha256_hex("container " + std::to_string(attempt_of(facts))).substr(0, 32);
  const std::string task = ecs + "task/millrace/" + id, family = "millrace";
  json::object limits{{"CPU", *base::find(facts, "cpu")}, {"Memory", *base::find(facts, "memory")}};
  std::string started = base::iso8601(base::find_int(facts, "at").value_or(0), true);
  json::object container{{"DockerId", id},
                         {"Name", "default"},
                         {"DockerName", "default"},
                         {"Image", text(facts, "image")},
                         {"Labels", json::object{{"com.amazonaws.ecs.cluster", "millrace"},
                                                 {"com.amazonaws.ecs.container-name", "default"},
                                                 {"com.amazonaws.ecs.task-arn", task},
                                                 {"com.amazonaws.ecs.task-definition-family", family},
                                                 {"com.amazonaws.ecs.task-definition-version", "1"}}},
                         {"DesiredStatus", "RUNNING"},
                         {"KnownStatus", "RUNNING"},
                         {"Limits", limits},
                         {"CreatedAt", started},
                         {"StartedAt", started},
                         {"Type", "NORMAL"},
                         {"LogDriver", "awslogs"},
                         {"LogOptions", json::object{{"awslogs-group", text(facts, "group")},
                                                     {"awslogs-region", region_},
                                                     {"awslogs-stream", text(facts, "stream")}}},
                         {"ContainerARN", ecs + "container/millrace/" + id + "/default"}};
  if (what.empty() || what == "/") return answer_json(200, container);
  if (what == "/task" || what == "/taskWithTags")
    return answer_json(200, {{"Cluster", "millrace"},
                             {"TaskARN", task},
                             {"Family", family},
                             {"Revision", "1"},
                             {"DesiredStatus", "RUNNING"},
                             {"KnownStatus", "RUNNING"},
                             {"Limits", limits},
                             {"PullStartedAt", started},
                             {"PullStoppedAt", started},
                             {"AvailabilityZone", region_ + "a"},
                             {"LaunchType", "EC2"},
                             {"Containers", json::array{container}}});
  return refusal(404, "NotFound",
                 "Of a container there are \"\" and \"/task\"; statistics are not kept here.");
}

}  // namespace millrace::services
