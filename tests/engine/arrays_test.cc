// Array jobs and their children.
#include <gtest/gtest.h>

#include <chrono>

#include "engine/queries.h"
#include "engine/reasons.h"
#include "engine/store.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

struct Arrays : ::testing::Test {
  Harness h{2};
  void SetUp() override { h.basics(); }

  std::string array(int size, const std::string& extra = "") {
    return h.submit(R"(,"arrayProperties":{"size":)" + std::to_string(size) + "}" + extra);
  }
  // Ends the attempt that was started longest ago; gives the job's id.
  std::string end_oldest(int code) {
    StartAttempt start = h.started.at(ended_++);
    h.apply(AttemptStarted{start.token, h.now});
    AttemptFinished report;
    report.token = start.token;
    report.started = true;
    report.exit_code = code;
    report.started_at = report.stopped_at = h.now;
    h.apply(report);
    return start.job_id;
  }
  int64_t counted(const std::string& id, const char* status) {
    return h.job(id).at("arrayProperties").at("statusSummary").at(status).as_int64();
  }
  size_t ended_ = 0;
};

TEST_F(Arrays, RunEachChildOnceAndCountThem) {
  // Breaks when children are lost, run twice, or the parent ends before them.
  std::string parent = array(5);
  EXPECT_EQ(h.status(parent), "PENDING");
  EXPECT_EQ(h.started.size(), 2u);
  EXPECT_EQ(h.started[1].job_id, parent + ":1");
  auto variable = [&](const std::string& name) {
    for (const auto& [key, value] : h.started[1].environment)
      if (key == name) return value;
    return std::string("none");
  };
  EXPECT_EQ(variable("AWS_BATCH_JOB_ID"), parent + ":1");
  EXPECT_EQ(variable("AWS_BATCH_JOB_ARRAY_INDEX"), "1");
  EXPECT_EQ(variable("AWS_BATCH_JOB_ARRAY_SIZE"), "5");
  EXPECT_EQ(counted(parent, "STARTING"), 2);
  EXPECT_EQ(counted(parent, "RUNNABLE"), 3);
  std::set<std::string> ran;
  for (int i = 0; i < 5; ++i) ran.insert(end_oldest(0));
  EXPECT_EQ(ran.size(), 5u);
  EXPECT_EQ(h.status(parent), "SUCCEEDED");
  EXPECT_EQ(counted(parent, "SUCCEEDED"), 5);
}

TEST_F(Arrays, AreSubmittedWithoutMakingTheirChildren) {
  // Breaks when ten thousand children cost memory before their turn.
  std::string parent = array(10'000);
  size_t made = 0;
  for (JobSeq seq = 1; seq <= 10'001; ++seq) made += h.engine.find_job(seq) != nullptr;
  EXPECT_LE(made, 5u);
  EXPECT_EQ(counted(parent, "RUNNABLE") + counted(parent, "STARTING"), 10'000);
  std::string next = h.submit();
  EXPECT_EQ(h.status(next), "RUNNABLE") << "the array was there before";
}

TEST_F(Arrays, OneFailedChildFailsTheParentAfterAllHaveEnded) {
  // Breaks when siblings are stopped, or the parent succeeds all the same.
  std::string parent = array(3);
  end_oldest(1);
  end_oldest(0);
  EXPECT_EQ(h.status(parent), "PENDING");
  end_oldest(0);
  EXPECT_EQ(h.status(parent), "FAILED");
  EXPECT_EQ(h.reason(parent), "Array Child Job failed");
  EXPECT_EQ(counted(parent, "FAILED"), 1);
}

TEST_F(Arrays, SequentialChildrenRunOneByOneUntilOneFails) {
  // Breaks when two run at once, or the rest runs after a failure.
  std::string parent = array(4, R"(,"dependsOn":[{"type":"SEQUENTIAL"}])");
  EXPECT_EQ(h.started.size(), 1u);
  end_oldest(0);
  EXPECT_EQ(h.started.size(), 2u);
  end_oldest(1);
  EXPECT_EQ(h.started.size(), 2u);
  EXPECT_EQ(h.status(parent), "FAILED");
  EXPECT_EQ(counted(parent, "SUCCEEDED"), 1);
  EXPECT_EQ(counted(parent, "FAILED"), 3);
  EXPECT_EQ(h.engine.unmade_child(*h.engine.find_job(*h.engine.job_seq(parent)), 3)->status_reason,
            reasons::kDependencyFailed);
}

TEST_F(Arrays, ChildForChildDependencies) {
  // Breaks when a child waits for the whole other array, or a failure reaches more than its own child.
  std::string first = array(3);
  std::string second = array(3, R"(,"dependsOn":[{"jobId":")" + first + R"(","type":"N_TO_N"}])");
  EXPECT_EQ(counted(second, "PENDING"), 3);
  EXPECT_EQ(end_oldest(0), first + ":0");
  EXPECT_EQ(end_oldest(1), first + ":1");
  EXPECT_EQ(counted(second, "FAILED"), 1);
  EXPECT_EQ(end_oldest(0), first + ":2");
  EXPECT_EQ(h.status(first), "FAILED");
  EXPECT_EQ(end_oldest(0), second + ":0");
  EXPECT_EQ(end_oldest(0), second + ":2");
  EXPECT_EQ(h.status(second), "FAILED");
  EXPECT_EQ(counted(second, "SUCCEEDED"), 2);
}

TEST_F(Arrays, StoppingTheParentReachesAllChildrenAndAChildCanBeStoppedAlone) {
  // Breaks when unmade children run after all, or the parent never ends.
  std::string parent = array(10);
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + parent + R"(:7","reason":"not this one"})");
  EXPECT_EQ(h.status(parent + ":7"), "FAILED");
  EXPECT_EQ(counted(parent, "FAILED"), 1);
  std::string after_child = h.submit(R"(,"dependsOn":[{"jobId":")" + parent + R"(:9"}])");
  EXPECT_EQ(h.status(after_child), "PENDING");
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + parent + R"(","reason":"enough"})");
  EXPECT_EQ(h.status(after_child), "FAILED");
  EXPECT_EQ(h.stopped.size(), 2u);
  EXPECT_EQ(h.status(parent), "PENDING");
  end_oldest(143);
  end_oldest(143);
  EXPECT_EQ(h.status(parent), "FAILED");
  EXPECT_EQ(h.reason(parent), "enough");
  EXPECT_EQ(counted(parent, "FAILED"), 10);
  EXPECT_EQ(h.started.size(), 2u);
}

TEST_F(Arrays, WaitForWhatTheParentDependsOn) {
  // Breaks when children begin before the dependency of their parent has succeeded.
  std::string before = h.submit();
  std::string parent = array(2, R"(,"dependsOn":[{"jobId":")" + before + R"("}])");
  EXPECT_EQ(h.started.size(), 1u);
  EXPECT_EQ(counted(parent, "PENDING"), 2);
  end_oldest(0);
  EXPECT_EQ(h.started.size(), 3u);
  std::string after = h.submit(R"(,"dependsOn":[{"jobId":")" + parent + R"("}])");
  end_oldest(0);
  EXPECT_EQ(h.status(after), "PENDING");
  end_oldest(0);
  EXPECT_EQ(h.status(after), "STARTING");
}

TEST_F(Arrays, SizesOutsideTheLimitsAreRefused) {
  // Breaks when an array of one, or of more than AWS takes, is accepted.
  for (const char* size : {"1", "0", "-3", "10001"})
    h.refused(ApiOperation::kSubmitJob, std::string(R"({"jobName":"j","jobQueue":"q","jobDefinition":"d",)") +
                                            R"("arrayProperties":{"size":)" + size + "}}");
}

TEST_F(Arrays, ChildrenAreListedWithoutMakingThem) {
  // Breaks when a list of the running children of a large array takes the engine minutes: a copy of the
  // submission for each child that is not made.
  millrace::testing::TemporaryFolder folder;
  Store store(folder / "state.db");
  Config config = Harness::config();
  config.array_size_max = 5'000'000;
  Harness large(2, 8192, config);
  large.basics();
  std::string id = large.submit(R"(,"arrayProperties":{"size":5000000},"parameters":{"p":")" +
                                std::string(25'000, 'x') + "\"}");
  large.apply(AttemptStarted{large.started.at(1).token, large.now});
  auto list = [&](const std::string& status) {
    return list_jobs(object(R"({"arrayJobId":")" + id + R"(","jobStatus":")" + status + "\"}"), large.engine,
                     store)
        .at("jobSummaryList")
        .as_array();
  };
  auto begun = std::chrono::steady_clock::now();
  json::array running = list("RUNNING");
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(), 3);
  ASSERT_EQ(running.size(), 1u);
  EXPECT_EQ(running[0].at("jobId").as_string(), id + ":1");
  EXPECT_EQ(list("RUNNABLE").size(), 1000u);
  EXPECT_EQ(list("FAILED").size(), 0u);
}

}  // namespace
}  // namespace millrace::engine
