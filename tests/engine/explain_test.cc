// Everything about one waiting job, and what AWS Batch tells of its jobs.
#include <gtest/gtest.h>

#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

std::string sized(int vcpus, int timeout_s = 0) {
  std::string out = R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":")" +
                    std::to_string(vcpus) + "\"}]}";
  if (timeout_s > 0) out += R"(,"timeout":{"attemptDurationSeconds":)" + std::to_string(timeout_s) + "}";
  return out;
}

struct Explain : ::testing::Test {
  Harness h{4};
  void SetUp() override { h.basics(); }
  json::object why(const std::string& id) {
    return h.engine.explain(*h.engine.find_job(*h.engine.job_seq(id)), h.now);
  }
  std::string change(const std::string& id) {
    return std::string(base::find_string(why(id), "change").value_or(""));
  }
};

TEST_F(Explain, TheFirstInLineNamesWhatWouldStartIt) {
  // Breaks when an operator is told that a job waits, and not what to do.
  std::string runs = h.submit(sized(3, 600)), large = h.submit(sized(4)), next = h.submit(sized(4));
  h.run(runs);
  EXPECT_EQ(change(large), "Ask for at most 1 vCPUs and 8064 MiB, which are free; or stop job " + runs +
                               ", which holds 3 vCPUs and 128 MiB.");
  json::object all = why(large);
  EXPECT_EQ(all.at("ahead").as_int64(), 0);
  EXPECT_EQ(all.at("startsBefore").as_int64(), h.now + 660'000);
  EXPECT_EQ(all.at("running").at(0).at("jobId").as_string(), runs);
  EXPECT_FALSE(all.contains("likelyStart")) << "nothing has ended yet";
  EXPECT_EQ(why(next).at("ahead").as_int64(), 1);
  EXPECT_TRUE(change(next).starts_with("What starts the first, " + large + ": Ask for at most 1 vCPUs"));
  h.now += 5000;
  h.exit(runs, 0);
  EXPECT_TRUE(why(next).contains("likelyStart"));
  EXPECT_FALSE(why(runs).contains("change"));
}

TEST_F(Explain, WhoCouldPassIsToldHow) {
  // Breaks when a job that waits for the sake of another is not told that a timeout would help.
  std::string runs = h.submit(sized(3, 600)), large = h.submit(sized(4));
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("low", 0, "ce"));
  std::string small = h.submit(sized(1), "low");
  h.run(runs);
  EXPECT_EQ(change(small), "Submit it with a timeout of at most 600 seconds: then it ends before job " +
                               large + " can start.");
  std::string as_told = h.submit(sized(1, 600), "low");
  EXPECT_EQ(h.status(as_told), "STARTING");
}

TEST_F(Explain, EnvironmentsThatAreTooSmallAreNamed) {
  // Breaks when the advice does not help.
  h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("two", 2));
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("narrow", 1, "two"));
  h.submit(sized(1), "narrow");
  std::string waits = h.submit(sized(2), "narrow"), never = h.submit(sized(3));
  EXPECT_EQ(change(waits), "Raise maxvCpus of two from 2 to 3: the host has the room.");
  h.ok(ApiOperation::kUpdateComputeEnvironment,
       R"({"computeEnvironment":"two","computeResources":{"maxvCpus":3}})");
  EXPECT_EQ(h.status(waits), "STARTING");
  std::string large = h.submit(sized(9), "narrow");
  EXPECT_EQ(change(large), "Raise maxvCpus of two from 3 to 9, or ask for at most 3 vCPUs.");
}

TEST_F(Explain, DependenciesAreFollowedToTheOneThatMatters) {
  // Breaks when a job that waits for a job that waits shows only the first of them.
  h.submit(sized(4));
  std::string first = h.submit(), second = h.submit(R"(,"dependsOn":[{"jobId":")" + first + "\"}]");
  std::string third = h.submit(R"(,"dependsOn":[{"jobId":")" + second + "\"}]");
  json::object all = why(third);
  const json::array& chain = all.at("waitsFor").as_array();
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[1].at("jobId").as_string(), first);
  EXPECT_NE(chain[1].at("reason").as_string().find("Needs 1 vCPUs"), std::string::npos);
}

TEST_F(Explain, EveryChangeButTheSubmissionIsTold) {
  // Breaks when a rule on "Batch Job State Change" misses a state, or sees one that the job was not in.
  h.engine.want_notices(true);
  std::vector<JobNotice> notices;
  auto hear = [&](Outcome outcome) {
    for (Effect& effect : outcome.effects)
      if (auto* notice = std::get_if<JobNotice>(&effect)) notices.push_back(*notice);
  };
  Outcome submitted = h.call(ApiOperation::kSubmitJob, R"({"jobName":"j","jobQueue":"q","jobDefinition":"d",
      "retryStrategy":{"attempts":2},"tags":{"k":"v"}})");
  std::string id(base::find_string(std::get<json::object>(submitted.reply), "jobId").value_or(""));
  hear(std::move(submitted));
  for (int code : {1, 0}) {
    hear(h.apply(AttemptStarted{h.token(id), h.now}));
    AttemptFinished report;
    report.token = h.token(id);
    report.started = true;
    report.exit_code = code;
    report.started_at = report.stopped_at = h.now;
    hear(h.apply(report));
  }
  std::string states;
  for (const JobNotice& notice : notices) {
    EXPECT_EQ(notice.detail_type, "Batch Job State Change");
    json::object detail = object(notice.detail);
    EXPECT_EQ(notice.resources.at(0), detail.at("jobArn").as_string());
    EXPECT_EQ(detail.at("tags").at("resourceArn").as_string(), notice.resources.at(0));
    EXPECT_EQ(detail.at("tags").at("k").as_string(), "v");
    states += std::string(base::view(detail.at("status").as_string())) + " ";
  }
  EXPECT_EQ(states, "RUNNABLE STARTING RUNNING RUNNABLE STARTING RUNNING SUCCEEDED ");
  notices.clear();
  hear(h.call(ApiOperation::kSubmitJob,
              R"({"jobName":"j","jobQueue":"q","jobDefinition":"d")" + sized(512) + "}"));
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_EQ(notices[1].detail_type, "Batch Job Queue Blocked");
  EXPECT_EQ(notices[1].resources.at(1), "arn:aws:batch:us-east-1:123456789012:job-queue/q");
  EXPECT_TRUE(base::find_string(object(notices[1].detail), "statusReason")
                  ->starts_with("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - "));
}

TEST_F(Explain, AnArrayJobStandsWhereItsNextChildStands) {
  // Breaks when the place of an array job is a negative number.
  h.submit(sized(4));
  std::string first = h.submit(), array = h.submit(R"(,"arrayProperties":{"size":5})");
  EXPECT_EQ(why(array).at("ahead").as_int64(), 1);
  auto child = h.engine.unmade_child(*h.engine.find_job(*h.engine.job_seq(array)), 3);
  EXPECT_EQ(h.engine.explain(*child, h.now).at("ahead").as_int64(), 4);
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + first + R"(","reason":"no"})");
  EXPECT_EQ(why(array).at("ahead").as_int64(), 1) << "its first child has come forward";
}

}  // namespace
}  // namespace millrace::engine
