#include "engine/job_definition.h"

#include <fmt/format.h>

#include <array>

#include "engine/reject.h"
#include "engine/retry.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

constexpr size_t kBytesMax = 24 * 1024;
constexpr int64_t kTimeoutMin = 60;

// Lists that a container description always has, empty or not.
constexpr std::array<const char*, 7> kContainerLists = {
    "command", "volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets"};

// linuxParameters that Fargate refuses.
constexpr std::array<const char*, 5> kNotOnFargate = {"maxSwap", "swappiness", "tmpfs", "devices",
                                                      "sharedMemorySize"};

void check_environment(const json::object& container) {
  const json::array* variables = base::find_array(container, "environment");
  if (!variables) return;
  for (const json::value& value : *variables) {
    std::string_view name = base::find_string(value.as_object(), "name").value_or("");
    if (name.empty()) throw Reject("Environment variable name is required.");
    if (name.substr(0, 9) == "AWS_BATCH")
      throw Reject(
          "Environment variable names cannot start with AWS_BATCH. This naming convention is reserved for "
          "variables that Batch sets: " +
          std::string(name));
  }
}

void check_fargate(const json::object& container) {
  if (base::find_array(container, "ulimits") && !base::find_array(container, "ulimits")->empty())
    throw Reject("ulimits is not applicable for Fargate.");
  if (base::find_bool(container, "privileged").value_or(false))
    throw Reject("Fargate requires that the ‘privileged’ setting be ‘false’ at the container level.");
  if (const json::object* linux_parameters = base::find_object(container, "linuxParameters"))
    for (const char* name : kNotOnFargate)
      if (base::find(*linux_parameters, name))
        throw Reject(fmt::format("linuxParameter.{} is not allowed for Fargate.", name));
  if (const json::array* volumes = base::find_array(container, "volumes"))
    for (const json::value& volume : *volumes)
      if (const json::object* host = base::find_object(volume.as_object(), "host"))
        if (base::find_string(*host, "sourcePath"))
          throw Reject("host.sourcePath should not be set for volumes in Fargate.");
  if (const json::object* log = base::find_object(container, "logConfiguration")) {
    std::string_view driver = base::find_string(*log, "logDriver").value_or("");
    if (driver != "awslogs" && driver != "splunk" && driver != "awsfirelens")
      throw Reject("Log driver for Fargate is not valid: " + std::string(driver));
  }
  if (const json::object* storage = base::find_object(container, "ephemeralStorage")) {
    int64_t gib = base::find_int(*storage, "sizeInGiB").value_or(0);
    if (gib < 21 || gib > 200)
      throw Reject("Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB");
  }
}

void check_container(const json::object& container, bool fargate) {
  std::string_view image = base::find_string(container, "image").value_or("");
  if (image.empty()) throw Reject("ECS Container Image must be provided.");
  if (image.size() > 255) throw Reject("ECS Container Image must be at most 255 characters long.");
  check_environment(container);
  if (!fargate && base::find(container, "networkConfiguration"))
    throw Reject("networkConfiguration not applicable for EC2.");
  if (!fargate && base::find(container, "fargatePlatformConfiguration"))
    throw Reject("fargatePlatformConfiguration not applicable for EC2.");
  if (const json::array* secrets = base::find_array(container, "secrets"))
    if (!secrets->empty() && base::find_string(container, "executionRoleArn").value_or("").empty())
      throw Reject("executionRoleArn cannot be empty when using secrets or secretOptions");
  if (fargate) check_fargate(container);
  Resources resources;
  read_resources(container, fargate, resources);
  check_resources(resources, fargate);
}

void check_capabilities(const json::array& capabilities) {
  if (capabilities.size() != 1) throw Reject("Exactly 1 capability must be provided.");
  std::string_view one = base::view(capabilities[0].as_string());
  if (one != "EC2" && one != "FARGATE" && one != "MANAGED_INSTANCES")
    throw Reject(fmt::format(
        "Capability {} is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]", one));
}

}  // namespace

bool JobDefinition::fargate() const {
  const json::array* capabilities = base::find_array(body, "platformCapabilities");
  return capabilities && !capabilities->empty() && base::view((*capabilities)[0].as_string()) == "FARGATE";
}

JobDefinition make_job_definition(const json::object& input) {
  JobDefinition definition;
  definition.name = base::find_string(input, "jobDefinitionName").value_or("");
  if (!is_resource_name(definition.name)) throw Reject("Job Definition name should match a valid pattern.");
  if (json::serialize(input).size() > kBytesMax) throw Reject("Job definition must be at most 24 KiB.");
  const json::object* container = base::find_object(input, "containerProperties");
  if (container && base::find(input, "ecsProperties"))
    throw Reject("Cannot use both ECS containerProperties and ecsProperties");
  if (container && base::find(input, "eksProperties"))
    throw Reject("Cannot use both ECS containerProperties and eksProperties");
  if (base::find(input, "ecsProperties") && base::find(input, "eksProperties"))
    throw Reject("Cannot use both ecsProperties and eksProperties");
  std::string_view type = base::find_string(input, "type").value_or("");
  if (type == "multinode" && !base::find(input, "nodeProperties"))
    throw Reject("Node properties of multinode job is required.");
  for (const char* later :
       {"ecsProperties", "eksProperties", "nodeProperties", "consumableResourceProperties"})
    if (base::find(input, later))
      throw Reject(
          fmt::format("{} is not supported by this version of Millrace; use containerProperties.", later));
  if (!container) throw Reject("Container properties of container job is required.");

  for (const json::object::value_type& member : input)
    if (member.key() != "jobDefinitionName" && member.key() != "tags") definition.body.insert(member);
  if (const json::array* capabilities = base::find_array(input, "platformCapabilities"))
    check_capabilities(*capabilities);
  check_container(*container, definition.fargate());
  if (auto priority = base::find_int(input, "schedulingPriority");
      priority && (*priority < 0 || *priority > 9999))
    throw Reject("Scheduling priority must be between 0 and 9999.");
  if (const json::object* retry = base::find_object(input, "retryStrategy")) check_retry_strategy(*retry);
  if (const json::object* timeout = base::find_object(input, "timeout"))
    if (base::find_int(*timeout, "attemptDurationSeconds").value_or(kTimeoutMin) < kTimeoutMin)
      throw Reject("The minimum timeout of a job attempt is 60 seconds.");
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(definition.tags, *tags);

  json::object& shown = definition.body["containerProperties"].as_object();
  for (const char* list : kContainerLists)
    if (!shown.contains(list)) shown[list] = json::array();
  if (!definition.body.contains("parameters")) definition.body["parameters"] = json::object();
  if (json::value* retry = definition.body.if_contains("retryStrategy"))
    if (!retry->as_object().contains("evaluateOnExit")) retry->as_object()["evaluateOnExit"] = json::array();
  return definition;
}

json::object describe(const JobDefinition& definition, const Config& config) {
  json::object out;
  out["jobDefinitionName"] = definition.name;
  out["jobDefinitionArn"] = definition.arn(config);
  out["revision"] = definition.revision;
  out["status"] = definition.active ? "ACTIVE" : "INACTIVE";
  for (const json::object::value_type& member : definition.body) out.insert(member);
  out["tags"] = definition.tags;
  out["containerOrchestrationType"] = "ECS";
  return out;
}

}  // namespace millrace::engine
