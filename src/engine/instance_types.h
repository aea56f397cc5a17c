// What the names of EC2 instance types say (ComputeResource.instanceTypes).
#pragma once

#include <string_view>

namespace millrace::engine {

// "optimal", "default_x86_64", "default_arm64": AWS chooses the types.
bool is_instance_bundle(std::string_view type);

// True for types, families and bundles with AWS's Arm processors: "m6g.large", "c7gn", "a1", "default_arm64".
bool is_arm_instance(std::string_view type);

}  // namespace millrace::engine
