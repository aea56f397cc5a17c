// What a waiting job says, wherever it stands, and what a queue does with one that waits too long.
#include <gtest/gtest.h>

#include <chrono>

#include "engine/store.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

constexpr char kMax[] =
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the "
    "CPU "
    "requirement of the job. It asks for 512 vCPUs; ce may have 256.";

std::string vcpus(int count) {
  return R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":")" +
         std::to_string(count) + "\"}]}";
}

// As basics(), with a queue that cancels what is stuck at its head for want of a large enough environment.
void give_up_after_ten_minutes(Harness& h) {
  h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("ce", 256));
  std::string queue = Harness::queue("q", 1, "ce");
  queue.pop_back();
  h.ok(ApiOperation::kCreateJobQueue,
       queue + R"(,"jobStateTimeLimitActions":[{"state":"RUNNABLE","action":"CANCEL","maxTimeSeconds":600,
                  "reason":"MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"}]})");
  h.ok(ApiOperation::kRegisterJobDefinition, Harness::definition("d"));
}

TEST(Waiting, EveryPlaceInLineHasItsReason) {
  // Breaks when only the first job of a queue can say why it waits.
  Harness h{2};
  h.basics();
  h.submit();
  h.submit();
  std::string first = h.submit(), array = h.submit(R"(,"arrayProperties":{"size":10})"), last = h.submit();
  std::string text = "Needs 1 vCPUs and 128 MiB; ce has 0 of 2 free.";
  EXPECT_EQ(h.reason(first), text);
  EXPECT_EQ(h.reason(last), "Waits behind 11 jobs of q. The first, " + first + ", waits: " + text);
  const Job& parent = *h.engine.find_job(*h.engine.job_seq(array));
  EXPECT_EQ(h.engine.why_waiting(*h.engine.unmade_child(parent, 3)),
            "Waits behind 4 jobs of q. The first, " + first + ", waits: " + text);
  for (int i = 0; i < 1100; ++i) h.submit();
  EXPECT_TRUE(h.reason(h.submit()).starts_with("Waits behind more than 1000 jobs of q. The first, "));
}

TEST(Waiting, WhatCanNeverRunSaysSoAnywhere) {
  // Breaks when a job waits its turn for a day and only then learns that no environment is large enough.
  Harness h{1};
  h.basics();
  h.submit();
  h.submit();
  EXPECT_EQ(h.reason(h.submit(vcpus(512))), kMax);
}

TEST(Waiting, MoreThanTheHostHasFailsAtOnceWhenCapacityIsStrict) {
  // Breaks when a production engine takes a job for which it has no machine, and keeps it for ever.
  Config config = Harness::config();
  config.strict_capacity = true;
  Harness h{4, 8192, config};
  h.basics();
  std::string job = h.submit(vcpus(8));
  EXPECT_EQ(h.status(job), "FAILED");
  EXPECT_EQ(
      h.reason(job),
      "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher "
      "than that can be met by the CE(s) attached to the job queue. It asks for 8 vCPUs, 128 MiB and 0 GPUs; "
      "the host has 4 vCPUs, 8192 MiB and 0 GPUs.");
}

TEST(Waiting, AQueueCancelsWhatIsStuckAtItsHead) {
  // Breaks when jobStateTimeLimitActions are kept and never taken, or taken from a job that is not stuck.
  Harness h{1};
  give_up_after_ten_minutes(h);
  std::string stuck = h.submit(vcpus(512));
  h.now += 100'000;
  std::string second = h.submit(vcpus(512)), good = h.submit();
  EXPECT_EQ(h.engine.next_deadline(), h.now + 500'000);
  h.now += 499'999;
  h.apply(Tick{});
  EXPECT_EQ(h.status(stuck), "RUNNABLE");
  h.now += 1;
  h.apply(Tick{});
  EXPECT_EQ(h.status(stuck), "FAILED");
  EXPECT_EQ(h.reason(stuck),
            "Canceled by JobStateTimeLimit action due to reason: "
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE");
  EXPECT_EQ(h.status(second), "RUNNABLE") << "its time at the head begins now";
  h.now += 600'000;
  h.apply(Tick{});
  EXPECT_EQ(h.status(second), "FAILED");
  EXPECT_EQ(h.status(good), "STARTING");
  h.now += 6'000'000;
  h.apply(Tick{});
  EXPECT_EQ(h.status(good), "STARTING");
}

TEST(Waiting, AFailureInLineReachesItsDependentsAtOnce) {
  // Breaks when a crash right after the commit leaves a job waiting for one that has failed.
  Config config = Harness::config();
  config.strict_capacity = true;
  Harness h{1, 8192, config};
  h.basics();
  std::string runs = h.submit(), next = h.submit(), large = h.submit(vcpus(8));
  std::string after = h.submit(R"(,"dependsOn":[{"jobId":")" + large + "\"}]");
  EXPECT_EQ(h.status(after), "PENDING");
  h.exit(runs, 0);
  EXPECT_EQ(h.status(large), "FAILED");
  EXPECT_EQ(h.status(after), "FAILED");
  EXPECT_EQ(h.reason(after), "Dependent Job failed");
}

TEST(Waiting, OnlyEnvironmentsThatAreEnabledAreTooSmall) {
  // Breaks when a job is said to be too large for an environment that is large enough, and only DISABLED.
  Harness h{1};
  h.basics();
  h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("large", 1000));
  h.ok(ApiOperation::kUpdateJobQueue, R"({"jobQueue":"q","computeEnvironmentOrder":[
      {"order":1,"computeEnvironment":"ce"},{"order":2,"computeEnvironment":"large"}]})");
  h.ok(ApiOperation::kUpdateComputeEnvironment, R"({"computeEnvironment":"large","state":"DISABLED"})");
  EXPECT_EQ(h.reason(h.submit(vcpus(512))), kMax);
}

TEST(Waiting, LongSubmissionsAreNotReadAgainForEachDecision) {
  // Breaks when jobs with long submissions that wait make every other command slow; or when one whose
  // overrides are too long is not known for that any more after a restart.
  millrace::testing::TemporaryFolder folder;
  Harness h{2};
  h.basics();
  std::string runs = h.submit(), waits = h.submit(vcpus(2));
  std::string long_one = R"(,"parameters":{"p":"")";
  for (int i = 0; i < 2000; ++i) long_one += ",\"p" + std::to_string(i) + "\":\"\"";
  long_one += "}";
  for (int i = 0; i < 64; ++i) h.submit(long_one);
  std::string fat = h.submit(R"(,"dependsOn":[{"jobId":")" + runs +
                             R"("}],"containerOverrides":{"environment":[{"name":"A","value":")" +
                             std::string(9000, 'x') + "\"}]}");
  auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) h.ok(ApiOperation::kUpdateJobQueue, R"({"jobQueue":"q"})");
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(), 2);
  Store store(folder / "state.db");
  store.commit(h.engine.take_changes(), h.engine);
  Engine engine(Harness::config());
  store.load(engine);
  EXPECT_TRUE(engine.find_job(*engine.job_seq(fat))->too_long);
  EXPECT_FALSE(engine.find_job(*engine.job_seq(waits))->too_long);
}

TEST(Waiting, AClockThatIsSetBackPutsNoActionOff) {
  // Breaks when a job that is stuck stays until the clock is where it was, and ten minutes more.
  Harness h{1};
  give_up_after_ten_minutes(h);
  std::string stuck = h.submit(vcpus(512));
  h.now -= 86'400'000;
  h.submit();
  h.now += 600'000;
  h.apply(Tick{});
  EXPECT_EQ(h.status(stuck), "FAILED");
}

}  // namespace
}  // namespace millrace::engine
