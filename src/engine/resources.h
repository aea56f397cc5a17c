// What a container asks for: vCPUs, memory, GPUs (ECS resourceRequirements).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.h"

namespace millrace::engine {

namespace json = base::json;

struct Resources {
  int64_t vcpus_milli = 0;  // thousandths of a vCPU
  int64_t memory_mib = 0;
  int64_t gpus = 0;
};

// Reads `resourceRequirements` and the deprecated `vcpus` and `memory` of a container description into
// `into`; what is absent there stays. Requirements win over the deprecated members. Throws Reject with AWS's
// sentence for bad values. `fargate` decides which values are valid.
void read_resources(const json::object& container, bool fargate, Resources& into);

// Throws Reject unless vCPUs and memory are there and allowed (Batch reference, "Job definition parameters";
// for Fargate the table of vCPU and memory pairs).
void check_resources(const Resources& resources, bool fargate);

}  // namespace millrace::engine
