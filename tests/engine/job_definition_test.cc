#include "engine/job_definition.h"

#include "aws/protocol.h"
#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

constexpr auto kRegister = ApiOperation::kRegisterJobDefinition;
constexpr char kRequirements[] =
    R"("resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"2048"}])";

std::string definition(const std::string& members) { return R"({"jobDefinitionName":"d",)" + members + "}"; }
// A container with these members more.
std::string container(const std::string& more = "") {
  return std::string(R"({"image":"busybox",)") + kRequirements + (more.empty() ? "" : ",") + more + "}";
}
std::string ec2(const std::string& more = "") {
  return definition(R"("type":"container","containerProperties":)" + container(more));
}
std::string fargate(const std::string& more = "") {
  return definition(R"("type":"container","platformCapabilities":["FARGATE"],"containerProperties":)" +
                    container(R"("executionRoleArn":"role")" + std::string(more.empty() ? "" : ",") + more));
}
std::string with(const std::string& members) {
  return definition(R"("type":"container","containerProperties":)" + container() + "," + members);
}
std::string multinode(const std::string& nodes, const std::string& more = "") {
  return definition(R"("type":"multinode","nodeProperties":)" + nodes + more);
}
std::string task(const std::string& containers, const std::string& more = "",
                 const std::string& outside = "") {
  return definition(R"("type":"container","ecsProperties":{"taskProperties":[{"containers":[)" + containers +
                    "]" + more + "}]}" + outside);
}

struct Case {
  std::string input, refusal;
};

void expect_refused(const std::vector<Case>& cases) {
  Harness h;
  for (const auto& [input, refusal] : cases) EXPECT_EQ(h.refused(kRegister, input), refusal) << input;
  EXPECT_TRUE(h.engine.definitions().empty() || h.engine.definitions().begin()->second.empty());
}

json::object described(Harness& h) { return describe(*h.engine.find_definition("d"), h.engine.config()); }

TEST(JobDefinition, RefusesContainersAsAwsDoes) {
  // Users and tools search for these sentences.
  expect_refused({
      {definition(R"("type":"container")"), "Container properties of container job is required."},
      {definition(std::string(R"("type":"container","containerProperties":{"image":"",)") + kRequirements +
                  "}"),
       "ECS Container Image must be provided."},
      {with(R"("platformCapabilities":["X"])"),
       "Capability X is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]"},
      {with(R"("platformCapabilities":[])"), "Exactly 1 capability must be provided."},
      {with(R"("platformCapabilities":["EC2","FARGATE"])"), "Exactly 1 capability must be provided."},
      {with(R"("schedulingPriority":10000)"), "Scheduling priority must be between 0 and 9999."},
      {with(R"("schedulingPriority":-1)"), "Scheduling priority must be between 0 and 9999."},
      {with(R"("retryStrategy":{})"), "RetryAttempts must be provided with retry strategy"},
      {with(R"("eksProperties":{})"), "Cannot use both ECS containerProperties and eksProperties"},
      {with(R"("ecsProperties":{})"), "Cannot use both ECS containerProperties and ecsProperties"},
      {definition(R"("type":"container","ecsProperties":{},"eksProperties":{})"),
       "Cannot use both ecsProperties and eksProperties"},
      {ec2(R"("environment":[{"value":"x"}])"), "Environment variable name is required."},
      {ec2(R"("secrets":[{"name":"a","valueFrom":"b"}])"),
       "executionRoleArn cannot be empty when using secrets or secretOptions"},
      {ec2(R"("logConfiguration":{"logDriver":"splunk","secretOptions":[{"name":"a","valueFrom":"b"}]})"),
       "executionRoleArn cannot be empty when using secrets or secretOptions"},
      {ec2(R"("linuxParameters":{"maxSwap":10})"),
       "When container specified swap memory, swappiness value is required."},
      {ec2(R"("linuxParameters":{"maxSwap":-1,"swappiness":60})"),
       "Invalid swap memory size: -1, must be non-negative."},
      {ec2(R"("linuxParameters":{"maxSwap":10,"swappiness":101})"),
       "Invalid swappiness: 101, must be between 0 and 100."},
      {ec2(R"("networkConfiguration":{"assignPublicIp":"ENABLED"})"),
       "networkConfiguration not applicable for EC2."},
      {ec2(R"("fargatePlatformConfiguration":{})"), "fargatePlatformConfiguration not applicable for EC2."},
  });
}

TEST(JobDefinition, RefusesVolumesAsAwsDoes) {
  auto efs = [](const std::string& members) {
    return R"("volumes":[{"name":"v","efsVolumeConfiguration":{)" + members + "}}]";
  };
  expect_refused({
      {ec2(efs(R"("fileSystemId":"vol-1")")), "EFS configuration fileSystemId is not valid: vol-1."},
      {ec2(efs(R"("fileSystemId":"fs-")")), "EFS configuration fileSystemId is not valid: fs-."},
      {ec2(efs(R"("fileSystemId":"fs-1a","authorizationConfig":{"iam":"ENABLED"})")),
       "EFS IAM authorization requires TransitEncryption to be enabled."},
      {ec2(efs(R"("fileSystemId":"fs-1a","authorizationConfig":{"accessPointId":"fsap-1"})")),
       "EFS IAM access point requires TransitEncryption to be enabled."},
      {ec2(efs(R"("fileSystemId":"fs-1a","rootDirectory":"/x","transitEncryption":"ENABLED",
          "authorizationConfig":{"accessPointId":"fsap-1"})")),
       "When using an EFS access point, the root directory must either be set to \"/\" or omitted"},
      {ec2(efs(R"("fileSystemId":"fs-1a","transitEncryptionPort":65536)")),
       "TransitEncryptionPort must be a valid port number."},
      {ec2(R"("volumes":[{"name":"v","s3filesVolumeConfiguration":{"fileSystemArn":"arn"}}])"),
       "A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration."},
      {fargate(efs(R"("fileSystemId":"fs-1a")") +
               R"(,"fargatePlatformConfiguration":{"platformVersion":"1.3.0"})"),
       "EFS is supported for Fargate platform versions 1.4.0 or later, provided 1.3.0"},
      {fargate(R"("volumes":[{"name":"v","host":{"sourcePath":"/"}}])"),
       "host.sourcePath should not be set for volumes in Fargate."},
  });
  Harness h;
  h.ok(kRegister, ec2(efs(R"("fileSystemId":"fs-0123456789abcdef0","transitEncryption":"ENABLED",
      "authorizationConfig":{"iam":"ENABLED","accessPointId":"fsap-1"})")));
  for (const char* version : {"LATEST", "1.4.0", "1.10.0", "2"})
    h.ok(kRegister, fargate(efs(R"("fileSystemId":"fs-1a")") +
                            R"(,"fargatePlatformConfiguration":{"platformVersion":")" + version + R"("})"));
  h.ok(
      kRegister,
      ec2(R"("jobRoleArn":"r","volumes":[{"name":"v","s3filesVolumeConfiguration":{"fileSystemArn":"a"}}])"));
}

TEST(JobDefinition, FargateHasItsOwnRules) {
  std::string head = R"("type":"container","platformCapabilities":["FARGATE"],"containerProperties":)";
  expect_refused({
      {definition(head + container()), "executionRoleArn is required for Fargate jobs."},
      {definition(head + R"({"image":"i","executionRoleArn":"r","vcpus":1,"memory":2048})"),
       "vCPU is required."},
      {definition(head + R"({"image":"i","executionRoleArn":"r","resourceRequirements":[
          {"type":"VCPU","value":"0.50"},{"type":"MEMORY","value":"1"}]})"),
       "Fargate resource requirements (0.50 vCPU, 1 MiB) not valid."},
      {fargate(R"("ulimits":[{"name":"nofile","hardLimit":1,"softLimit":1}])"),
       "ulimits is not applicable for Fargate."},
      {fargate(R"("privileged":true)"),
       "Fargate requires that the ‘privileged’ setting be ‘false’ at the container level."},
      {fargate(R"("linuxParameters":{"sharedMemorySize":64})"),
       "linuxParameter.sharedMemorySize is not allowed for Fargate."},
      {fargate(R"("linuxParameters":{"maxSwap":64})"), "linuxParameter.maxSwap is not allowed for Fargate."},
      {fargate(R"("logConfiguration":{"logDriver":"journald"})"),
       "Log driver for Fargate is not valid: journald"},
      {fargate(R"("ephemeralStorage":{"sizeInGiB":20})"),
       "Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB"},
  });
}

TEST(JobDefinition, FargateShowsPlatformNetworkAndSecretOptions) {
  Harness h;
  h.ok(kRegister, fargate(R"("logConfiguration":{"logDriver":"awslogs"})"));
  json::object shown = described(h).at("containerProperties").as_object();
  EXPECT_EQ(shown.at("fargatePlatformConfiguration"), json::value(object(R"({"platformVersion":"LATEST"})")));
  EXPECT_EQ(shown.at("networkConfiguration"), json::value(object(R"({"assignPublicIp":"DISABLED"})")));
  EXPECT_EQ(shown.at("logConfiguration"),
            json::value(object(R"({"logDriver":"awslogs","options":{},"secretOptions":[]})")));
  h.ok(kRegister, fargate(R"("networkConfiguration":{"assignPublicIp":"ENABLED"},
      "fargatePlatformConfiguration":{"platformVersion":"1.4.0"})"));
  shown = described(h).at("containerProperties").as_object();
  EXPECT_EQ(shown.at("networkConfiguration").at("assignPublicIp"), "ENABLED");
  EXPECT_EQ(shown.at("fargatePlatformConfiguration").at("platformVersion"), "1.4.0");
  h.ok(kRegister, ec2());
  shown = described(h).at("containerProperties").as_object();
  EXPECT_FALSE(shown.contains("fargatePlatformConfiguration") || shown.contains("networkConfiguration") ||
               shown.contains("logConfiguration"));
}

TEST(JobDefinition, NulsAreRefusedWhereAProgramWouldNotSeeWhatFollows) {
  // "rm -rf x\0y" must not run as "rm -rf x".
  expect_refused({
      {ec2(R"("command":["a","b\u0000c"])"), "A NUL character is not possible in command."},
      {ec2(R"("environment":[{"name":"A\u0000","value":""}])"),
       "A NUL character is not possible in environment."},
      {ec2(R"("environment":[{"name":"A","value":"\u0000"}])"),
       "A NUL character is not possible in environment."},
      {with(R"("parameters":{"p":"x\u0000"})"), "A NUL character is not possible in parameters."},
      {task(container(R"("command":["\u0000"])")), "A NUL character is not possible in command."},
  });
  Harness h;
  h.ok(kRegister, ec2(R"("command":["a\\u0000","\u0001"])"));
}

TEST(JobDefinition, MultinodeIsCheckedBeforeItIsRefused) {
  auto range = [](const std::string& nodes, const std::string& more) {
    return R"({"targetNodes":")" + nodes + R"(")" + more + "}";
  };
  auto nodes = [](int count, int main, const std::string& ranges) {
    return R"({"numNodes":)" + std::to_string(count) + R"(,"mainNode":)" + std::to_string(main) +
           R"(,"nodeRangeProperties":[)" + ranges + "]}";
  };
  std::string one = R"(,"container":)" + container();
  std::string all = range("0:", one), six;
  for (int i = 0; i < 6; ++i) six += (i ? "," : "") + all;
  std::string both = one + R"(,"ecsProperties":{"taskProperties":[]})";
  std::string unsupported =
      "nodeProperties is not supported by this version of Millrace; use containerProperties.";
  expect_refused({
      {definition(R"("type":"multinode")"), "Node properties of multinode job is required."},
      {with(R"("nodeProperties":)" + nodes(1, 0, all)),
       "nodeProperties is only applicable to multinode jobs."},
      {multinode(nodes(0, 0, all)), "Number of nodes must be between 1 and 1000."},
      {multinode(nodes(1001, 0, all)), "Number of nodes must be between 1 and 1000."},
      {multinode(nodes(2, 2, all)), "Main node index is out of range, must be less than numNodes."},
      {multinode(nodes(2, 0, six)), "Maximum allowed size of node range properties is 5"},
      {multinode(nodes(2, 0, range("x", one))), "targetNodes should contain only digits."},
      {multinode(nodes(2, 0, range("0:1:2", one))), "targetNodes should contain only digits."},
      {multinode(nodes(2, 0, range("-1:", one))), "targetNodes should contain only digits."},
      {multinode(nodes(2, 0, range("0:", ""))), "Must specify container for node range 0:"},
      {multinode(nodes(2, 0, range("0:", both))),
       "NodeRangeProperties can not use both ecsProperties and container fields"},
      {multinode(nodes(2, 0, range("0:", one + R"(,"instanceTypes":["m5"])"))),
       "Using instanceTypes with nodeRangeProperty is only allowed for ecsProperties jobs."},
      {multinode(nodes(2, 0, range("0:", R"(,"container":{"image":"i"})"))), "vCPU is required."},
      {multinode(nodes(3, 0, range("0", one) + "," + range("2:", one))),
       "Node range properties must cover all nodes, node 1 is in none."},
      {multinode(nodes(2, 0, range("0:2", one))),
       "targetNodes 0:2 is out of range, node indexes go from 0 to 1."},
      {multinode(nodes(2, 0, all), R"(,"platformCapabilities":["MANAGED_INSTANCES"])"),
       "MANAGED_INSTANCES does not support MNP jobs"},
      {multinode(nodes(2, 0, all)), unsupported},
      {multinode(nodes(1000, 999, range(":499", one) + "," + range("500:999", one))), unsupported},
  });
}

TEST(JobDefinition, ConsumableResourcesAreChecked) {
  auto list = [](int count, const std::string& name = "") {
    std::string entries;
    for (int i = 0; i < count; ++i)
      entries += (i ? "," : "") + (R"({"consumableResource":")" + (name.empty() ? std::to_string(i) : name)) +
                 R"(","quantity":1})";
    return with(R"("consumableResourceProperties":{"consumableResourceList":[)" + entries + "]}");
  };
  expect_refused({
      {list(2, "r"), "Cannot have duplicate consumableResource in consumableResourceProperties"},
      {list(6), "Each ConsumableResourceProperty can have at most 5 consumableResources"},
  });
  Harness h;
  h.ok(kRegister, list(0));
  h.ok(kRegister, list(5));
}

TEST(JobDefinition, TasksAreCheckedBeforeTheyAreRefused) {
  auto named = [](const std::string& name, const std::string& more = "") {
    return container(R"("name":")" + name + R"(")" + (more.empty() ? "" : ",") + more);
  };
  auto after = [](const std::string& name, const std::string& condition) {
    return R"("dependsOn":[{"containerName":")" + name + R"(","condition":")" + condition + R"("}])";
  };
  std::string eleven;
  for (int i = 0; i < 11; ++i) eleven += (i ? "," : "") + named("c" + std::to_string(i));
  auto unsupported = [](const std::string& what) {
    return "ecsProperties: " + what + " not supported by this version of Millrace.";
  };
  expect_refused({
      {task(""), "Number of containers must be between 1 and 10"},
      {task(eleven), "Number of containers must be between 1 and 10"},
      {definition(R"("type":"container","ecsProperties":{"taskProperties":[]})"),
       "Number of taskProperties must be 1"},
      {task(named("a", after("a", "START"))),
       "Container dependency can not be used in a single-container job."},
      {task(named("a") + "," + named("b", after("a", "DONE"))),
       "TaskContainer dependency DONE is not valid. Valid values are: [START, COMPLETE, SUCCESS]"},
      {task(named("a") + "," + named("b", after("x", "START"))),
       "containerName x must reference a defined container."},
      {task(named("a") + "," + named("b", after("a", "SUCCESS"))),
       "The container target of a dependency can not have condition SUCCESS if the target is essential"},
      {task(named("a") + "," + named("a")), "Duplicate container name a."},
      {task(named("a") + "," + container()), "Container name is required in a multi-container job."},
      {task(named("a", R"("essential":false)")), "At least one container must be set as essential"},
      {task(named("a"), R"(,"ipcMode":"x")"), "ipcMode x is not valid. Valid values are: [host, task, none]"},
      {task(named("a", R"("stopTimeout":121)")), "stopTimeout must be between 2 and 120 seconds, got 121."},
      {task(R"({"image":"i"})"), "vCPU is required."},
      {task(container(), "", R"(,"platformCapabilities":["FARGATE"])"),
       "executionRoleArn is required for Fargate jobs."},
      {task(named("a") + "," + named("b")), unsupported("tasks of 2 containers are (one container is)")},
      {task(named("a", R"("stopTimeout":10)")), unsupported("a stopTimeout other than 30 seconds is")},
      {task(named("a"), R"(,"pidMode":"host")"), unsupported("pidMode host is")},
      {task(named("a", R"("firelensConfiguration":{"type":"fluentd"})")),
       unsupported("firelensConfiguration is")},
  });
}

TEST(JobDefinition, ATaskOfOneContainerRunsAndIsShownAsATask) {
  // CDK's newer constructs send ecsProperties; their users read the run where they wrote the container.
  Harness h;
  h.basics();
  h.ok(kRegister, task(container(R"("name":"main","command":["echo","Ref::x"],
      "environment":[{"name":"A","value":"1"}])"),
                       R"(,"taskRoleArn":"role")", R"(,"parameters":{"x":"hello"})"));
  json::object shown = described(h);
  EXPECT_FALSE(shown.contains("containerProperties"));
  const json::value& listed = shown.at("ecsProperties").at("taskProperties").at(0);
  EXPECT_EQ(listed.at("containers").at(0).at("name"), "main");
  EXPECT_EQ(listed.at("containers").at(0).at("command"), json::value(json::array{"echo", "Ref::x"}));
  EXPECT_EQ(listed.at("containers").at(0).at("mountPoints"), json::value(json::array()));
  EXPECT_EQ(listed.at("taskRoleArn"), "role");
  EXPECT_EQ(h.engine.find_definition("d")->container().at("jobRoleArn"), "role");

  std::string id = h.submit(R"(,"retryStrategy":{"attempts":2})");
  EXPECT_EQ(h.started.back().command, (std::vector<std::string>{"echo", "hello"}));
  EXPECT_EQ(h.started.back().image, "busybox");
  h.run(id);
  h.exit(id, 3);
  h.run(id);
  h.exit(id, 0);
  json::object job = h.job(id);
  EXPECT_TRUE(job.at("container").as_object().empty());
  const json::value& ran = job.at("ecsProperties").at("taskProperties").at(0);
  EXPECT_TRUE(ran.as_object().contains("taskArn"));
  EXPECT_EQ(ran.at("containers").at(0).at("exitCode"), 0);
  EXPECT_EQ(ran.at("containers").at(0).at("command"), json::value(json::array{"echo", "hello"}));
  const json::value& first = job.at("attempts").at(0);
  EXPECT_TRUE(first.at("container").as_object().empty());
  EXPECT_EQ(first.at("taskProperties").at(0).at("containers").at(0).at("exitCode"), 3);
  EXPECT_EQ(first.at("taskProperties").at(0).at("containers").at(0).at("name"), "main");
  EXPECT_TRUE(first.at("taskProperties").at(0).at("containers").at(0).as_object().contains("logStreamName"));

  // The protocol layer has all of it in its tables, or users would not see it.
  auto body = [](const char* operation, json::object output) {
    return aws::encode(*aws::find_operation(*aws::find_service("batch"), operation), std::move(output), "id")
        .body;
  };
  EXPECT_EQ(base::parse_json(body("DescribeJobs", {{"jobs", json::array{job}}}))
                .at("jobs")
                .at(0)
                .at("ecsProperties"),
            job.at("ecsProperties"));
  EXPECT_EQ(base::parse_json(body("DescribeJobDefinitions", {{"jobDefinitions", json::array{shown}}}))
                .at("jobDefinitions")
                .at(0)
                .at("ecsProperties"),
            shown.at("ecsProperties"));
}

TEST(JobDefinition, AFargateTaskOfOneContainerHasThePlatformInTheTask) {
  Harness h;
  h.ok(kRegister,
       task(container(), R"(,"executionRoleArn":"role")", R"(,"platformCapabilities":["FARGATE"])"));
  const json::object shown = described(h);
  const json::value& listed = shown.at("ecsProperties").at("taskProperties").at(0);
  EXPECT_EQ(listed.at("platformVersion"), "LATEST");
  EXPECT_EQ(listed.at("networkConfiguration").at("assignPublicIp"), "DISABLED");
  EXPECT_EQ(listed.at("containers").at(0).at("essential"), true);
  EXPECT_TRUE(h.engine.find_definition("d")->fargate());
}

TEST(JobDefinition, AnOverrideReachesTheContainerOfATask) {
  // Breaks when ecsPropertiesOverride is taken and ignored.
  Harness h;
  h.basics();
  h.ok(kRegister,
       R"({"jobDefinitionName":"task","type":"container","ecsProperties":{"taskProperties":[{"containers":[
      {"name":"main","image":"busybox","command":["old"],"environment":[{"name":"A","value":"1"}],"resourceRequirements":[
      {"type":"VCPU","value":"1"},{"type":"MEMORY","value":"128"}]}]}]}})");
  auto submission = [](const std::string& definition, const std::string& container) {
    return R"({"jobName":"j","jobQueue":"q","jobDefinition":")" + definition +
           R"(","ecsPropertiesOverride":{"taskProperties":[{"containers":[{"name":")" + container +
           R"(","command":["new"],"environment":[{"name":"B","value":"2"}],
               "resourceRequirements":[{"type":"VCPU","value":"2"}]}]}]}})";
  };
  h.ok(ApiOperation::kSubmitJob, submission("task", "main"));
  EXPECT_EQ(h.started.at(0).command, std::vector<std::string>{"new"});
  EXPECT_EQ(h.started.at(0).vcpus_milli, 2000);
  EXPECT_EQ(h.started.at(0).environment.at(1).first, "B");
  EXPECT_EQ(h.refused(ApiOperation::kSubmitJob, submission("task", "other")),
            "ecsPropertiesOverride names the container other; the job definition has main.");
  EXPECT_EQ(h.refused(ApiOperation::kSubmitJob, submission("d", "main")),
            "ecsPropertiesOverride is for job definitions with ecsProperties; use containerOverrides.");
}

}  // namespace
}  // namespace millrace::engine
