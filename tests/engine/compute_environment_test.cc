#include "engine/compute_environment.h"

#include "engine/instance_types.h"
#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

constexpr auto kCreate = ApiOperation::kCreateComputeEnvironment;
constexpr auto kUpdate = ApiOperation::kUpdateComputeEnvironment;

std::string ec2(const std::string& more = "", const std::string& types = R"(["m5.large"])") {
  return R"({"computeEnvironmentName":"ce","type":"MANAGED","computeResources":{"type":"EC2","maxvCpus":8,
    "minvCpus":0,"subnets":["subnet-1"],"instanceRole":"role","instanceTypes":)" +
         types + more + "}}";
}

std::string spot(const std::string& more = "", const std::string& types = R"(["m5.large"])") {
  return R"({"computeEnvironmentName":"ce","type":"MANAGED","computeResources":{"type":"SPOT","maxvCpus":8,
    "minvCpus":0,"subnets":["subnet-1"],"instanceRole":"role","spotIamFleetRole":"fleet","instanceTypes":)" +
         types + more + "}}";
}

std::string fargate(const std::string& more = "") {
  return R"({"computeEnvironmentName":"ce","type":"MANAGED","computeResources":{"type":"FARGATE","maxvCpus":8,
    "subnets":["subnet-1"],"securityGroupIds":["sg-1"])" +
         more + "}}";
}

std::string unmanaged(const std::string& role) {
  return R"({"computeEnvironmentName":"ce","type":"UNMANAGED","serviceRole":")" + role + R"("})";
}

// UpdateComputeEnvironment of "ce" with these members.
std::string update(const std::string& members) { return R"({"computeEnvironment":"ce",)" + members + "}"; }
std::string resources(const std::string& members) {
  return update(R"("computeResources":{)" + members + "}");
}

json::object shown(Harness& h) { return describe(*h.engine.find_environment("ce"), h.engine.config()); }
json::object shown_resources(Harness& h) { return shown(h).at("computeResources").as_object(); }

TEST(ComputeEnvironment, TheSizeMayChangeWhenNobodyChoseDesiredvCpus) {
  // Terraform and CDK raise minvCpus or lower maxvCpus alone: the default desiredvCpus must not stand in the
  // way.
  Harness h;
  h.ok(kCreate, ec2());
  h.ok(kUpdate, resources(R"("minvCpus":2)"));
  EXPECT_EQ(shown_resources(h).at("desiredvCpus"), 2);
  h.ok(kUpdate, resources(R"("minvCpus":0,"desiredvCpus":6)"));
  h.ok(kUpdate, resources(R"("maxvCpus":4)"));
  EXPECT_EQ(shown_resources(h).at("desiredvCpus"), 4);
  EXPECT_EQ(h.refused(kUpdate, resources(R"("desiredvCpus":5)")),
            "desiredvCpus should be between minvCpus and maxvCpus.");
  EXPECT_EQ(h.refused(kUpdate, resources(R"("minvCpus":5)")),
            "minvCpus should be less than or equal to maxvCpus.");
  EXPECT_EQ(shown_resources(h).at("minvCpus"), 0) << "a refused update changes nothing";
}

TEST(ComputeEnvironment, DesiredvCpusAreNotLoweredByHand) {
  // AWS owns scaling down; callers look for the beginning of this sentence.
  Harness h;
  h.ok(kCreate, ec2(R"(,"desiredvCpus":4)"));
  EXPECT_EQ(
      h.refused(kUpdate, resources(R"("desiredvCpus":3)")),
      "Manually scaling down compute environment is not supported. Disconnecting job queues from compute "
      "environment will cause it to scale-down to minvCpus.");
  h.ok(kUpdate, resources(R"("desiredvCpus":4)"));
  h.ok(kUpdate, resources(R"("desiredvCpus":5)"));
}

TEST(ComputeEnvironment, FargateUpdatesAreFew) {
  Harness h;
  h.ok(kCreate, fargate());
  h.ok(kUpdate, resources(R"("maxvCpus":16,"subnets":["subnet-2"],"securityGroupIds":["sg-2"])"));
  EXPECT_EQ(shown_resources(h).at("subnets"), json::value(json::array{"subnet-2"}));
  h.ok(kUpdate, update(R"("state":"DISABLED")"));
  h.ok(kUpdate, resources(R"("type":"FARGATE")"));
  for (const char* member : {R"("minvCpus":1)", R"("desiredvCpus":1)", R"("instanceTypes":["optimal"])",
                             R"("tags":{"a":"b"})", R"("imageId":"ami-1")"}) {
    std::string refusal = h.refused(kUpdate, resources(member));
    EXPECT_NE(refusal.find(" is not applicable for Fargate."), std::string::npos) << refusal;
  }
}

TEST(ComputeEnvironment, Ec2AndFargateDoNotTurnIntoEachOther) {
  Harness h;
  h.ok(kCreate, ec2());
  h.refused(kUpdate, resources(R"("type":"FARGATE")"));
  h.refused(kUpdate, resources(R"("type":"ECS_MANAGED_INSTANCES")"));
  EXPECT_EQ(h.refused(kUpdate, resources(R"("type":"SPOT")")),
            "compute resource spotIamFleetRole is required.");
  h.ok(kUpdate, resources(R"("type":"SPOT","allocationStrategy":"SPOT_CAPACITY_OPTIMIZED")"));
  EXPECT_EQ(shown_resources(h).at("bidPercentage"), 100);
  Harness other;
  other.ok(kCreate, fargate());
  other.refused(kUpdate, resources(R"("type":"EC2")"));
  EXPECT_EQ(shown_resources(other).at("type"), "FARGATE");
}

TEST(ComputeEnvironment, AnEmptyTextTakesAwayWhatWasChosen) {
  // The documented way back to the default AMI, and to no key pair and no launch template.
  Harness h;
  h.ok(kCreate, ec2(R"(,"imageId":"ami-1","ec2KeyPair":"key","placementGroup":"group",
    "launchTemplate":{"launchTemplateName":"t","version":"1"})"));
  h.ok(kUpdate, resources(R"("imageId":"","ec2KeyPair":"","launchTemplate":{"launchTemplateName":""})"));
  json::object now = shown_resources(h);
  for (const char* gone : {"imageId", "ec2KeyPair", "launchTemplate"})
    EXPECT_FALSE(now.contains(gone)) << gone;
  EXPECT_EQ(now.at("placementGroup"), "group");
  EXPECT_EQ(h.refused(kUpdate, resources(R"("instanceRole":"")")), "Instance role is required.");
  h.ok(kUpdate,
       resources(R"("launchTemplate":{"launchTemplateId":"lt-1"},"updateToLatestImageVersion":true)"));
  EXPECT_TRUE(shown_resources(h).contains("launchTemplate"));
  EXPECT_FALSE(shown_resources(h).contains("updateToLatestImageVersion"));
}

TEST(ComputeEnvironment, UpdatePoliciesAreMerged) {
  Harness h;
  h.ok(kCreate, ec2());
  h.ok(kUpdate, update(R"("updatePolicy":{"terminateJobsOnUpdate":true})"));
  EXPECT_EQ(shown(h).at("updatePolicy"),
            json::value(object(R"({"terminateJobsOnUpdate":true,"jobExecutionTimeoutMinutes":30})")));
  h.ok(kUpdate, update(R"("updatePolicy":{"jobExecutionTimeoutMinutes":7})"));
  EXPECT_EQ(shown(h).at("updatePolicy"),
            json::value(object(R"({"terminateJobsOnUpdate":true,"jobExecutionTimeoutMinutes":7})")));
}

TEST(ComputeEnvironment, ScaleDownDelayHasBoundsAndZeroRemovesIt) {
  Harness h;
  h.ok(kCreate, ec2(R"(,"scalingPolicy":{"minScaleDownDelayMinutes":20})"));
  h.refused(kUpdate, resources(R"("scalingPolicy":{"minScaleDownDelayMinutes":19})"));
  h.refused(kUpdate, resources(R"("scalingPolicy":{"minScaleDownDelayMinutes":10081})"));
  h.ok(kUpdate, resources(R"("scalingPolicy":{"minScaleDownDelayMinutes":10080})"));
  EXPECT_EQ(shown_resources(h).at("scalingPolicy").at("minScaleDownDelayMinutes"), 10080);
  h.ok(kUpdate, resources(R"("scalingPolicy":{"minScaleDownDelayMinutes":0})"));
  EXPECT_FALSE(shown_resources(h).contains("scalingPolicy"));
}

TEST(ComputeEnvironment, SpotHasABidAndItsOwnStrategies) {
  Harness h;
  EXPECT_EQ(h.refused(kCreate, spot(R"(,"bidPercentage":101)")), "Bid percentage must be between 0 to 100.");
  h.refused(kCreate, ec2(R"(,"allocationStrategy":"SPOT_CAPACITY_OPTIMIZED")"));
  h.refused(kCreate, spot(R"(,"allocationStrategy":"BEST_FIT_PROGRESSIVE_ORDERED")"));
  h.ok(kCreate, spot());
  EXPECT_EQ(shown_resources(h).at("bidPercentage"), 100);
  EXPECT_FALSE(shown(h).contains("updatePolicy"));
}

TEST(ComputeEnvironment, InstanceTypesFitTheStrategyAndEachOther) {
  Harness h;
  EXPECT_EQ(h.refused(kCreate,
                      ec2(R"(,"allocationStrategy":"BEST_FIT_PROGRESSIVE_ORDERED")", R"(["m5","optimal"])")),
            "Instance type bundles (e.g. optimal, default_x86_64) are not allowed for "
            "BEST_FIT_PROGRESSIVE_ORDERED allocation strategy. Specify instance families or types directly.");
  h.refused(kCreate,
            spot(R"(,"allocationStrategy":"SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")", R"(["default_x86_64"])"));
  EXPECT_EQ(h.refused(kCreate, ec2("", R"(["m6g.large","m5.large"])")),
            "arm-based instance type cannot be used with other instance types");
  h.ok(kCreate, ec2("", R"(["m6g.large","c7gn"])"));
  EXPECT_EQ(h.engine.find_environment("ce")->arm(), true);
}

TEST(ComputeEnvironment, ALaunchTemplateHasOneName) {
  Harness h;
  for (const char* bad : {"{}", R"({"launchTemplateId":"a","launchTemplateName":"b"})", R"({"version":"1"})"})
    EXPECT_EQ(
        h.refused(kCreate, ec2(R"(,"launchTemplate":)" + std::string(bad))),
        "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides should be provided");
  h.ok(kCreate, ec2(R"(,"launchTemplate":{"launchTemplateId":"a"})"));
}

TEST(ComputeEnvironment, ArmIsReadFromTheNameOfTheType) {
  for (const char* arm : {"a1", "a1.large", "m6g", "m6gd.16xlarge", "c7gn.large", "im4gn", "is4gen.large",
                          "g5g.xlarge", "hpc7g.4xlarge", "x2gd", "t4g.micro", "default_arm64"})
    EXPECT_TRUE(is_arm_instance(arm)) << arm;
  for (const char* other : {"m5.large", "g4dn.xlarge", "g5", "g6e.large", "gr6.4xlarge", "optimal",
                            "default_x86_64", "p4d", "c5n", "u-6tb1.metal", "u7i-12tb.224xlarge", "", "."})
    EXPECT_FALSE(is_arm_instance(other)) << other;
}

TEST(ComputeEnvironment, RefusesWhatAwsRefuses) {
  Harness h;
  auto without = [](std::string text, const std::string& part) {
    size_t at = text.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return text.erase(at, part.size());
  };
  EXPECT_EQ(h.refused(kCreate, without(ec2(), R"("minvCpus":0,)")), "Resource minvCpus is required.");
  EXPECT_EQ(h.refused(kCreate, without(ec2(), R"("instanceRole":"role",)")), "Instance role is required.");
  EXPECT_EQ(h.refused(kCreate, ec2("", "[]")), "Resource instanceTypes are required.");
  EXPECT_EQ(h.refused(kCreate, fargate(R"(,"desiredvCpus":1)")),
            "desiredvCpus is not applicable for Fargate.");
  EXPECT_EQ(h.refused(kCreate, fargate(R"(,"tags":{"a":"b"})")), "tags is not applicable for Fargate.");
  EXPECT_EQ(h.refused(kCreate, without(fargate(), R"(,"securityGroupIds":["sg-1"])")),
            "Security group ids are required.");
  EXPECT_EQ(h.refused(kCreate, unmanaged("")), "ServiceRole is required.");
  std::string linked = "arn:aws:iam::1:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";
  EXPECT_EQ(h.refused(kCreate, unmanaged(linked)),
            "Service Linked Role cannot be used with UNMANAGED Compute Environment");
  h.ok(kCreate, unmanaged("role"));
  EXPECT_EQ(h.refused(kUpdate, update(R"("serviceRole":")" + linked + '"')),
            "Service Linked Role cannot be used with UNMANAGED Compute Environment");
  EXPECT_EQ(h.refused(kUpdate, update(R"("serviceRole":"")")), "ServiceRole is required.");
  h.refused(kUpdate, resources(R"("maxvCpus":1)"));
  h.ok(kUpdate, update(R"("unmanagedvCpus":4,"serviceRole":"other")"));
  EXPECT_EQ(shown(h).at("unmanagedvCpus"), 4);
  EXPECT_EQ(shown(h).at("serviceRole"), "other");
}

}  // namespace
}  // namespace millrace::engine
