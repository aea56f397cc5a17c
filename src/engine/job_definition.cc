#include "engine/job_definition.h"

#include <fmt/format.h>

#include <set>

#include "engine/consumable_resource.h"
#include "engine/container_rules.h"
#include "engine/ecs_task.h"
#include "engine/node_properties.h"
#include "engine/reject.h"
#include "engine/retry.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

constexpr size_t kBytesMax = 24 * 1024;
constexpr int64_t kTimeoutMin = 60;

void check_capabilities(const json::array& capabilities) {
  if (capabilities.size() != 1) throw Reject("Exactly 1 capability must be provided.");
  std::string_view one = base::view(capabilities[0].as_string());
  if (one != "EC2" && one != "FARGATE" && one != "MANAGED_INSTANCES")
    throw Reject(fmt::format(
        "Capability {} is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]", one));
}

void check_one_description(const json::object& input) {
  bool container = base::find(input, "containerProperties"), ecs = base::find(input, "ecsProperties"),
       eks = base::find(input, "eksProperties");
  if (container && ecs) throw Reject("Cannot use both ECS containerProperties and ecsProperties");
  if (container && eks) throw Reject("Cannot use both ECS containerProperties and eksProperties");
  if (ecs && eks) throw Reject("Cannot use both ecsProperties and eksProperties");
  bool nodes = base::find(input, "nodeProperties");
  if (base::find_string(input, "type") == "multinode") {
    if (!nodes) throw Reject("Node properties of multinode job is required.");
  } else {
    if (nodes) throw Reject("nodeProperties is only applicable to multinode jobs.");
    if (!container && !ecs && !eks) throw Reject("Container properties of container job is required.");
  }
}

[[noreturn]] void refuse_unsupported(const char* what) {
  throw Reject(
      fmt::format("{} is not supported by this version of Millrace; use containerProperties.", what));
}

// What all kinds of jobs have in common.
void check_job(const json::object& input) {
  if (auto priority = base::find_int(input, "schedulingPriority");
      priority && (*priority < 0 || *priority > 9999))
    throw Reject("Scheduling priority must be between 0 and 9999.");
  if (const json::object* retry = base::find_object(input, "retryStrategy")) check_retry_strategy(*retry);
  if (const json::object* timeout = base::find_object(input, "timeout"))
    if (base::find_int(*timeout, "attemptDurationSeconds").value_or(kTimeoutMin) < kTimeoutMin)
      throw Reject("The minimum timeout of a job attempt is 60 seconds.");
  refuse_nul(input, "the job definition");
}

}  // namespace

bool JobDefinition::fargate() const {
  const json::array* capabilities = base::find_array(body, "platformCapabilities");
  return capabilities && !capabilities->empty() && base::view((*capabilities)[0].as_string()) == "FARGATE";
}

bool JobDefinition::needs_secrets() const {
  auto any = [](const json::object& from, const char* member) {
    const json::array* list = base::find_array(from, member);
    return list && !list->empty();
  };
  const json::object* log = base::find_object(container(), "logConfiguration");
  return any(container(), "secrets") || (log && any(*log, "secretOptions"));
}

JobDefinition make_job_definition(const json::object& input) {
  JobDefinition definition;
  definition.name = base::find_string(input, "jobDefinitionName").value_or("");
  if (!is_resource_name(definition.name)) throw Reject("Job Definition name should match a valid pattern.");
  if (json::serialize(input).size() > kBytesMax) throw Reject("Job definition must be at most 24 KiB.");
  check_one_description(input);
  const json::array* capabilities = base::find_array(input, "platformCapabilities");
  if (capabilities) check_capabilities(*capabilities);
  for (const json::object::value_type& member : input)
    if (member.key() != "jobDefinitionName" && member.key() != "tags") definition.body.insert(member);
  bool fargate = definition.fargate();
  bool managed_instances = capabilities && capabilities->at(0) == "MANAGED_INSTANCES";
  check_job(input);

  const json::object* container = base::find_object(input, "containerProperties");
  const json::object* ecs = base::find_object(input, "ecsProperties");
  if (const json::object* nodes = base::find_object(input, "nodeProperties")) {
    if (managed_instances) throw Reject("MANAGED_INSTANCES does not support MNP jobs");
    check_node_properties(*nodes);
    refuse_unsupported("nodeProperties");
  }
  if (base::find(input, "eksProperties")) refuse_unsupported("eksProperties");
  if (container) check_container(*container, fargate);
  if (ecs) check_ecs_properties(*ecs, fargate);
  if (managed_instances)
    throw Reject(
        "Capability MANAGED_INSTANCES is not supported by this version of Millrace; use EC2 or FARGATE.");
  if (const json::object* consumables = base::find_object(input, "consumableResourceProperties"))
    check_consumable_properties(*consumables);
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(definition.tags, *tags);

  json::object& body = definition.body;
  if (ecs) {
    body["containerProperties"] = container_of(*ecs, fargate);
    complete_ecs_properties(body["ecsProperties"].as_object(), fargate);
  } else {
    complete_container(body["containerProperties"].as_object(), fargate);
  }
  if (!body.contains("parameters")) body["parameters"] = json::object();
  if (json::value* retry = body.if_contains("retryStrategy"))
    if (!retry->as_object().contains("evaluateOnExit")) retry->as_object()["evaluateOnExit"] = json::array();
  return definition;
}

json::object describe(const JobDefinition& definition, const Config& config) {
  json::object out;
  out["jobDefinitionName"] = definition.name;
  out["jobDefinitionArn"] = definition.arn(config);
  out["revision"] = definition.revision;
  out["status"] = definition.active ? "ACTIVE" : "INACTIVE";
  for (const json::object::value_type& member : definition.body)
    if (member.key() != "containerProperties" || !definition.ecs()) out.insert(member);
  out["tags"] = definition.tags;
  out["containerOrchestrationType"] = "ECS";
  return out;
}

}  // namespace millrace::engine
