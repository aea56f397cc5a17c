#include "engine/engine.h"
#include "engine/reject.h"
#include "engine/resource_name.h"
#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

constexpr auto kCreateQueue = ApiOperation::kCreateJobQueue;
constexpr auto kUpdateQueue = ApiOperation::kUpdateJobQueue;
constexpr char kArn[] = "arn:aws:batch:us-east-1:123456789012:";

void environment(Harness& h, const std::string& name, const std::string& type, const std::string& types) {
  bool fargate = type == "FARGATE";
  h.ok(ApiOperation::kCreateComputeEnvironment,
       R"({"computeEnvironmentName":")" + name + R"(","type":"MANAGED","computeResources":{"type":")" + type +
           R"(","maxvCpus":8,"subnets":["subnet-1"],)" +
           (fargate ? R"("securityGroupIds":["sg-1"]})"
                    : R"("minvCpus":0,"instanceRole":"role","instanceTypes":[")" + types + R"("]})") +
           "}");
}

std::string queue(const std::vector<std::string>& environments, const std::string& more = "") {
  std::string order;
  for (size_t i = 0; i < environments.size(); ++i)
    order += (i ? "," : "") + (R"({"order":)" + std::to_string(i) + R"(,"computeEnvironment":")") +
             environments[i] + R"("})";
  return R"({"jobQueueName":"q","priority":1,"computeEnvironmentOrder":[)" + order + "]" + more + "}";
}

std::string action(const std::string& reason, const std::string& state = "RUNNABLE",
                   const std::string& what = "CANCEL", int seconds = 600) {
  return R"({"reason":")" + reason + R"(","state":")" + state + R"(","action":")" + what +
         R"(","maxTimeSeconds":)" + std::to_string(seconds) + "}";
}

TEST(ResourceCommands, KindsOfEnvironmentsAreNeverMixedInAQueue) {
  // Whichever comes first, and whichever lies first in memory.
  Harness h;
  environment(h, "fargate", "FARGATE", "");
  for (int i = 0; i < 8; ++i) environment(h, "ec2-" + std::to_string(i), "EC2", "m5");
  environment(h, "arm", "EC2", "m6g");
  for (int i = 0; i < 8; ++i) {
    std::string ec2 = "ec2-" + std::to_string(i);
    for (const auto& both : {std::vector<std::string>{"fargate", ec2}, {ec2, "fargate"}})
      EXPECT_EQ(h.refused(kCreateQueue, queue(both)),
                "Fargate and EC2 compute environments can not be mixed.");
    for (const auto& both : {std::vector<std::string>{"arm", ec2}, {ec2, "arm"}})
      h.refused(kCreateQueue, queue(both));
  }
  EXPECT_TRUE(h.engine.queues().empty());
  h.ok(kCreateQueue, queue({"ec2-7", "ec2-0"}));
}

TEST(ResourceCommands, EnvironmentsOfAQueueMustBeThere) {
  Harness h;
  environment(h, "ce", "EC2", "m5");
  for (const std::string& wanted :
       {std::string("nope"), std::string(kArn) + "job-queue/ce",
        std::string("arn:aws:batch:eu-west-1:123456789012:compute-environment/ce"), std::string()})
    EXPECT_EQ(h.refused(kCreateQueue, queue({wanted})),
              "Compute Environments must be created and valid before attaching them to a job queue");
  EXPECT_EQ(h.refused(kCreateQueue, queue({"ce", std::string(kArn) + "compute-environment/ce"})),
            "Duplicate ComputeEnvironments within order list.");
  h.ok(kCreateQueue, queue({std::string(kArn) + "compute-environment/ce"}));
}

TEST(ResourceCommands, TimeLimitActionsAreThoseThatAwsKnows) {
  Harness h;
  environment(h, "ce", "EC2", "m5");
  auto with = [](const std::string& actions) {
    return queue({"ce"}, R"(,"jobStateTimeLimitActions":[)" + actions + "]");
  };
  std::string good = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT";
  EXPECT_EQ(h.refused(kCreateQueue, with(action(good, "RUNNABLE", "TERMINATE"))),
            "Invalid job action. Valid job actions: [CANCEL]");
  EXPECT_EQ(h.refused(kCreateQueue, with(action(good) + "," + action(good))),
            "Duplicate job state limit actions are not allowed.");
  h.refused(kCreateQueue, with(action(good, "STARTING")));
  h.refused(kCreateQueue, with(action(good, "RUNNABLE", "CANCEL", 599)));
  h.refused(kCreateQueue, with(action(good, "RUNNABLE", "CANCEL", 86401)));
  for (const char* reason : {"", "CAPACITY", "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS", "ACTION_REQUIRED"})
    h.refused(kCreateQueue, with(action(reason)));
  h.ok(kCreateQueue, with(action(good) + "," + action("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY") + "," +
                          action("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")));
  h.refused(kUpdateQueue, R"({"jobQueue":"q","jobStateTimeLimitActions":[)" + action("x") + "]}");
  EXPECT_EQ(h.engine.find_queue("q")->time_limit_actions.size(), 3u);
}

TEST(ResourceCommands, QueuesOfOtherServicesAreRefused) {
  Harness h;
  environment(h, "ce", "EC2", "m5");
  environment(h, "fargate", "FARGATE", "");
  std::string services = R"(,"serviceEnvironmentOrder":[{"order":1,"serviceEnvironment":"s"}])";
  EXPECT_EQ(h.refused(kCreateQueue, queue({"ce"}, R"(,"jobQueueType":"SAGEMAKER_TRAINING")")),
            "Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder.");
  h.refused(kCreateQueue, queue({"ce"}, services));
  h.refused(kCreateQueue, queue({}, services));
  std::string refusal =
      h.refused(kCreateQueue, queue({}, services + R"(,"jobQueueType":"SAGEMAKER_TRAINING")"));
  EXPECT_NE(refusal.find("not supported by this version"), std::string::npos) << refusal;
  h.refused(kCreateQueue, queue({"ce"}, R"(,"jobQueueType":"EKS")"));
  h.refused(kCreateQueue, queue({"ce"}, R"(,"jobQueueType":"ECS_FARGATE")"));
  h.refused(kCreateQueue, queue({"fargate"}, R"(,"jobQueueType":"ECS")"));
  EXPECT_TRUE(h.engine.queues().empty());
  h.ok(kCreateQueue, queue({"fargate"}, R"(,"jobQueueType":"ECS_FARGATE","serviceEnvironmentOrder":[])"));
  h.refused(kUpdateQueue, R"({"jobQueue":"q")" + services + "}");
}

TEST(ResourceCommands, NamesAndArnsOfTheWrongKindSaySo) {
  Harness h;
  h.basics();
  auto unsupported = [](const std::string& name) {
    return "Provided name " + name + " is not supported pattern[a-zA-Z_0-9-]{1,128}";
  };
  for (const std::string& name : {std::string("d"), std::string("d:x"), std::string("d:0"), std::string("d:"),
                                  std::string(kArn) + "job-definition/d", std::string(kArn) + "job-queue/d:1",
                                  std::string("d:99999999999999999999"), std::string("d d:1")})
    EXPECT_EQ(h.refused(ApiOperation::kDeregisterJobDefinition, R"({"jobDefinition":")" + name + R"("})"),
              unsupported(name));
  EXPECT_EQ(h.refused(ApiOperation::kDeregisterJobDefinition, R"({"jobDefinition":"d:2"})"),
            "JobDefinition d:2 not found.");
  h.ok(ApiOperation::kDeregisterJobDefinition,
       R"({"jobDefinition":")" + (kArn + std::string("job-definition/d:1\"}")));
  EXPECT_EQ(h.engine.find_definition("d"), nullptr);

  std::string definition = std::string(kArn) + "job-definition/d";
  for (auto [operation, member] : {std::pair{kUpdateQueue, "jobQueue"},
                                   {ApiOperation::kDeleteJobQueue, "jobQueue"},
                                   {ApiOperation::kUpdateComputeEnvironment, "computeEnvironment"},
                                   {ApiOperation::kDeleteComputeEnvironment, "computeEnvironment"}})
    EXPECT_EQ(h.refused(operation, std::string("{\"") + member + R"(":")" + definition + R"("})"),
              unsupported(definition));
  EXPECT_EQ(h.refused(kUpdateQueue, R"({"jobQueue":"none"})"), "JobQueue none not found.");
}

TEST(ResourceCommands, NamesAreReadFromArns) {
  EXPECT_EQ(resource_name("arn:aws-cn:batch:cn-north-1:1:job-queue/q", "job-queue"), "q");
  EXPECT_EQ(resource_name("d:3", "job-definition"), "d:3");
  EXPECT_EQ(definition_revision("arn:aws:batch:r:1:job-definition/d:12").second, 12);
  for (const char* bad : {"", "arn:", "arn:aws:batch:r:1:job-queue", "arn:aws:batch:r:1:job-queue/",
                          "arn:job-queue", "a/b", "q:1", "/"})
    EXPECT_THROW(resource_name(bad, "job-queue"), Reject) << bad;
}

}  // namespace
}  // namespace millrace::engine
