// What the engine does about secrets of job definitions; their values it never has.
#include <gtest/gtest.h>

#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

std::string with_secrets(const std::string& secrets, const std::string& extra = "") {
  return R"({"jobDefinitionName":"s","type":"container","containerProperties":{"image":"busybox","command":["true"],
    "executionRoleArn":"arn:aws:iam::123456789012:role/e","jobRoleArn":"arn:aws:iam::123456789012:role/j",
    "logConfiguration":{"logDriver":"awslogs","secretOptions":[{"name":"o","valueFrom":"option"}]},
    "resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"128"}],"secrets":)" +
         secrets + "}" + extra + "}";
}

struct Secrets : ::testing::Test {
  Secrets() { h.basics(); }
  std::string submit() {
    json::object reply =
        h.ok(ApiOperation::kSubmitJob, R"({"jobName":"j","jobQueue":"q","jobDefinition":"s"})");
    return std::string(base::find_string(reply, "jobId").value_or(""));
  }
  void fail_to_start(const std::string& id, const std::string& why) {
    AttemptFinished report;
    report.token = h.token(id);
    report.reason = why;
    h.apply(report);
  }
  Harness h{1};
};

TEST_F(Secrets, TheStartNamesThem) {
  // Breaks when a job starts without its secrets, or with its definition's roles forgotten.
  h.ok(ApiOperation::kRegisterJobDefinition, with_secrets(R"([{"name":"A","valueFrom":"arn:a"}])"));
  submit();
  ASSERT_EQ(h.started.size(), 1u);
  const std::vector<std::pair<std::string, std::string>> want{{"A", "arn:a"}, {"", "option"}};
  EXPECT_EQ(h.started[0].secrets, want);
  EXPECT_EQ(h.started[0].execution_role, "arn:aws:iam::123456789012:role/e");
  EXPECT_EQ(h.started[0].job_role, "arn:aws:iam::123456789012:role/j");
}

TEST_F(Secrets, WhatCannotBeReadFailsTheAttempt) {
  // Breaks when the reason is not told as ECS tells it, or when such an attempt does not count.
  h.ok(ApiOperation::kRegisterJobDefinition, with_secrets("[]", R"(,"retryStrategy":{"attempts":2})"));
  const std::string id = submit();
  const std::string why = "ResourceInitializationError: " + std::string(300, 'x');
  fail_to_start(id, why);
  EXPECT_EQ(h.status(id), "STARTING") << "the second attempt";
  fail_to_start(id, why);
  EXPECT_EQ(h.status(id), "FAILED");
  EXPECT_EQ(h.reason(id), why);
  const json::object job = h.job(id);
  EXPECT_EQ(job.at("attempts").as_array().size(), 2u);
  EXPECT_EQ(base::find_string(job.at("container").as_object(), "reason"), why.substr(0, 255));
}

TEST_F(Secrets, NamesOfBatchAreRefused) {
  // Breaks when a secret can take the place of a variable that Batch sets.
  EXPECT_NE(h.refused(ApiOperation::kRegisterJobDefinition,
                      with_secrets(R"([{"name":"AWS_BATCH_JOB_ID","valueFrom":"x"}])"))
                .find("AWS_BATCH"),
            std::string::npos);
}

TEST_F(Secrets, NoneOnDeck) {
  // Breaks when a secret is read long before its job starts, or when a job that cannot start lets the one
  // behind it begin while the one in front still runs.
  for (int i = 0; i < 100; ++i) {
    std::string id = h.submit();
    h.run(id);
    h.exit(id, 0);
  }
  h.ok(ApiOperation::kRegisterJobDefinition, with_secrets(R"([{"name":"A","valueFrom":"arn:a"}])"));
  const std::string front = h.submit();
  h.run(front);
  const std::string next = submit();
  EXPECT_EQ(h.status(next), "RUNNABLE");
  h.exit(front, 0);
  EXPECT_EQ(h.status(next), "STARTING");
  EXPECT_EQ(h.started.back().after, 0u);
}

}  // namespace
}  // namespace millrace::engine
