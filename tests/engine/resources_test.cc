#include "engine/resources.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

// "" when the container is accepted, else the sentence of the refusal.
std::string verdict(const std::string& members, bool fargate = false) {
  try {
    Resources resources;
    read_resources(base::parse_json("{" + members + "}").as_object(), fargate, resources);
    check_resources(resources, fargate);
  } catch (const Reject& reject) {
    return reject.what();
  }
  return "";
}

std::string require(const std::string& vcpu, const std::string& memory, const std::string& more = "") {
  return R"("resourceRequirements":[{"type":"VCPU","value":")" + vcpu + R"("},{"type":"MEMORY","value":")" +
         memory + R"("})" + more + "]";
}

TEST(Resources, TooLittleIsAnotherMistakeThanNothing) {
  // Users search for these sentences.
  EXPECT_EQ(verdict(require("1", "4")), "");
  EXPECT_EQ(verdict(require("0", "4")), "vCPU must be at least 1, got 0.");
  EXPECT_EQ(verdict(require("0.5", "4")), "vCPU must be at least 1, got 0.5.");
  EXPECT_EQ(verdict(require("1", "3")), "Memory must be at least 4 Mib, got 3 Mib.");
  EXPECT_EQ(verdict(""), "vCPU is required.");
  EXPECT_EQ(verdict(R"("resourceRequirements":[{"type":"MEMORY","value":"64"}])"), "vCPU is required.");
  EXPECT_EQ(verdict(R"("vcpus":0,"memory":0)"), "vCPU is required.");
  EXPECT_EQ(verdict(R"("vcpus":2,"memory":64)"), "");
  EXPECT_EQ(verdict(R"("vcpus":-1,"memory":64)"), "vCPU must be at least 1, got -1.");
  EXPECT_NE(verdict(require("x", "4")), "");
  EXPECT_NE(verdict(require("1.5", "4")), "");
  EXPECT_NE(verdict(require("1", "4.5")), "");
  EXPECT_NE(verdict(require("1e300", "4")), "");
  EXPECT_NE(verdict(require("nan", "4")), "");
  EXPECT_NE(verdict(require("2000000000", "4")), "");
  EXPECT_EQ(verdict(require("1", "4", R"(,{"type":"GPU","value":"x"})")),
            "Value x for type GPU in resourceRequirement is not valid. Please provide a numeric value.");
  EXPECT_EQ(verdict(require("1", "4", R"(,{"type":"VCPU","value":"1"})")),
            "Cannot provide duplicates in resourceRequirements.");
}

TEST(Resources, FargateTakesItsPairsFromTheRequirementsOnly) {
  EXPECT_EQ(verdict(require("0.25", "512"), true), "");
  EXPECT_EQ(verdict(require("1.0", "8192"), true), "");
  EXPECT_EQ(verdict(require("0.50", "1"), true),
            "Fargate resource requirements (0.50 vCPU, 1 MiB) not valid.");
  EXPECT_NE(verdict(require("0.2504", "512"), true), "");
  EXPECT_NE(verdict(require("0.25", "1536"), true), "");
  EXPECT_EQ(verdict(R"("resourceRequirements":[{"type":"MEMORY","value":"512"}])", true),
            "vCPU is required.");
  EXPECT_EQ(verdict(R"("vcpus":1,"memory":2048)", true), "vCPU is required.");
  EXPECT_EQ(verdict(require("1", "2048", R"(,{"type":"GPU","value":"1"})"), true),
            "GPU is not applicable for Fargate.");
}

}  // namespace
}  // namespace millrace::engine
