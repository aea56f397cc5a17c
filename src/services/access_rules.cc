#include "services/access_rules.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace millrace::services {
namespace {

namespace json = base::json;

using Accesses = std::vector<iam::Access>;

struct Request {
  const aws::Operation& operation;
  const json::object& input;
  const AccessNames& names;

  std::string text(std::string_view member) const {
    return std::string(base::find_string(input, member).value_or(""));
  }
  std::string arn(std::string_view service, std::string_view rest) const {
    bool global = service == "iam";
    return "arn:aws:" + std::string(service) + ":" + (global ? "" : names.region) + ":" + names.account +
           ":" + std::string(rest);
  }
};

// The thing that a member names, by its ARN or by its name behind `kind`.
struct Rule {
  std::string_view service, operation;
  std::string_view kind;    // "job-queue/"
  std::string_view member;  // of the input; a list means each of them
};

constexpr std::array kRules = {
    Rule{"batch", "SubmitJob", "job-definition/", "jobDefinition"},
    Rule{"batch", "SubmitJob", "job-queue/", "jobQueue"},
    Rule{"batch", "CancelJob", "job/", "jobId"},
    Rule{"batch", "CancelJobs", "job/", "jobIds"},
    Rule{"batch", "TerminateJob", "job/", "jobId"},
    Rule{"batch", "TerminateJobs", "job/", "jobIds"},
    Rule{"batch", "CreateComputeEnvironment", "compute-environment/", "computeEnvironmentName"},
    Rule{"batch", "UpdateComputeEnvironment", "compute-environment/", "computeEnvironment"},
    Rule{"batch", "DeleteComputeEnvironment", "compute-environment/", "computeEnvironment"},
    Rule{"batch", "CreateJobQueue", "job-queue/", "jobQueueName"},
    Rule{"batch", "UpdateJobQueue", "job-queue/", "jobQueue"},
    Rule{"batch", "DeleteJobQueue", "job-queue/", "jobQueue"},
    Rule{"batch", "GetJobQueueSnapshot", "job-queue/", "jobQueue"},
    Rule{"batch", "RegisterJobDefinition", "job-definition/", "jobDefinitionName"},
    Rule{"batch", "DeregisterJobDefinition", "job-definition/", "jobDefinition"},
    Rule{"batch", "CreateSchedulingPolicy", "scheduling-policy/", "name"},
    Rule{"batch", "UpdateSchedulingPolicy", "scheduling-policy/", "arn"},
    Rule{"batch", "DeleteSchedulingPolicy", "scheduling-policy/", "arn"},
    Rule{"batch", "CreateConsumableResource", "consumable-resource/", "consumableResourceName"},
    Rule{"batch", "UpdateConsumableResource", "consumable-resource/", "consumableResource"},
    Rule{"batch", "DeleteConsumableResource", "consumable-resource/", "consumableResource"},
    Rule{"batch", "DescribeConsumableResource", "consumable-resource/", "consumableResource"},
    Rule{"batch", "ListJobsByConsumableResource", "consumable-resource/", "consumableResource"},
    Rule{"batch", "TagResource", "", "resourceArn"},
    Rule{"batch", "UntagResource", "", "resourceArn"},
    Rule{"batch", "ListTagsForResource", "", "resourceArn"},
    Rule{"events", "CreateEventBus", "event-bus/", "Name"},
    Rule{"events", "UpdateEventBus", "event-bus/", "Name"},
    Rule{"events", "DeleteEventBus", "event-bus/", "Name"},
    Rule{"events", "DescribeEventBus", "event-bus/", "Name"},
    Rule{"events", "PutPermission", "event-bus/", "EventBusName"},
    Rule{"events", "RemovePermission", "event-bus/", "EventBusName"},
    Rule{"events", "CreateArchive", "archive/", "ArchiveName"},
    Rule{"events", "UpdateArchive", "archive/", "ArchiveName"},
    Rule{"events", "DeleteArchive", "archive/", "ArchiveName"},
    Rule{"events", "DescribeArchive", "archive/", "ArchiveName"},
    Rule{"events", "StartReplay", "replay/", "ReplayName"},
    Rule{"events", "CancelReplay", "replay/", "ReplayName"},
    Rule{"events", "DescribeReplay", "replay/", "ReplayName"},
    Rule{"events", "CreateConnection", "connection/", "Name"},
    Rule{"events", "UpdateConnection", "connection/", "Name"},
    Rule{"events", "DeleteConnection", "connection/", "Name"},
    Rule{"events", "DescribeConnection", "connection/", "Name"},
    Rule{"events", "DeauthorizeConnection", "connection/", "Name"},
    Rule{"events", "CreateApiDestination", "api-destination/", "Name"},
    Rule{"events", "UpdateApiDestination", "api-destination/", "Name"},
    Rule{"events", "DeleteApiDestination", "api-destination/", "Name"},
    Rule{"events", "DescribeApiDestination", "api-destination/", "Name"},
    Rule{"events", "TagResource", "", "ResourceARN"},
    Rule{"events", "UntagResource", "", "ResourceARN"},
    Rule{"events", "ListTagsForResource", "", "ResourceARN"},
    Rule{"scheduler", "CreateScheduleGroup", "schedule-group/", "Name"},
    Rule{"scheduler", "DeleteScheduleGroup", "schedule-group/", "Name"},
    Rule{"scheduler", "GetScheduleGroup", "schedule-group/", "Name"},
    Rule{"scheduler", "TagResource", "", "ResourceArn"},
    Rule{"scheduler", "UntagResource", "", "ResourceArn"},
    Rule{"scheduler", "ListTagsForResource", "", "ResourceArn"},
    Rule{"logs", "TagResource", "", "resourceArn"},
    Rule{"logs", "UntagResource", "", "resourceArn"},
    Rule{"logs", "ListTagsForResource", "", "resourceArn"},
    Rule{"iam", "CreateUser", "user/", "UserName"},
    Rule{"iam", "CreateRole", "role/", "RoleName"},
    Rule{"iam", "CreateGroup", "group/", "GroupName"},
    Rule{"iam", "CreatePolicy", "policy/", "PolicyName"},
    Rule{"iam", "CreateInstanceProfile", "instance-profile/", "InstanceProfileName"},
    Rule{"sts", "AssumeRole", "role/", "RoleArn"},
};

constexpr std::string_view kDefaultBus = "default";

// "arn:aws:events:R:A:rule/NAME", or "…/BUS/NAME" on a bus of its own.
std::string rule_arn(const Request& request, const std::string& name) {
  std::string bus = request.text("EventBusName");
  if (size_t slash = bus.rfind('/'); slash != std::string::npos) bus = bus.substr(slash + 1);
  return request.arn("events", "rule/" + (bus.empty() || bus == kDefaultBus ? "" : bus + "/") + name);
}

Accesses events_accesses(const Request& request, const std::string& action) {
  std::string_view operation = request.operation.name;
  if (operation == "PutEvents") {
    Accesses out;
    const json::array* entries = base::find_array(request.input, "Entries");
    for (size_t i = 0; entries && i < entries->size(); ++i) {
      const json::object* entry = (*entries)[i].if_object();
      std::string bus(entry ? base::find_string(*entry, "EventBusName").value_or(kDefaultBus) : kDefaultBus);
      iam::Access access{action, bus.starts_with("arn:") ? bus : request.arn("events", "event-bus/" + bus)};
      for (auto [member, key] :
           {std::pair("Source", "events:source"), std::pair("DetailType", "events:detail-type")})
        if (auto text = entry ? base::find_string(*entry, member) : std::nullopt)
          access.context.set(key, std::string(*text));
      out.push_back(std::move(access));
    }
    return out;
  }
  // Operations on one rule name it so.
  for (std::string_view member : {"Rule", "Name"})
    if (auto name = base::find_string(request.input, member);
        name && (member == "Rule" || operation.ends_with("Rule")))
      return {{action, rule_arn(request, std::string(*name))}};
  return {};
}

Accesses scheduler_accesses(const Request& request, const std::string& action) {
  auto name = base::find_string(request.input, "Name");
  if (!name) return {};
  std::string group = request.text("GroupName");
  return {{action, request.arn("scheduler", "schedule/" + (group.empty() ? "default" : group) + "/" +
                                                std::string(*name))}};
}

// AWS names a group with an empty stream; policies are also written with ":*" or without anything.
Accesses logs_accesses(const Request& request, const std::string& action) {
  std::string group = request.text("logGroupName");
  if (group.empty()) group = request.text("logGroupIdentifier");
  if (group.empty()) return {};
  if (size_t at = group.find(":log-group:"); at != std::string::npos) group = group.substr(at + 11);
  std::string base = request.arn("logs", "log-group:" + group);
  return {{action, base + ":log-stream:" + request.text("logStreamName"), {base, base + ":*"}}};
}

Accesses secrets_accesses(const Request& request, const std::string& action) {
  auto named = [&](const std::string& id) {
    std::string arn = request.names.secret_arn ? request.names.secret_arn(id) : "";
    if (arn.empty()) arn = id.starts_with("arn:") ? id : request.arn("secretsmanager", "secret:" + id);
    return iam::Access{action, arn};
  };
  if (auto id = base::find_string(request.input, "SecretId")) return {named(std::string(*id))};
  if (request.operation.name == "CreateSecret")
    return {{action, request.arn("secretsmanager", "secret:" + request.text("Name"))}};
  if (request.operation.name == "BatchGetSecretValue") {
    Accesses out{{action, "*"}};
    if (const json::array* ids = base::find_array(request.input, "SecretIdList"))
      for (const json::value& id : *ids) {
        out.push_back(named(std::string(base::view(id.as_string()))));
        out.back().action = "secretsmanager:GetSecretValue";
      }
    return out;
  }
  return {};
}

Accesses parameters_accesses(const Request& request, const std::string& action) {
  auto named = [&](std::string_view name) {
    if (name.starts_with("arn:")) return iam::Access{action, std::string(name)};
    if (name.starts_with('/')) name.remove_prefix(1);
    return iam::Access{action, request.arn("ssm", "parameter/" + std::string(name))};
  };
  for (std::string_view member : {"Name", "Path", "ResourceId"})
    if (auto name = base::find_string(request.input, member)) return {named(*name)};
  Accesses out;
  if (const json::array* list = base::find_array(request.input, "Names"))
    for (const json::value& name : *list) out.push_back(named(base::view(name.as_string())));
  return out;
}

// Things of IAM, by whichever name the input has first.
Accesses iam_accesses(const Request& request, const std::string& action) {
  if (auto arn = base::find_string(request.input, "PolicyArn");
      arn && request.operation.name.find("Policy") != std::string_view::npos &&
      !base::find(request.input, "UserName") && !base::find(request.input, "RoleName") &&
      !base::find(request.input, "GroupName"))
    return {{action, std::string(*arn)}};
  for (auto [member, kind] :
       {std::pair("InstanceProfileName", "instance-profile/"), std::pair("RoleName", "role/"),
        std::pair("GroupName", "group/"), std::pair("UserName", "user/")})
    if (auto name = base::find_string(request.input, member))
      return {{action, request.arn("iam", kind + std::string(*name))}};
  return {};
}

struct Special {
  std::string_view service;
  Accesses (*find)(const Request& request, const std::string& action);
};
constexpr std::array kSpecials = {
    Special{"events", events_accesses},  Special{"scheduler", scheduler_accesses},
    Special{"logs", logs_accesses},      Special{"secretsmanager", secrets_accesses},
    Special{"ssm", parameters_accesses}, Special{"iam", iam_accesses},
};

// Roles that a request hands to a service: iam:PassRole must be allowed for each.
void find_roles(const json::value& value, std::vector<std::string>& out, int depth = 0) {
  constexpr int kDepthMax = 8;
  static constexpr std::array<std::string_view, 5> kMembers = {"jobRoleArn", "executionRoleArn",
                                                               "taskRoleArn", "RoleArn", "roleArn"};
  if (depth > kDepthMax) return;
  if (const json::array* list = value.if_array())
    for (const json::value& one : *list) find_roles(one, out, depth + 1);
  const json::object* object = value.if_object();
  if (!object) return;
  for (const auto& [key, member] : *object) {
    std::string_view name(key.data(), key.size());
    const json::string* text = member.if_string();
    if (text && std::find(kMembers.begin(), kMembers.end(), name) != kMembers.end())
      out.emplace_back(base::view(*text));
    else
      find_roles(member, out, depth + 1);
  }
}

}  // namespace

std::vector<iam::Access> accesses_of(const aws::Operation& operation, const json::object& input,
                                     const http::RequestHead& head, const AccessNames& names) {
  std::string_view service = operation.service->signing_name;
  if (service == "s3") return s3_accesses_of(operation, input, head);
  if (service == "sts" && (operation.name == "GetCallerIdentity" || operation.name == "GetSessionToken"))
    return {};
  const std::string action = std::string(service) + ":" + std::string(operation.name);
  Request request{operation, input, names};
  Accesses out;
  for (const Rule& rule : kRules) {
    if (rule.service != service || rule.operation != operation.name) continue;
    auto add = [&](std::string_view name) {
      if (name.starts_with("arn:") || rule.kind.empty()) {
        out.push_back({action, std::string(name)});
        return;
      }
      std::string arn = request.arn(service, std::string(rule.kind) + std::string(name));
      // A definition without a revision may become any of them.
      if (rule.kind == "job-definition/" && name.find(':') == std::string_view::npos)
        out.push_back({action, arn, {arn + ":*"}});
      else
        out.push_back({action, arn});
    };
    const json::value* value = base::find(input, rule.member);
    if (const json::array* list = value ? value->if_array() : nullptr)
      for (const json::value& one : *list) add(one.is_string() ? base::view(one.as_string()) : "");
    else if (value && value->is_string())
      add(base::view(value->as_string()));
    else if (rule.kind == "event-bus/")
      add(kDefaultBus);
  }
  if (out.empty())
    for (const Special& special : kSpecials)
      if (special.service == service) out = special.find(request, action);
  if (out.empty()) out.push_back({action, "*"});
  if (service == "batch" || service == "events" || service == "scheduler") {
    std::vector<std::string> roles;
    find_roles(json::value(input), roles);
    for (std::string& role : roles) {
      if (!role.starts_with("arn:")) role = request.arn("iam", "role/" + role);
      out.push_back({"iam:PassRole", role});
    }
  }
  return out;
}

void add_request_context(const aws::Operation& operation, const json::object& input,
                         const http::RequestHead& head, iam::Context& context) {
  // The port is after the last colon; IPv6 addresses stand in brackets.
  std::string_view peer = head.peer;
  peer = peer.substr(0, peer.rfind(':'));
  if (peer.starts_with('[')) peer = peer.substr(1, peer.size() - 2);
  context.set("aws:SourceIp", std::string(peer));
  for (auto [header, key] : {std::pair("user-agent", "aws:UserAgent"), std::pair("referer", "aws:Referer")})
    if (std::string_view value = head.headers.get(header); !value.empty())
      context.set(key, std::string(value));
  std::string service(operation.service->signing_name);
  if (service == "s3") {
    for (auto [member, key] : {std::pair("Prefix", "s3:prefix"), std::pair("Delimiter", "s3:delimiter"),
                               std::pair("VersionId", "s3:VersionId")})
      if (auto text = base::find_string(input, member)) context.set(key, std::string(*text));
    if (auto count = base::find_int(input, "MaxKeys")) context.set("s3:max-keys", std::to_string(*count));
    for (std::string_view header : {"x-amz-acl", "x-amz-content-sha256", "x-amz-copy-source",
                                    "x-amz-metadata-directive", "x-amz-server-side-encryption",
                                    "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-storage-class"})
      if (std::string_view value = head.headers.get(header); !value.empty())
        context.set("s3:" + std::string(header), std::string(value));
    return;
  }
  struct {
    std::string_view service, member, key;
  } constexpr kKeys[] = {
      {"batch", "shareIdentifier", "batch:ShareIdentifier"},
      {"secretsmanager", "SecretId", "secretsmanager:SecretId"},
      {"secretsmanager", "Name", "secretsmanager:Name"},
      {"secretsmanager", "VersionId", "secretsmanager:VersionId"},
      {"secretsmanager", "VersionStage", "secretsmanager:VersionStage"},
      {"sts", "RoleSessionName", "sts:RoleSessionName"},
      {"sts", "ExternalId", "sts:ExternalId"},
      {"iam", "PolicyArn", "iam:PolicyARN"},
      {"iam", "PermissionsBoundary", "iam:PermissionsBoundary"},
      {"events", "EventPattern", "events:eventPattern"},
  };
  for (const auto& one : kKeys)
    if (one.service == service)
      if (auto text = base::find_string(input, one.member)) context.set(one.key, std::string(*text));
  if (service == "batch")
    if (const json::object* container = base::find_object(input, "containerProperties")) {
      for (auto [member, key] : {std::pair("image", "batch:Image"), std::pair("user", "batch:User")})
        if (auto text = base::find_string(*container, member)) context.set(key, std::string(*text));
      if (auto privileged = base::find_bool(*container, "privileged"))
        context.set("batch:Privileged", *privileged ? "true" : "false");
    }
  // Tags that come with the request: a map, or a list of Key and Value.
  auto tag = [&](std::string_view key, std::string_view value) {
    context.set("aws:RequestTag/" + std::string(key), std::string(value));
    context.add("aws:TagKeys", std::string(key));
  };
  for (std::string_view member : {"tags", "Tags"}) {
    const json::value* tags = base::find(input, member);
    if (const json::object* map = tags ? tags->if_object() : nullptr)
      for (const auto& [key, value] : *map)
        if (value.is_string()) tag({key.data(), key.size()}, base::view(value.as_string()));
    if (const json::array* list = tags ? tags->if_array() : nullptr)
      for (const json::value& one : *list)
        if (const json::object* pair = one.if_object())
          tag(base::find_string(*pair, "Key").value_or(""), base::find_string(*pair, "Value").value_or(""));
  }
}

}  // namespace millrace::services
