#include "engine/engine.h"

#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

TEST(Engine, RunsAJobFromSubmissionToSuccess) {
  // Users' tools read exactly these states, times and sentences.
  Harness h;
  h.basics();
  std::string id = h.submit();
  EXPECT_EQ(h.status(id), "STARTING");
  ASSERT_EQ(h.started.size(), 1u);
  EXPECT_EQ(h.started[0].job_id, id);
  EXPECT_EQ(h.started[0].command, std::vector<std::string>{"true"});
  EXPECT_FALSE(h.job(id).contains("startedAt"));
  h.now += 5;
  h.run(id);
  EXPECT_EQ(h.status(id), "RUNNING");
  EXPECT_EQ(h.job(id).at("startedAt"), h.now);
  EXPECT_TRUE(h.job(id).at("attempts").as_array().empty()) << "an attempt under way is not listed yet";
  h.now += 5;
  h.exit(id, 0);
  EXPECT_EQ(h.status(id), "SUCCEEDED");
  EXPECT_EQ(h.reason(id), "Essential container in task exited");
  json::object job = h.job(id);
  EXPECT_EQ(job.at("container").at("exitCode"), 0);
  EXPECT_EQ(job.at("attempts").as_array().size(), 1u);
  EXPECT_EQ(job.at("stoppedAt"), h.now);
}

TEST(Engine, GivesTheJobItsEnvironmentAndLogStream) {
  // A job finds itself by these variables; AWS's own win over the user's and do not show in DescribeJobs.
  Harness h;
  h.basics();
  std::string id = h.submit(R"(,"containerOverrides":{"environment":[{"name":"A","value":"1"}]})");
  std::map<std::string, std::string> env(h.started[0].environment.begin(), h.started[0].environment.end());
  EXPECT_EQ(env["AWS_BATCH_JOB_ID"], id);
  EXPECT_EQ(env["AWS_BATCH_JOB_ATTEMPT"], "1");
  EXPECT_EQ(env["AWS_BATCH_JQ_NAME"], "q");
  EXPECT_EQ(env["AWS_BATCH_CE_NAME"], "ce");
  EXPECT_EQ(env["A"], "1");
  EXPECT_EQ(h.job(id).at("container").at("environment").as_array().size(), 1u);
  EXPECT_EQ(h.started[0].log_group, "/aws/batch/job");
  EXPECT_EQ(h.started[0].log_stream.substr(0, 10), "d/default/");
  EXPECT_EQ(h.started[0].log_stream.size(), 10u + 32u);
}

TEST(Engine, RetriesUntilAttemptsAreUsedUp) {
  // Attempts 3 means two retries; each has its own number, task and log stream.
  Harness h;
  h.basics();
  std::string id = h.submit(R"(,"retryStrategy":{"attempts":3})");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    h.run(id);
    h.exit(id, 1);
  }
  EXPECT_EQ(h.status(id), "FAILED");
  ASSERT_EQ(h.started.size(), 3u);
  EXPECT_NE(h.started[0].log_stream, h.started[1].log_stream);
  EXPECT_EQ(h.started[2].attempt, 3);
  EXPECT_EQ(h.job(id).at("attempts").as_array().size(), 3u);
}

TEST(Engine, EvaluateOnExitDecidesInOrder) {
  // The documented idiom: retry host losses, exit on everything else, also when there is no reason at all.
  Harness h;
  h.basics();
  std::string rules =
      R"(,"retryStrategy":{"attempts":5,"evaluateOnExit":[{"onStatusReason":"Host EC2*","action":"RETRY"},
    {"onReason":"*","action":"exit"}]})";
  std::string id = h.submit(rules);
  h.run(id);
  AttemptFinished lost;
  lost.token = h.token(id);
  lost.started = true;
  lost.host_lost = true;
  h.apply(lost);
  EXPECT_EQ(h.status(id), "STARTING");
  EXPECT_EQ(h.job(id).at("attempts").at(0).at("statusReason"),
            "Host EC2 (instance i-0123456789abcdef0) terminated.");
  h.run(id);
  h.exit(id, 3);
  EXPECT_EQ(h.status(id), "FAILED");
}

TEST(Engine, AStaleReportChangesNothing) {
  // Fencing: a late outcome of attempt 1 must not end attempt 2.
  Harness h;
  h.basics();
  std::string id = h.submit(R"(,"retryStrategy":{"attempts":2})");
  uint64_t first = h.token(id);
  h.run(id);
  h.exit(id, 1);
  AttemptFinished stale;
  stale.token = first;
  stale.started = true;
  stale.exit_code = 0;
  h.apply(stale);
  EXPECT_EQ(h.status(id), "STARTING");
}

TEST(Engine, AnAttemptThatWasNeverReceivedIsSentAgain) {
  // The engine died between its commit and the runner: the job must neither be lost nor fail.
  Harness h;
  h.basics();
  std::string id = h.submit();
  AttemptFinished report;
  report.token = h.token(id);
  report.never_received = true;
  h.apply(report);
  ASSERT_EQ(h.started.size(), 2u);
  EXPECT_EQ(h.started[0].token, h.started[1].token);
  EXPECT_EQ(h.status(id), "STARTING");
}

TEST(Engine, TerminatedJobsAreStoppedAndNeverRetried) {
  Harness h;
  h.basics();
  std::string id = h.submit(R"(,"retryStrategy":{"attempts":5})");
  h.run(id);
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + id + R"(","reason":"enough"})");
  ASSERT_EQ(h.stopped.size(), 1u);
  EXPECT_EQ(h.stopped[0].grace_ms, 30'000);
  EXPECT_EQ(h.status(id), "RUNNING") << "the state stays until the container has stopped";
  h.exit(id, 0);
  EXPECT_EQ(h.status(id), "FAILED");
  EXPECT_EQ(h.reason(id), "enough");
}

TEST(Engine, AStopThatTheHostMayNotHaveHeardIsSaidAgain) {
  // The engine died between the commit of a TerminateJob and the runner: the job would run for ever.
  Harness h;
  h.basics();
  std::string id = h.submit();
  h.run(id);
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + id + R"(","reason":"enough"})");
  h.apply(HostUp{"i-0123456789abcdef0", 4000, 8192, 0});
  ASSERT_EQ(h.stopped.size(), 2u);
  EXPECT_EQ(h.stopped[1].token, h.stopped[0].token);
}

TEST(Engine, ATerminatedAttemptThatWasNeverReceivedEndsInsteadOfStarting) {
  Harness h;
  h.basics();
  std::string id = h.submit();
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + id + R"(","reason":"enough"})");
  AttemptFinished report;
  report.token = h.token(id);
  report.never_received = true;
  h.apply(report);
  EXPECT_EQ(h.started.size(), 1u);
  EXPECT_EQ(h.status(id), "FAILED");
  EXPECT_EQ(h.reason(id), "enough");
}

TEST(Engine, CancelLeavesRunningJobsAlone) {
  // AWS answers success and does nothing once a job is STARTING or RUNNING.
  Harness h(1);
  h.basics();
  std::string running = h.submit(), waiting = h.submit();
  h.run(running);
  for (const std::string& id : {running, waiting})
    h.ok(ApiOperation::kCancelJob, R"({"jobId":")" + id + R"(","reason":"no need"})");
  EXPECT_EQ(h.status(running), "RUNNING");
  EXPECT_TRUE(h.stopped.empty());
  EXPECT_EQ(h.status(waiting), "FAILED");
  EXPECT_EQ(h.reason(waiting), "no need");
  h.ok(ApiOperation::kCancelJob, R"({"jobId":"00000000-0000-4000-8000-000000000000","reason":"unknown"})");
}

TEST(Engine, TimeoutCountsFromRunningAndEndsTheJob) {
  Harness h;
  h.basics();
  std::string id = h.submit(R"(,"timeout":{"attemptDurationSeconds":60},"retryStrategy":{"attempts":3})");
  h.now += 100'000;
  h.run(id);
  EXPECT_EQ(h.engine.next_deadline(), h.now + 60'000);
  h.now += 59'999;
  h.apply(Tick{});
  EXPECT_TRUE(h.stopped.empty());
  h.now += 1;
  h.apply(Tick{});
  ASSERT_EQ(h.stopped.size(), 1u);
  h.exit(id, 137);
  EXPECT_EQ(h.status(id), "FAILED");
  EXPECT_EQ(h.reason(id), "Job attempt duration exceeded timeout");
}

TEST(Engine, HigherPriorityQueuesGoFirstAndOrderIsKept) {
  Harness h(1);
  h.basics();
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("urgent", 10, "ce"));
  std::string first = h.submit(), second = h.submit(), third = h.submit(), urgent = h.submit("", "urgent");
  EXPECT_EQ(h.status(first), "STARTING");
  h.run(first);
  h.exit(first, 0);
  EXPECT_EQ(h.status(urgent), "STARTING");
  h.run(urgent);
  h.exit(urgent, 0);
  EXPECT_EQ(h.status(second), "STARTING");
  EXPECT_EQ(h.status(third), "RUNNABLE");
}

TEST(Engine, NeverUsesMoreThanTheHostOrTheEnvironmentHas) {
  Harness h(3, 1000);
  h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("ce", 2));
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("q", 1, "ce"));
  h.ok(ApiOperation::kRegisterJobDefinition, Harness::definition("d"));
  for (int i = 0; i < 5; ++i) h.submit();
  EXPECT_EQ(h.started.size(), 2u) << "maxvCpus is 2";
  std::string waiting = h.submit();
  EXPECT_NE(h.reason(waiting).find("Waits behind"), std::string::npos);
}

TEST(Engine, ALargeJobRunsAloneAndSaysWhatItWaitsFor) {
  // A production definition must run on a laptop; and a waiting job always has a reason with numbers.
  Harness h(2);
  h.basics();
  std::string small = h.submit();
  std::string large =
      h.submit(R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":"16"}]})");
  EXPECT_EQ(h.status(large), "RUNNABLE");
  EXPECT_EQ(h.reason(large), "Needs 16 vCPUs and 128 MiB; ce has 1 of 2 free.");
  h.run(small);
  h.exit(small, 0);
  EXPECT_EQ(h.status(large), "STARTING");
  std::string next = h.submit();
  EXPECT_EQ(h.status(next), "RUNNABLE");
}

TEST(Engine, RefusesWhatAwsRefuses) {
  Harness h;
  h.basics();
  auto submit = ApiOperation::kSubmitJob;
  EXPECT_EQ(h.refused(submit, R"({"jobName":"j","jobQueue":"nope","jobDefinition":"d"})"),
            "JobQueue nope not found.");
  EXPECT_EQ(h.refused(submit, R"({"jobName":"j","jobQueue":"q","jobDefinition":"nope"})"),
            "JobDefinition name nope does not exist or is not in ACTIVE status");
  EXPECT_EQ(h.refused(submit, R"({"jobName":"j","jobQueue":"q","jobDefinition":"d",
     "containerOverrides":{"command":["echo","Ref::x"]}})"),
            "Unable to substitute value. No parameter found for reference x");
  EXPECT_EQ(h.refused(submit, R"({"jobName":"j","jobQueue":"q","jobDefinition":"d","retryStrategy":{}})"),
            "RetryAttempts must be provided with retry strategy");
  EXPECT_EQ(h.refused(ApiOperation::kDeleteComputeEnvironment, R"({"computeEnvironment":"ce"})"),
            "Cannot delete, found existing JobQueue relationship");
  EXPECT_EQ(h.refused(ApiOperation::kCreateJobQueue, Harness::queue("q", 1, "ce")), "Object already exists");
  EXPECT_EQ(h.refused(ApiOperation::kCreateJobQueue, Harness::queue("a b", 1, "ce")),
            "Job Queue name should match a valid pattern.");
  EXPECT_TRUE(h.engine.queues().size() == 1);
}

TEST(Engine, ParametersFillTheCommand) {
  Harness h;
  h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("ce", 4));
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("q", 1, "ce"));
  h.ok(ApiOperation::kRegisterJobDefinition,
       R"({"jobDefinitionName":"d","type":"container","parameters":{"a":"1","b":"2"},
    "containerProperties":{"image":"i","command":["Ref::a","--b=Ref::b","$HOME"],
    "resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"64"}]}})");
  std::string id = h.submit(R"(,"parameters":{"b":"two"})");
  EXPECT_EQ(h.started[0].command, (std::vector<std::string>{"1", "--b=two", "$HOME"}));
  EXPECT_EQ(h.job(id).at("parameters"), json::value(object(R"({"a":"1","b":"two"})")));
}

TEST(Engine, RevisionsRiseForEver) {
  // A deregistered revision stays describable and its number is never used again.
  Harness h;
  h.basics();
  h.ok(ApiOperation::kDeregisterJobDefinition, R"({"jobDefinition":"d:1"})");
  EXPECT_EQ(h.engine.find_definition("d"), nullptr);
  ASSERT_NE(h.engine.find_definition("d:1"), nullptr);
  EXPECT_EQ(h.ok(ApiOperation::kRegisterJobDefinition, Harness::definition("d")).at("revision"), 2);
  EXPECT_EQ(h.engine.find_definition("d")->revision, 2);
  EXPECT_EQ(h.engine.find_definition("arn:aws:batch:us-east-1:123456789012:job-definition/d:2")->revision, 2);
}

TEST(Engine, ADeletedQueueTakesItsJobsWithIt) {
  Harness h(1);
  h.basics();
  std::string running = h.submit(), waiting = h.submit();
  h.run(running);
  h.refused(ApiOperation::kDeleteJobQueue, R"({"jobQueue":"q"})");
  h.ok(ApiOperation::kUpdateJobQueue, R"({"jobQueue":"q","state":"DISABLED"})");
  h.ok(ApiOperation::kDeleteJobQueue, R"({"jobQueue":"q"})");
  EXPECT_EQ(h.status(waiting), "FAILED");
  ASSERT_NE(h.engine.find_queue("q"), nullptr) << "DELETING until the last job has stopped";
  EXPECT_EQ(h.stopped.size(), 1u);
  h.exit(running, 143);
  EXPECT_EQ(h.engine.find_queue("q"), nullptr);
  h.ok(ApiOperation::kUpdateComputeEnvironment, R"({"computeEnvironment":"ce","state":"DISABLED"})");
  h.ok(ApiOperation::kDeleteComputeEnvironment, R"({"computeEnvironment":"ce"})");
  EXPECT_EQ(h.engine.find_environment("ce"), nullptr);
}

TEST(Engine, ADisabledEnvironmentTakesNoJobs) {
  Harness h;
  h.basics();
  h.ok(ApiOperation::kUpdateComputeEnvironment, R"({"computeEnvironment":"ce","state":"DISABLED"})");
  std::string id = h.submit();
  EXPECT_EQ(h.status(id), "RUNNABLE");
  EXPECT_EQ(h.reason(id), "ACTION_REQUIRED - CE(s) associated with the job queue are invalid.");
  h.ok(ApiOperation::kUpdateComputeEnvironment, R"({"computeEnvironment":"ce","state":"ENABLED"})");
  EXPECT_EQ(h.status(id), "STARTING");
}

TEST(JobIds, AreABijection) {
  // An id that leads to another job would show, or stop, somebody else's work.
  JobIds ids("seed seed seed 1"), other("seed seed seed 2");
  for (uint64_t i = 0; i < 20'000; ++i) {
    uint64_t seq = i < 10'000 ? i + 1 : i * 0x9E3779B97F4A7C15ull;
    std::string uuid = ids.to_uuid(seq);
    ASSERT_EQ(uuid.size(), 36u);
    ASSERT_EQ(uuid[14], '4');
    ASSERT_TRUE(uuid[19] == '8' || uuid[19] == '9' || uuid[19] == 'a' || uuid[19] == 'b') << uuid;
    ASSERT_EQ(ids.from_uuid(uuid), seq);
    ASSERT_EQ(other.from_uuid(uuid), std::nullopt);
  }
  for (const char* bad :
       {"", "x", "00000000-0000-4000-8000-000000000000", "zzzzzzzz-0000-4000-8000-000000000000"})
    EXPECT_EQ(ids.from_uuid(bad), std::nullopt);
}

TEST(Engine, OverridesThatEcsWouldNotTakeFailTheJobWhenItsTurnComes) {
  // Breaks when such a job starts, or holds up its queue.
  Harness h(1);
  h.basics();
  std::string running = h.submit();
  std::string words(9000, 'x');
  std::string fat = h.submit(R"(,"containerOverrides":{"command":[")" + words + R"("]})");
  std::string next = h.submit();
  EXPECT_EQ(h.status(fat), "FAILED");
  EXPECT_EQ(h.reason(fat), "Container Overrides length must be at most 8192");
  h.run(running);
  h.exit(running, 0);
  EXPECT_EQ(h.status(next), "STARTING");
}

}  // namespace
}  // namespace millrace::engine
