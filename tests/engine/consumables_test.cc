// Consumable resources: licences that jobs take before they start.
#include <gtest/gtest.h>

#include "engine/queries.h"
#include "engine/store.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

std::string needs(const std::string& resource, int quantity) {
  return R"(,"consumableResourcePropertiesOverride":{"consumableResourceList":[{"consumableResource":")" +
         resource + R"(","quantity":)" + std::to_string(quantity) + "}]}";
}

struct Consumables : ::testing::Test {
  Harness h{4};
  void SetUp() override {
    h.basics();
    create("licence", 2);
  }
  void create(const std::string& name, int total, const std::string& extra = "") {
    h.ok(ApiOperation::kCreateConsumableResource, R"({"consumableResourceName":")" + name +
                                                      R"(","totalQuantity":)" + std::to_string(total) +
                                                      extra + "}");
  }
  int64_t in_use(const std::string& name) { return h.engine.find_consumable(name)->in_use(); }
  void update(const std::string& operation, int quantity, const std::string& token = "") {
    h.ok(ApiOperation::kUpdateConsumableResource,
         R"({"consumableResource":"licence","operation":")" + operation + R"(","quantity":)" +
             std::to_string(quantity) + (token.empty() ? "" : R"(,"clientToken":")" + token + "\"") + "}");
  }
};

TEST_F(Consumables, AreTakenBeforeTheStartAndComeBackAtTheEnd) {
  // Breaks when more jobs run than there are licences, or a licence is lost with a job.
  std::string one = h.submit(needs("licence", 1)), two = h.submit(needs("licence", 1));
  std::string three = h.submit(needs("licence", 1)), free = h.submit();
  EXPECT_EQ(h.status(two), "STARTING");
  EXPECT_EQ(h.status(three), "RUNNABLE");
  EXPECT_EQ(h.reason(three), "Needs 1 of licence, of which 0 of 2 are free.");
  EXPECT_EQ(h.status(free), "STARTING") << "it needs none and leaves room";
  EXPECT_EQ(in_use("licence"), 2);
  h.exit(one, 1);
  EXPECT_EQ(h.status(three), "STARTING");
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + two + R"(","reason":"no"})");
  h.exit(two, 143);
  h.exit(three, 0);
  EXPECT_EQ(in_use("licence"), 0);
}

TEST_F(Consumables, AJobKeepsThemWhileItIsRetried) {
  // Breaks when a job that is tried again has to queue for its licence, or takes a second one.
  std::string job = h.submit(needs("licence", 2) + R"(,"retryStrategy":{"attempts":3})");
  std::string next = h.submit(needs("licence", 1));
  h.run(job);
  h.exit(job, 1);
  EXPECT_EQ(h.status(job), "STARTING");
  EXPECT_EQ(h.status(next), "RUNNABLE");
  EXPECT_EQ(in_use("licence"), 2);
}

TEST_F(Consumables, WhatIsUsedUpStaysUsedUp) {
  // Breaks when a budget refills itself.
  create("budget", 3, R"(,"resourceType":"NON_REPLENISHABLE")");
  std::string job = h.submit(needs("budget", 2));
  h.run(job);
  h.exit(job, 0);
  EXPECT_EQ(in_use("budget"), 2);
  std::string next = h.submit(needs("budget", 2));
  EXPECT_EQ(h.status(next), "RUNNABLE");
  h.ok(ApiOperation::kUpdateConsumableResource,
       R"({"consumableResource":"budget","operation":"ADD","quantity":1})");
  EXPECT_EQ(h.status(next), "STARTING");
}

TEST_F(Consumables, EachChildOfAnArrayTakesItsOwn) {
  // Breaks when an array takes one licence for all its children.
  h.submit(needs("licence", 1) + R"(,"arrayProperties":{"size":5})");
  EXPECT_EQ(h.started.size(), 2u);
}

TEST_F(Consumables, UpdatesSetAddRemoveAndAreNotRepeated) {
  // Breaks when a client that repeats a request after a timeout adds twice.
  update("ADD", 3, "t1");
  update("ADD", 3, "t1");
  EXPECT_EQ(h.engine.find_consumable("licence")->total, 5);
  update("REMOVE", 1);
  update("SET", 7);
  EXPECT_EQ(h.engine.find_consumable("licence")->total, 7);
  h.now += 8 * 3600 * 1000;
  update("ADD", 3, "t1");
  EXPECT_EQ(h.engine.find_consumable("licence")->total, 10);
  EXPECT_EQ(h.refused(ApiOperation::kUpdateConsumableResource,
                      R"({"consumableResource":"licence","operation":"REMOVE","quantity":11})"),
            "totalQuantity cannot be a negative number: licence has 10.");
  EXPECT_EQ(h.refused(ApiOperation::kUpdateConsumableResource,
                      R"({"consumableResource":"none","operation":"SET","quantity":1})"),
            "ConsumableResource none not found.");
}

TEST_F(Consumables, RequestsAreChecked) {
  // Breaks when a job waits for ever for something that cannot be there.
  EXPECT_EQ(h.refused(ApiOperation::kCreateConsumableResource, R"({"consumableResourceName":"a b"})"),
            "ConsumableResource name should match a valid pattern.");
  EXPECT_EQ(h.refused(ApiOperation::kCreateConsumableResource,
                      R"({"consumableResourceName":"x","totalQuantity":-1})"),
            "totalQuantity cannot be a negative number.");
  EXPECT_EQ(h.refused(ApiOperation::kSubmitJob,
                      R"({"jobName":"j","jobQueue":"q","jobDefinition":"d")" + needs("none", 1) + "}"),
            "ConsumableResource none not found.");
  std::string job = h.submit(needs("licence", 1));
  EXPECT_EQ(h.refused(ApiOperation::kDeleteConsumableResource, R"({"consumableResource":"licence"})"),
            "Cannot delete, 1 jobs that have not ended need consumable resource licence.");
  json::object list =
      list_jobs_by_consumable_resource(object(R"({"consumableResource":"licence"})"), h.engine);
  EXPECT_EQ(list.at("jobs").at(0).at("quantity").as_int64(), 1);
  h.exit(job, 0);
  h.ok(ApiOperation::kDeleteConsumableResource, R"({"consumableResource":"licence"})");
}

TEST_F(Consumables, AreDeletedInTheCommitThatEndsTheLastJobThatNeededThem) {
  // Breaks when the job's row is written after its resource is gone, and still reads its name there.
  millrace::testing::TemporaryFolder folder;
  Store store(folder / "state.db");
  std::string job = h.submit(needs("licence", 1));
  h.exit(job, 0);
  h.ok(ApiOperation::kDeleteConsumableResource, R"({"consumableResource":"licence"})");
  EXPECT_EQ(h.engine.find_job(*h.engine.job_seq(job))->needs, nullptr);
  store.commit(h.engine.take_changes(), h.engine);
}

TEST_F(Consumables, SurviveARestart) {
  // Breaks when a restart gives licences away that running jobs hold.
  millrace::testing::TemporaryFolder folder;
  h.submit(needs("licence", 2));
  std::string waits = h.submit(needs("licence", 1) + R"(,"arrayProperties":{"size":2})");
  {
    Store store(folder / "state.db");
    store.commit(h.engine.take_changes(), h.engine);
  }
  Store store(folder / "state.db");
  Engine engine(Harness::config());
  store.load(engine);
  engine.apply(HostUp{"i-0123456789abcdef0", 4000, 8192, 0}, h.now);
  EXPECT_EQ(engine.find_consumable("licence")->in_use(), 2);
  EXPECT_EQ(engine.find_job(*engine.job_seq(waits + ":0"))->status, JobStatus::kRunnable);
}

TEST_F(Consumables, WhoWaitsForOneIsNotInTheWayOfThoseWhoNeedAnother) {
  // Breaks when all that needs anything waits for the first that does.
  create("other", 2);
  h.submit(needs("licence", 2));
  std::string waits = h.submit(needs("licence", 1)), passes = h.submit(needs("other", 1));
  EXPECT_EQ(h.status(waits), "RUNNABLE");
  EXPECT_EQ(h.status(passes), "STARTING");
}

TEST_F(Consumables, NobodyUsesUpWhatOneThatWaitsForRoomNeeds) {
  // Breaks when a job that ends in time passes, and takes for ever what the first one needs.
  create("budget", 1, R"(,"resourceType":"NON_REPLENISHABLE")");
  h.submit(R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":"3"}]})"
           R"(,"timeout":{"attemptDurationSeconds":6000})");
  h.run(h.started[0].job_id);
  std::string large = h.submit(
      needs("budget", 1) + R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":"4"}]})");
  std::string small = h.submit(needs("budget", 1) + R"(,"timeout":{"attemptDurationSeconds":60})");
  EXPECT_EQ(h.status(small), "RUNNABLE");
  EXPECT_EQ(in_use("budget"), 0);
  h.exit(h.started[0].job_id, 0);
  EXPECT_EQ(h.status(large), "STARTING");
}

TEST_F(Consumables, OneIsNotNamedTwice) {
  // Breaks when a job that names a licence by name and by ARN takes two where there is one.
  std::string arn = "arn:aws:batch:us-east-1:123456789012:consumable-resource/licence";
  EXPECT_EQ(h.refused(ApiOperation::kSubmitJob,
                      R"({"jobName":"j","jobQueue":"q","jobDefinition":"d",
      "consumableResourcePropertiesOverride":{"consumableResourceList":[
        {"consumableResource":"licence","quantity":2},{"consumableResource":")" +
                          arn + R"(","quantity":2}]}})"),
            "Cannot have duplicate consumableResource in consumableResourceProperties");
}

}  // namespace
}  // namespace millrace::engine
