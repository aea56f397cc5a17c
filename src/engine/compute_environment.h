// Compute environments: where jobs may be placed, and how much of it at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "engine/config.h"

namespace millrace::engine {

namespace json = base::json;

struct ComputeEnvironment {
  int64_t number = 0;
  std::string name;
  json::object body;  // as DescribeComputeEnvironments shows it, without name, arn and tags
  json::object tags;

  int64_t used_milli = 0;  // vCPUs of attempts placed here; derived, not stored

  bool enabled() const { return base::find_string(body, "state") == "ENABLED"; }
  bool fargate() const;
  // Whether the instances have AWS's Arm processors; nothing where no instance types are named.
  std::optional<bool> arm() const;
  // The most that may be used at once, in thousandths of a vCPU.
  int64_t max_milli() const;
  // UNMANAGED without unmanagedvCpus: whatever the host has.
  bool unlimited() const;
  std::string arn(const Config& config) const { return config.arn("compute-environment/" + name); }
};

// Checks a CreateComputeEnvironment request. `uuid` is the environment's own. Throws Reject.
ComputeEnvironment make_compute_environment(const json::object& input, const Config& config,
                                            const std::string& uuid);

// Merges an UpdateComputeEnvironment request into `environment`: only what is given changes, an empty text
// removes imageId, ec2KeyPair and launchTemplate, minScaleDownDelayMinutes 0 removes the scaling policy.
// Throws Reject and then changes nothing.
void update_compute_environment(ComputeEnvironment& environment, const json::object& input);

json::object describe(const ComputeEnvironment& environment, const Config& config);

}  // namespace millrace::engine
