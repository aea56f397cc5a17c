#include "engine/compute_environment.h"

#include <boost/json/value_from.hpp>
#include <limits>

#include "engine/reasons.h"
#include "engine/reject.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

bool is_fargate_type(std::string_view type) { return type == "FARGATE" || type == "FARGATE_SPOT"; }

// The rules of computeResources for a managed environment (Batch reference, "ComputeResource").
void check_compute_resources(const json::object& resources) {
  std::string_view type = base::find_string(resources, "type").value_or("");
  bool fargate = is_fargate_type(type);
  auto max = base::find_int(resources, "maxvCpus");
  int64_t min = base::find_int(resources, "minvCpus").value_or(0);
  auto desired = base::find_int(resources, "desiredvCpus");
  if (!max || *max < 1) throw Reject("Resource maxvCpus is required and must be at least 1.");
  if (min < 0) throw Reject("minvCpus should be greater than or equal to 0.");
  if (min > *max) throw Reject("minvCpus should be less than or equal to maxvCpus.");
  if (desired && fargate) throw Reject("desiredvCpus is not applicable for Fargate.");
  if (desired && (*desired < min || *desired > *max))
    throw Reject("desiredvCpus should be between minvCpus and maxvCpus.");
  const json::array* subnets = base::find_array(resources, "subnets");
  if (!subnets || subnets->empty()) throw Reject("Subnets are required.");
  if (fargate) {
    if (subnets->size() > 16) throw Reject("Fargate supports a maximum of 16 subnets.");
    if (base::find(resources, "tags")) throw Reject("tags is not applicable for Fargate.");
    const json::array* groups = base::find_array(resources, "securityGroupIds");
    if (!groups || groups->empty()) throw Reject("Security group ids are required.");
    if (groups->size() > 5) throw Reject("Fargate supports a maximum of 5 security groups.");
    return;
  }
  if (base::find_string(resources, "instanceRole").value_or("").empty())
    throw Reject("Instance role is required.");
  const json::array* types = base::find_array(resources, "instanceTypes");
  if (!types || types->empty()) throw Reject("Resource instanceTypes are required.");
  if (type == "SPOT" && base::find_string(resources, "spotIamFleetRole").value_or("").empty() &&
      base::find_string(resources, "allocationStrategy").value_or("BEST_FIT") == "BEST_FIT")
    throw Reject("compute resource spotIamFleetRole is required.");
}

void set_default(json::object& object, std::string_view name, json::value value) {
  if (!object.contains(name)) object[name] = std::move(value);
}

}  // namespace

bool ComputeEnvironment::fargate() const {
  const json::object* resources = base::find_object(body, "computeResources");
  return resources && is_fargate_type(base::find_string(*resources, "type").value_or(""));
}

int64_t ComputeEnvironment::max_milli() const {
  if (const json::object* resources = base::find_object(body, "computeResources"))
    return base::find_int(*resources, "maxvCpus").value_or(0) * 1000;
  if (auto unmanaged = base::find_int(body, "unmanagedvCpus"); unmanaged && *unmanaged > 0)
    return *unmanaged * 1000;
  return std::numeric_limits<int64_t>::max() / 4;  // UNMANAGED without a number: whatever the host has
}

ComputeEnvironment make_compute_environment(const json::object& input, const Config& config,
                                            const std::string& uuid) {
  ComputeEnvironment environment;
  environment.name = base::find_string(input, "computeEnvironmentName").value_or("");
  if (!is_resource_name(environment.name))
    throw Reject("Compute Environment name should match a valid pattern.");
  if (base::find_string(input, "state").value_or("ENABLED") != "ENABLED")
    throw Reject("Compute Environment must be created in ENABLED state.");
  std::string_view type = base::find_string(input, "type").value_or("");
  const json::object* resources = base::find_object(input, "computeResources");
  if (base::find(input, "eksConfiguration"))
    throw Reject("eksConfiguration is not supported by this version of Millrace.");
  if (type == "MANAGED") {
    if (!resources) throw Reject("computeResources must be provided for a MANAGED compute environment");
    if (base::find(input, "unmanagedvCpus"))
      throw Reject("unmanagedvCpus is not applicable for managed Compute Environments");
    check_compute_resources(*resources);
  } else {
    if (resources) throw Reject("computeResources is not applicable for UNMANAGED Compute Environments");
    std::string_view role = base::find_string(input, "serviceRole").value_or("");
    if (role.empty()) throw Reject("ServiceRole is required.");
    if (role.find("AWSServiceRoleForBatch") != std::string_view::npos)
      throw Reject("Service Linked Role cannot be used with UNMANAGED Compute Environment");
  }
  for (const json::object::value_type& member : input)
    if (member.key() != "computeEnvironmentName" && member.key() != "tags") environment.body.insert(member);
  json::object& body = environment.body;
  body["state"] = "ENABLED";
  body["status"] = "VALID";
  body["statusReason"] = reasons::kEnvironmentHealthy;
  body["uuid"] = uuid;
  body["containerOrchestrationType"] = "ECS";
  body["ecsClusterArn"] = "arn:" + config.partition + ":ecs:" + config.region + ":" + config.account +
                          ":cluster/AWSBatch-" + environment.name + "-" + uuid;
  std::string service_role = "arn:" + config.partition + ":iam::" + config.account +
                             ":role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
  set_default(body, "serviceRole", json::value_from(service_role));
  if (resources && !environment.fargate()) {
    json::object& shown = body["computeResources"].as_object();
    int64_t min = base::find_int(shown, "minvCpus").value_or(0);
    set_default(shown, "minvCpus", min);
    set_default(shown, "desiredvCpus", min);
    set_default(shown, "allocationStrategy", "BEST_FIT");
  }
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(environment.tags, *tags);
  return environment;
}

void update_compute_environment(ComputeEnvironment& environment, const json::object& input) {
  json::object body = environment.body;
  for (const json::object::value_type& member : input) {
    if (member.key() == "computeEnvironment" || member.key() == "updatePolicy") continue;
    if (member.key() == "computeResources") {
      if (!body.contains("computeResources"))
        throw Reject("computeResources is not applicable for UNMANAGED Compute Environments");
      json::object& into = body["computeResources"].as_object();
      for (const json::object::value_type& change : member.value().as_object()) {
        bool unset = change.value().is_string() && change.value().get_string().empty();
        if (unset) {
          into.erase(change.key());
        } else {
          into[change.key()] = change.value();
        }
      }
      continue;
    }
    if (member.key() == "unmanagedvCpus" && body.contains("computeResources"))
      throw Reject("unmanagedvCpus is not applicable for managed Compute Environments");
    body[member.key()] = member.value();
  }
  if (const json::object* resources = base::find_object(body, "computeResources"))
    check_compute_resources(*resources);
  if (const json::object* policy = base::find_object(input, "updatePolicy")) body["updatePolicy"] = *policy;
  environment.body = std::move(body);
}

json::object describe(const ComputeEnvironment& environment, const Config& config) {
  json::object out;
  out["computeEnvironmentName"] = environment.name;
  out["computeEnvironmentArn"] = environment.arn(config);
  for (const json::object::value_type& member : environment.body) out.insert(member);
  out["tags"] = environment.tags;
  return out;
}

}  // namespace millrace::engine
