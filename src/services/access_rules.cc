#include "services/access_rules.h"

#include <algorithm>
#include <array>

#include "aws/api_error.h"
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

};

constexpr std::string_view kDefaultBus = "default";

// What is here has this account's ARN, whatever region and account it was named with: they are not looked at
// when it is looked up. The parts before the sixth are replaced.
std::string local_arn(const Request& request, std::string_view service, std::string_view arn) {
  for (int colons = 0; colons < 5; ++colons) {
    size_t colon = arn.find(':');
    if (colon == std::string_view::npos) return request.arn(service, arn);
    arn.remove_prefix(colon + 1);
  }
  return request.arn(service, arn);
}

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
      iam::Access access{action, bus.starts_with("arn:") ? local_arn(request, "events", bus)
                                                         : request.arn("events", "event-bus/" + bus)};
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
  auto named = [&](std::string group) {
    if (size_t at = group.find(":log-group:"); at != std::string::npos) group = group.substr(at + 11);
    group = group.substr(0, group.find(':'));
    std::string base = request.arn("logs", "log-group:" + group);
    return iam::Access{action, base + ":log-stream:" + request.text("logStreamName"), {base, base + ":*"}};
  };
  Accesses out;
  for (std::string_view member : {"logGroupName", "logGroupIdentifier", "resourceIdentifier", "resourceArn"})
    if (std::string group = request.text(member); !group.empty()) out.push_back(named(group));
  for (std::string_view member : {"logGroupIdentifiers", "logGroupNames"})
    if (const json::array* list = base::find_array(request.input, member))
      for (const json::value& one : *list) out.push_back(named(std::string(base::view(one.as_string()))));
  return out;
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
    // Which secrets filters find is not known here.
    if (base::find(request.input, "Filters"))
      throw aws::ApiError(400, "AccessDeniedException",
                          "Only who may do everything reads secrets by Filters; name them in SecretIdList.");
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
  constexpr std::string_view kSecret = "/aws/reference/secretsmanager/";
  Accesses out;
  auto add = [&](std::string_view name) {
    if (name.starts_with("arn:")) {
      size_t at = name.find(":parameter");
      name = at == std::string_view::npos ? name : name.substr(at + 10);
    }
    name = name.substr(0, name.find(':'));  // a version or a label
    if (name.starts_with(kSecret)) {
      std::string_view id = name.substr(kSecret.size());
      std::string arn = request.names.secret_arn ? request.names.secret_arn(id) : "";
      out.push_back({"secretsmanager:GetSecretValue",
                     arn.empty() ? request.arn("secretsmanager", "secret:" + std::string(id)) : arn});
    }
    if (name.starts_with('/')) name.remove_prefix(1);
    out.push_back({action, request.arn("ssm", "parameter/" + std::string(name))});
  };
  for (std::string_view member : {"Name", "Path", "ResourceId"})
    if (auto name = base::find_string(request.input, member)) {
      add(*name);
      return out;
    }
  if (const json::array* list = base::find_array(request.input, "Names"))
    for (const json::value& name : *list) add(base::view(name.as_string()));
  return out;
}

// Things of IAM: as the account has them, those that are to be made as they will be.
Accesses iam_accesses(const Request& request, const std::string& action) {
  std::string_view operation = request.operation.name;
  struct {
    const char *member, *new_member;
    iam::EntityKind kind;
  } constexpr kNames[] = {{"InstanceProfileName", "", iam::EntityKind::kInstanceProfile},
                          {"RoleName", "", iam::EntityKind::kRole},
                          {"GroupName", "NewGroupName", iam::EntityKind::kGroup},
                          {"UserName", "NewUserName", iam::EntityKind::kUser}};
  auto path_or = [&](std::string_view member, const std::string& otherwise) {
    std::string path = request.text(member);
    return path.empty() ? otherwise : path;
  };
  auto arn_of = [&](iam::EntityKind kind, const std::string& path, const std::string& name) {
    return request.arn("iam", std::string(to_string(kind)) + path + name);
  };
  Accesses out;
  for (const auto& one : kNames) {
    auto name = base::find_string(request.input, one.member);
    if (!name) continue;
    const iam::Entity* entity = request.names.state ? request.names.state->find(one.kind, *name) : nullptr;
    out.push_back(
        {action, entity ? entity->arn : arn_of(one.kind, path_or("Path", "/"), std::string(*name))});
    // What it is to be called is named, too.
    if (operation.starts_with("Update") &&
        (base::find(request.input, one.new_member) || base::find(request.input, "NewPath"))) {
      std::string renamed = request.text(one.new_member);
      out.push_back({action, arn_of(one.kind, path_or("NewPath", entity ? entity->path : "/"),
                                    renamed.empty() ? std::string(*name) : renamed)});
    }
  }
  if (operation == "CreatePolicy")
    out.push_back({action, request.arn("iam", "policy" + path_or("Path", "/") + request.text("PolicyName"))});
  if (out.empty())
    for (std::string_view member : {"PolicyArn", "PolicySourceArn"})
      if (auto arn = base::find_string(request.input, member)) out.push_back({action, std::string(*arn)});
  // Without a name they are about the caller.
  static constexpr std::array<std::string_view, 6> kOfCaller = {
      "GetUser", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "ListAccessKeys", "ChangePassword"};
  if (out.empty() && !request.names.user.empty() &&
      std::find(kOfCaller.begin(), kOfCaller.end(), operation) != kOfCaller.end()) {
    const iam::Entity* user =
        request.names.state ? request.names.state->find(iam::EntityKind::kUser, request.names.user) : nullptr;
    if (user) out.push_back({action, user->arn});
  }
  return out;
}

// Who sets a Batch target without a role has its jobs submitted as if by itself.
Accesses targets_accesses(const Request& request) {
  Accesses out;
  const json::array* targets = base::find_array(request.input, "Targets");
  for (size_t i = 0; targets && i < targets->size(); ++i) {
    const json::object* target = (*targets)[i].if_object();
    const json::object* batch = target ? base::find_object(*target, "BatchParameters") : nullptr;
    if (!batch || base::find(*target, "RoleArn")) continue;
    out.push_back(
        {"batch:SubmitJob", local_arn(request, "batch", base::find_string(*target, "Arn").value_or(""))});
    std::string definition(base::find_string(*batch, "JobDefinition").value_or(""));
    out.push_back({"batch:SubmitJob", definition.starts_with("arn:")
                                          ? local_arn(request, "batch", definition)
                                          : request.arn("batch", "job-definition/" + definition)});
  }
  return out;
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
  // AssumeRole is decided by STS, with the role's trust policy.
  if (service == "sts" && (operation.name == "GetCallerIdentity" || operation.name == "GetSessionToken" ||
                           operation.name == "AssumeRole"))
    return {};
  const std::string action = std::string(service) + ":" + std::string(operation.name);
  Request request{operation, input, names};
  Accesses out;
  for (const Rule& rule : kRules) {
    if (rule.service != service || rule.operation != operation.name) continue;
    auto add = [&](std::string_view name) {
      std::string arn = name.starts_with("arn:") || rule.kind.empty()
                            ? local_arn(request, service, name)
                            : request.arn(service, std::string(rule.kind) + std::string(name));
      // A definition without a revision may become any of them.
      size_t definition = arn.find(":job-definition/");
      bool any_revision =
          definition != std::string::npos && arn.find(':', definition + 1) == std::string::npos;
      out.push_back(
          {action, arn, any_revision ? std::vector<std::string>{arn + ":*"} : std::vector<std::string>{}});
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
  if (operation.name == "PutTargets")
    for (iam::Access& access : targets_accesses(request)) out.push_back(std::move(access));
  if (service == "batch" || service == "events" || service == "scheduler") {
    std::vector<std::string> roles;
    find_roles(json::value(input), roles);
    for (std::string& role : roles) {
      if (!role.starts_with("arn:")) {
        const iam::Entity* known = names.state ? names.state->find(iam::EntityKind::kRole, role) : nullptr;
        role = known ? known->arn : request.arn("iam", "role/" + role);
      }
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
