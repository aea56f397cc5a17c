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
  bool vcpus_given = false, memory_given = false;  // "0" is another mistake than nothing at all
};

// Reads `resourceRequirements` and the deprecated `vcpus` and `memory` of a container description into
// `into`; what is absent there stays. Requirements win over the deprecated members, which are not read for
// Fargate (a deprecated 0 is what clients send for "absent"). Throws Reject with AWS's sentence for what is
// no number of that type; whether there is enough of it check_resources() says.
void read_resources(const json::object& container, bool fargate, Resources& into);

// Throws Reject unless vCPUs and memory are there and allowed (Batch reference, "Job definition parameters";
// for Fargate the table of vCPU and memory pairs).
void check_resources(const Resources& resources, bool fargate);

}  // namespace millrace::engine
