// Jobs that wait for others.
#include <gtest/gtest.h>

#include <chrono>

#include "engine/queries.h"
#include "engine/store.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

std::string after(std::initializer_list<std::string> ids, const std::string& extra = "") {
  std::string list;
  for (const std::string& id : ids) list += (list.empty() ? "" : ",") + (R"({"jobId":")" + id + R"("})");
  return R"(,"dependsOn":[)" + list + "]" + extra;
}

struct Dependencies : ::testing::Test {
  Harness h{4};
  void SetUp() override { h.basics(); }
  void end(const std::string& id, int code) {
    h.run(id);
    h.exit(id, code);
  }
};

TEST_F(Dependencies, AJobRunsWhenAllItWaitsForHaveSucceeded) {
  // Breaks when one of several is enough, or the last one tells nobody.
  std::string a = h.submit(), b = h.submit(), c = h.submit(after({a, b, a}));
  EXPECT_EQ(h.status(c), "PENDING");
  EXPECT_NE(h.reason(c).find(a), std::string::npos) << h.reason(c);
  EXPECT_EQ(h.job(c).at("dependsOn").as_array().size(), 3u);
  end(a, 0);
  EXPECT_EQ(h.status(c), "PENDING");
  end(b, 0);
  EXPECT_EQ(h.status(c), "STARTING");
}

TEST_F(Dependencies, AFailureGoesDownTheWholeLine) {
  // Breaks when jobs wait for ever for what failed, or a long line is followed by recursion.
  std::string first = h.submit(), last = first;
  std::vector<std::string> line;
  for (int i = 0; i < 20'000; ++i) line.push_back(last = h.submit(after({last})));
  end(first, 1);
  for (const std::string& id : {line.front(), line[9999], line.back()}) {
    EXPECT_EQ(h.status(id), "FAILED");
    EXPECT_EQ(h.reason(id), "Dependent Job failed");
  }
  std::string late = h.submit(after({first}));
  EXPECT_EQ(h.status(late), "FAILED");
}

TEST_F(Dependencies, ARetryIsNoFailure) {
  // Breaks when the first failed attempt of a dependency is taken for its end.
  std::string a = h.submit(R"(,"retryStrategy":{"attempts":2})"), b = h.submit(after({a}));
  end(a, 1);
  EXPECT_EQ(h.status(b), "PENDING");
  end(a, 0);
  EXPECT_EQ(h.status(b), "STARTING");
}

TEST_F(Dependencies, CancelWaitsForTheDependenciesTerminateDoesNot) {
  // Breaks when CancelJob of a PENDING job is forgotten (Batch API reference, CancelJob).
  std::string a = h.submit(), cancelled = h.submit(after({a})), terminated = h.submit(after({a}));
  h.ok(ApiOperation::kCancelJob, R"({"jobId":")" + cancelled + R"(","reason":"not needed"})");
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + terminated + R"(","reason":"now"})");
  EXPECT_EQ(h.status(cancelled), "PENDING");
  EXPECT_EQ(h.status(terminated), "FAILED");
  end(a, 0);
  EXPECT_EQ(h.status(cancelled), "FAILED");
  EXPECT_EQ(h.reason(cancelled), "not needed");
}

TEST_F(Dependencies, WhatCannotBeWaitedForIsRefused) {
  // Breaks when a job waits for something that will never be.
  std::string submit = R"({"jobName":"j","jobQueue":"q","jobDefinition":"d")";
  std::string nobody = "11111111-2222-4333-8444-555555555555";
  EXPECT_NE(h.refused(ApiOperation::kSubmitJob, submit + after({nobody}) + "}").find(nobody),
            std::string::npos);
  h.refused(ApiOperation::kSubmitJob, submit + R"(,"dependsOn":[{"type":"SEQUENTIAL"}]})");
  std::string a = h.submit();
  h.refused(ApiOperation::kSubmitJob, submit + R"(,"dependsOn":[{"jobId":")" + a + R"(","type":"N_TO_N"}]})");
  std::string many;
  for (int i = 0; i < 21; ++i) many += std::string(i ? "," : "") + R"({"jobId":")" + a + R"("})";
  h.refused(ApiOperation::kSubmitJob, submit + R"(,"dependsOn":[)" + many + "]}");
}

TEST_F(Dependencies, ManyJobsAreStoppedAtOnce) {
  // Breaks when TerminateJobs stops at the first id that is unknown or finished.
  std::string a = h.submit(), b = h.submit(), done = h.submit();
  end(done, 0);
  json::object reply = h.ok(ApiOperation::kTerminateJobs, R"({"jobs":[")" + a + R"(","no-such-job",")" +
                                                              done + R"(","",")" + b + R"("],"reason":"x"})");
  EXPECT_EQ(reply.at("successful").as_array().size(), 4u);
  EXPECT_EQ(reply.at("errors").as_array().size(), 1u);
  EXPECT_EQ(h.stopped.size(), 2u);
}

TEST_F(Dependencies, ChildForChildAlsoOfAnArrayThatHasEnded) {
  // Breaks when one failed child of an ended array fails every child of the array that waits for it.
  millrace::testing::TemporaryFolder folder;
  Store store(folder / "state.db");
  auto commit = [&] {
    store.commit(h.engine.take_changes(), h.engine);
    h.engine.forget_finished();
  };
  std::string first = h.submit(R"(,"arrayProperties":{"size":2})");
  for (int index = 0; index < 2; ++index) {
    AttemptFinished report;
    report.token = h.started[static_cast<size_t>(index)].token;
    report.started = true;
    report.exit_code = index;
    report.started_at = report.stopped_at = h.now;
    h.apply(report);
  }
  commit();
  Command submission =
      ApiCommand{ApiOperation::kSubmitJob,
                 object(R"({"jobName":"j","jobQueue":"q","jobDefinition":"d","arrayProperties":{"size":2},
                                      "dependsOn":[{"jobId":")" +
                        first + R"(","type":"N_TO_N"}]})"),
                 ""};
  for (JobSeq seq : h.engine.missing_jobs(submission)) {
    auto job = store.load_job(seq, h.engine);
    store.load_children(*job);
    h.engine.recall(std::move(job));
  }
  Outcome outcome = h.apply(submission);
  std::string second(base::find_string(std::get<json::object>(outcome.reply), "jobId").value_or(""));
  EXPECT_EQ(h.status(second + ":0"), "STARTING");
  EXPECT_EQ(h.status(second + ":1"), "FAILED");
  EXPECT_EQ(h.reason(second + ":1"), "Dependent Job failed");
}

TEST_F(Dependencies, ManyThatWaitForTheSameAreToldInOneGo) {
  // Breaks when each of those that fail is looked for among all the others: minutes in which nothing else
  // happens.
  constexpr int kMany = 60'000;
  std::string first = h.submit(), second = h.submit();
  h.run(first);
  std::string waiting = R"(,"dependsOn":[{"jobId":")" + first + R"("},{"jobId":")" + second + R"("}])";
  std::string last = h.submit(waiting + R"(,"arrayProperties":{"size":2})"), stopped = h.submit(waiting);
  json::object submission = object(R"({"jobName":"j","jobQueue":"q","jobDefinition":"d")" + waiting + "}");
  for (int i = 0; i < kMany; ++i) h.engine.apply(ApiCommand{ApiOperation::kSubmitJob, submission, ""}, h.now);
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + stopped + R"(","reason":"no"})");
  auto begun = std::chrono::steady_clock::now();
  h.exit(first, 1);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  EXPECT_LT(took.count(), 5);
  EXPECT_EQ(h.reason(last), "Dependent Job failed");
  EXPECT_EQ(h.reason(stopped), "no");
  h.exit(second, 0);
  EXPECT_EQ(h.status(last), "FAILED");
}

TEST_F(Dependencies, ChildForChildAndOneByOne) {
  // Breaks when an array that names both runs its children side by side, at once or after a restart.
  millrace::testing::TemporaryFolder folder;
  std::string first = h.submit(R"(,"arrayProperties":{"size":3})");
  std::string second = h.submit(R"(,"arrayProperties":{"size":3},"dependsOn":[{"type":"SEQUENTIAL"},
      {"jobId":")" + first + R"(","type":"N_TO_N"}])");
  auto report = [this](const std::string& id, int code) {
    AttemptFinished finished;
    finished.token = h.engine.find_job(*h.engine.job_seq(id))->current->token;
    finished.started = true;
    finished.exit_code = code;
    finished.started_at = finished.stopped_at = h.now;
    return finished;
  };
  for (int i = 0; i < 3; ++i) h.apply(report(first + ":" + std::to_string(i), 0));
  EXPECT_EQ(h.status(second + ":0"), "STARTING");
  EXPECT_EQ(h.status(second + ":1"), "PENDING");
  Store store(folder / "state.db");
  store.commit(h.engine.take_changes(), h.engine);
  Engine engine(Harness::config());
  store.load(engine);
  engine.apply(HostUp{"i-0123456789abcdef0", 4000, 8192, 0}, h.now);
  EXPECT_EQ(engine.find_job(*engine.job_seq(second + ":1"))->status, JobStatus::kPending);
  h.apply(report(second + ":0", 0));
  EXPECT_EQ(h.status(second + ":1"), "STARTING");
  h.apply(report(second + ":1", 1));
  EXPECT_EQ(h.reason(second + ":2"), "Dependent Job failed");
  EXPECT_EQ(h.status(second), "FAILED");
}

TEST_F(Dependencies, ChildrenAreNotListedWithTheirQueue) {
  // Breaks when what stands beside the children of an array is missing from a list, or they are in it.
  millrace::testing::TemporaryFolder folder;
  Store store(folder / "state.db");
  std::string holds = h.submit(), before = h.submit(after({holds}));
  std::string one = h.submit(after({holds}, R"(,"arrayProperties":{"size":3})"));
  std::string two =
      h.submit(R"(,"arrayProperties":{"size":3},"dependsOn":[{"jobId":")" + one + R"(","type":"N_TO_N"}])");
  std::string behind = h.submit(after({holds}));
  std::string listed, token;
  do {
    json::object input = object(R"({"jobQueue":"q","jobStatus":"PENDING","maxResults":1})");
    if (!token.empty()) input["nextToken"] = token;
    json::object page = list_jobs(input, h.engine, store);
    for (const json::value& job : page.at("jobSummaryList").as_array())
      listed += std::string(base::view(job.at("jobId").as_string())) + " ";
    token = base::find_string(page, "nextToken").value_or("");
  } while (!token.empty());
  EXPECT_EQ(listed, behind + " " + two + " " + one + " " + before + " ");
}

}  // namespace
}  // namespace millrace::engine
