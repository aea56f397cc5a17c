#include "engine/compute_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/value_from.hpp>
#include <limits>

#include "engine/instance_types.h"
#include "engine/reasons.h"
#include "engine/reject.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

bool is_fargate_type(std::string_view type) { return type == "FARGATE" || type == "FARGATE_SPOT"; }

enum class Kind { kEc2, kFargate, kOther };

Kind kind_of(std::string_view type) {
  if (type == "EC2" || type == "SPOT") return Kind::kEc2;
  return is_fargate_type(type) ? Kind::kFargate : Kind::kOther;
}

bool is_empty(const json::value& value) {
  return (value.is_string() && value.get_string().empty()) ||
         (value.is_array() && value.get_array().empty()) || (value.is_object() && value.get_object().empty());
}

// ComputeResource, ComputeResourceUpdate: "isn't applicable to jobs that are running on Fargate resources".
constexpr std::array<const char*, 14> kNotOnFargate = {
    "desiredvCpus",     "tags",           "minvCpus",         "allocationStrategy", "instanceTypes",
    "instanceRole",     "imageId",        "ec2KeyPair",       "placementGroup",     "bidPercentage",
    "spotIamFleetRole", "launchTemplate", "ec2Configuration", "scalingPolicy"};

// The members of a Fargate environment that an update may give (User Guide, "Updating compute environments").
constexpr std::array<std::string_view, 3> kFargateUpdates = {"maxvCpus", "subnets", "securityGroupIds"};

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max() / 4;  // thousandths of a vCPU
constexpr int64_t kScaleDownDelayMin = 20, kScaleDownDelayMax = 10080;   // minutes

void check_fargate_resources(const json::object& resources) {
  for (const char* member : kNotOnFargate)
    if (const json::value* value = base::find(resources, member); value && !is_empty(*value))
      throw Reject(fmt::format("{} is not applicable for Fargate.", member));
  if (resources.at("subnets").as_array().size() > 16)
    throw Reject("Fargate supports a maximum of 16 subnets.");
  const json::array* groups = base::find_array(resources, "securityGroupIds");
  if (!groups || groups->empty()) throw Reject("Security group ids are required.");
  if (groups->size() > 5) throw Reject("Fargate supports a maximum of 5 security groups.");
}

void check_instance_types(const json::array& types, std::string_view strategy) {
  size_t arm = 0;
  for (const json::value& value : types) {
    std::string_view type = base::view(value.as_string());
    if (is_arm_instance(type)) ++arm;
    // These strategies go by the order of the list, which a bundle does not have.
    if (is_instance_bundle(type) &&
        (strategy == "BEST_FIT_PROGRESSIVE_ORDERED" || strategy == "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"))
      throw Reject(
          fmt::format("Instance type bundles (e.g. optimal, default_x86_64) are not allowed for {} "
                      "allocation strategy. Specify instance families or types directly.",
                      strategy));
  }
  if (arm > 0 && arm < types.size())
    throw Reject("arm-based instance type cannot be used with other instance types");
}

void check_launch_template(const json::object& launch_template) {
  bool id = !base::find_string(launch_template, "launchTemplateId").value_or("").empty();
  bool name = !base::find_string(launch_template, "launchTemplateName").value_or("").empty();
  const json::array* overrides = base::find_array(launch_template, "overrides");
  if ((id && name) || (!id && !name && (!overrides || overrides->empty())))
    throw Reject(
        "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides should be provided");
}

void check_ec2_resources(const json::object& resources, bool spot) {
  if (base::find_string(resources, "instanceRole").value_or("").empty())
    throw Reject("Instance role is required.");
  const json::array* types = base::find_array(resources, "instanceTypes");
  if (!types || types->empty()) throw Reject("Resource instanceTypes are required.");
  std::string_view strategy = base::find_string(resources, "allocationStrategy").value_or("BEST_FIT");
  check_instance_types(*types, strategy);
  if (!spot && strategy.substr(0, 5) == "SPOT_")
    throw Reject(
        fmt::format("Allocation strategy {} is only available for SPOT compute resources.", strategy));
  if (spot && strategy == "BEST_FIT_PROGRESSIVE_ORDERED")
    throw Reject(
        fmt::format("Allocation strategy {} is only available for EC2 compute resources.", strategy));
  if (spot && strategy == "BEST_FIT" && base::find_string(resources, "spotIamFleetRole").value_or("").empty())
    throw Reject("compute resource spotIamFleetRole is required.");
  if (auto percentage = base::find_int(resources, "bidPercentage");
      percentage && (*percentage < 0 || *percentage > 100))
    throw Reject("Bid percentage must be between 0 to 100.");
  if (const json::object* launch_template = base::find_object(resources, "launchTemplate"))
    check_launch_template(*launch_template);
  if (const json::object* scaling = base::find_object(resources, "scalingPolicy"))
    if (auto delay = base::find_int(*scaling, "minScaleDownDelayMinutes");
        delay && *delay != 0 && (*delay < kScaleDownDelayMin || *delay > kScaleDownDelayMax))
      throw Reject(fmt::format("minScaleDownDelayMinutes should be 0 or between {} and {}, got {}.",
                               kScaleDownDelayMin, kScaleDownDelayMax, *delay));
}

// The rules of computeResources for a managed environment (Batch reference, "ComputeResource").
void check_compute_resources(const json::object& resources) {
  std::string_view type = base::find_string(resources, "type").value_or("");
  Kind kind = kind_of(type);
  if (kind == Kind::kOther)
    throw Reject(
        fmt::format("Compute resources of type {} are not supported by this version of Millrace; use "
                    "EC2, SPOT, FARGATE or FARGATE_SPOT.",
                    type));
  auto max = base::find_int(resources, "maxvCpus");
  if (!max || *max < 1) throw Reject("Resource maxvCpus is required and must be at least 1.");
  const json::array* subnets = base::find_array(resources, "subnets");
  if (!subnets || subnets->empty()) throw Reject("Subnets are required.");
  if (kind == Kind::kFargate) return check_fargate_resources(resources);
  auto min = base::find_int(resources, "minvCpus");
  auto desired = base::find_int(resources, "desiredvCpus");
  if (!min) throw Reject("Resource minvCpus is required.");
  if (*min < 0) throw Reject("minvCpus should be greater than or equal to 0.");
  if (*min > *max) throw Reject("minvCpus should be less than or equal to maxvCpus.");
  if (desired && (*desired < *min || *desired > *max))
    throw Reject("desiredvCpus should be between minvCpus and maxvCpus.");
  check_ec2_resources(resources, type == "SPOT");
}

json::value& set_default(json::object& object, std::string_view name, json::value value) {
  return object.emplace(json::string_view(name.data(), name.size()), std::move(value)).first->value();
}

// What AWS shows of members that were not given.
void complete(json::object& resources) {
  std::string_view type = base::find_string(resources, "type").value_or("");
  if (is_fargate_type(type)) return;
  bool spot = type == "SPOT";  // `type` does not outlive what is added now
  set_default(resources, "desiredvCpus", base::find_int(resources, "minvCpus").value_or(0));
  set_default(resources, "allocationStrategy", "BEST_FIT");
  if (spot) set_default(resources, "bidPercentage", 100);
  if (const json::object* scaling = base::find_object(resources, "scalingPolicy"))
    if (base::find_int(*scaling, "minScaleDownDelayMinutes").value_or(0) == 0)
      resources.erase("scalingPolicy");
}

void check_unmanaged_role(std::string_view role) {
  if (role.empty()) throw Reject("ServiceRole is required.");
  if (role.find("AWSServiceRoleForBatch") != std::string_view::npos)
    throw Reject("Service Linked Role cannot be used with UNMANAGED Compute Environment");
}

void check_unmanaged_vcpus(const json::object& input, bool managed) {
  auto vcpus = base::find_int(input, "unmanagedvCpus");
  if (!vcpus) return;
  if (managed) throw Reject("unmanagedvCpus is not applicable for managed Compute Environments");
  if (*vcpus < 0) throw Reject("unmanagedvCpus should be greater than or equal to 0.");
}

// True when a member of an update takes the stored one away.
bool removes(std::string_view member, const json::value& value) {
  if (member == "imageId" || member == "ec2KeyPair") return value.is_string() && value.get_string().empty();
  if (member != "launchTemplate" || !value.is_object()) return false;
  for (const char* name : {"launchTemplateId", "launchTemplateName"})
    if (base::find_string(value.get_object(), name) == "") return true;
  return false;
}

void check_kind_of_update(const json::object& stored, const json::object& changes) {
  std::string_view old_type = base::find_string(stored, "type").value_or("");
  std::string_view type = base::find_string(changes, "type").value_or(old_type);
  if (kind_of(type) != kind_of(old_type))
    throw Reject(
        fmt::format("The type of compute resources can not be changed from {} to {}.", old_type, type));
  if (!is_fargate_type(old_type)) return;
  for (const json::object::value_type& change : changes) {
    std::string_view member(change.key().data(), change.key().size());
    bool allowed = std::find(kFargateUpdates.begin(), kFargateUpdates.end(), member) != kFargateUpdates.end();
    if (!allowed && !(member == "type" && type == old_type))
      throw Reject(fmt::format("{} is not applicable for Fargate.", member));
  }
}

// Merges a ComputeResourceUpdate into the stored ComputeResource.
void merge_resources(json::object& stored, const json::object& changes) {
  check_kind_of_update(stored, changes);
  auto old_desired = base::find_int(stored, "desiredvCpus");
  for (const json::object::value_type& change : changes) {
    std::string_view member(change.key().data(), change.key().size());
    if (member == "updateToLatestImageVersion") continue;  // asked for once, not kept
    if (removes(member, change.value())) {
      stored.erase(change.key());
    } else {
      stored[change.key()] = change.value();
    }
  }
  if (auto desired = base::find_int(changes, "desiredvCpus")) {
    if (old_desired && *desired < *old_desired)
      throw Reject(
          "Manually scaling down compute environment is not supported. Disconnecting job queues from compute "
          "environment will cause it to scale-down to minvCpus.");
  } else if (old_desired) {
    // Nobody chose this number now, so it gives way to the new bounds.
    int64_t min = base::find_int(stored, "minvCpus").value_or(0);
    int64_t max = base::find_int(stored, "maxvCpus").value_or(min);
    if (min <= max) stored["desiredvCpus"] = std::clamp(*old_desired, min, max);
  }
  check_compute_resources(stored);
  complete(stored);
}

}  // namespace

bool ComputeEnvironment::fargate() const {
  const json::object* resources = base::find_object(body, "computeResources");
  return resources && is_fargate_type(base::find_string(*resources, "type").value_or(""));
}

std::optional<bool> ComputeEnvironment::arm() const {
  const json::object* resources = base::find_object(body, "computeResources");
  const json::array* types = resources ? base::find_array(*resources, "instanceTypes") : nullptr;
  if (!types || types->empty()) return std::nullopt;
  return is_arm_instance(base::view(types->front().as_string()));
}

int64_t ComputeEnvironment::max_milli() const {
  if (const json::object* resources = base::find_object(body, "computeResources"))
    return base::find_int(*resources, "maxvCpus").value_or(0) * 1000;
  if (auto unmanaged = base::find_int(body, "unmanagedvCpus"); unmanaged && *unmanaged > 0)
    return *unmanaged * 1000;
  return kUnlimited;
}

bool ComputeEnvironment::unlimited() const { return max_milli() == kUnlimited; }

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
  check_unmanaged_vcpus(input, type == "MANAGED");
  if (type == "MANAGED") {
    if (!resources) throw Reject("computeResources must be provided for a MANAGED compute environment");
    check_compute_resources(*resources);
  } else {
    if (resources) throw Reject("computeResources is not applicable for UNMANAGED Compute Environments");
    check_unmanaged_role(base::find_string(input, "serviceRole").value_or(""));
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
  if (resources) complete(body["computeResources"].as_object());
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(environment.tags, *tags);
  return environment;
}

void update_compute_environment(ComputeEnvironment& environment, const json::object& input) {
  json::object body = environment.body;
  bool managed = body.contains("computeResources");
  check_unmanaged_vcpus(input, managed);
  if (auto role = base::find_string(input, "serviceRole")) {
    if (!managed) check_unmanaged_role(*role);
    if (role->empty()) throw Reject("ServiceRole is required.");
  }
  for (const char* member : {"state", "unmanagedvCpus", "serviceRole", "context"})
    if (const json::value* value = base::find(input, member)) body[member] = *value;
  if (const json::object* changes = base::find_object(input, "computeResources")) {
    if (!managed) throw Reject("computeResources is not applicable for UNMANAGED Compute Environments");
    merge_resources(body["computeResources"].as_object(), *changes);
  }
  if (const json::object* policy = base::find_object(input, "updatePolicy")) {
    json::object& kept = set_default(body, "updatePolicy",
                                     {{"terminateJobsOnUpdate", false}, {"jobExecutionTimeoutMinutes", 30}})
                             .as_object();
    for (const json::object::value_type& member : *policy) kept[member.key()] = member.value();
  }
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
