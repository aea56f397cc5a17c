// Who may pass a job that waits for room.
#include <gtest/gtest.h>

#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

std::string sized(int vcpus, int timeout_s = 0, int memory_mib = 128) {
  std::string out = R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":")" +
                    std::to_string(vcpus) + R"("},{"type":"MEMORY","value":")" + std::to_string(memory_mib) +
                    "\"}]}";
  if (timeout_s > 0) out += R"(,"timeout":{"attemptDurationSeconds":)" + std::to_string(timeout_s) + "}";
  return out;
}

struct Backfill : ::testing::Test {
  Harness h{4};
  void SetUp() override { h.basics(); }
};

TEST_F(Backfill, NobodyPassesOneWhoseTurnIsNotKnown) {
  // Breaks when a stream of small jobs keeps a large one waiting for ever.
  std::string runs = h.submit(sized(3)), large = h.submit(sized(4)), small = h.submit(sized(1, 60));
  h.run(runs);
  EXPECT_EQ(h.status(small), "RUNNABLE");
  EXPECT_NE(h.reason(small).find("Waits behind 1 job of q. The first, " + large), std::string::npos)
      << h.reason(small);
  h.exit(runs, 0);
  EXPECT_EQ(h.status(large), "STARTING");
}

TEST_F(Backfill, WhoEndsInTimePasses) {
  // Breaks when room stays empty although timeouts prove that using it delays nobody.
  std::string runs = h.submit(sized(3, 600)), large = h.submit(sized(4));
  h.run(runs);
  std::string without = h.submit(sized(1)), too_long = h.submit(sized(1, 601)),
              short_one = h.submit(sized(1, 60));
  EXPECT_EQ(h.status(large), "RUNNABLE");
  EXPECT_EQ(h.status(without), "RUNNABLE");
  EXPECT_EQ(h.status(too_long), "RUNNABLE") << "it would end with the one that is waited for, or later";
  EXPECT_EQ(h.status(short_one), "STARTING");
}

TEST_F(Backfill, WhoLeavesRoomEnoughPasses) {
  // Breaks when a job that fits beside the one that waits, at the time when that will start, waits with it.
  std::string a = h.submit(sized(2, 100)), b = h.submit(sized(1, 1000)), large = h.submit(sized(2));
  h.run(a);
  h.run(b);
  std::string beside = h.submit(sized(1)), not_beside = h.submit(sized(1));
  EXPECT_EQ(h.status(large), "RUNNABLE");
  EXPECT_EQ(h.status(beside), "STARTING") << "when a ends there are 3 vCPUs, one too many for the large job";
  EXPECT_EQ(h.status(not_beside), "RUNNABLE");
  h.exit(a, 0);
  EXPECT_EQ(h.status(large), "STARTING");
}

TEST_F(Backfill, AQueueOfLowerPriorityPassesOnlyLikeAnyOther) {
  // Breaks when a low queue takes the room that the high one's first job waits for.
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("low", 0, "ce"));
  std::string runs = h.submit(sized(3)), large = h.submit(sized(4)), low = h.submit(sized(1), "low");
  EXPECT_EQ(h.status(low), "RUNNABLE");
  EXPECT_NE(h.reason(low).find("which are free, but a job that stands before it is waiting"),
            std::string::npos)
      << h.reason(low);
  h.exit(runs, 0);
  EXPECT_EQ(h.status(large), "STARTING");
}

TEST_F(Backfill, WhatWaitsForAnotherEnvironmentIsNotInTheWay) {
  // Breaks when an environment that is full stops queues that do not use it.
  h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("one", 1));
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("narrow", 9, "one"));
  h.submit(sized(1), "narrow");
  std::string waits = h.submit(sized(1), "narrow"), other = h.submit(sized(1));
  EXPECT_EQ(h.status(waits), "RUNNABLE");
  EXPECT_EQ(h.status(other), "STARTING");
}

TEST_F(Backfill, OneLargerThanTheHostGetsTheHostAlone) {
  // Breaks when a job that asks for more than there is starves behind small ones, or gets company.
  std::string runs = h.submit(sized(1)), huge = h.submit(sized(16)), small = h.submit(sized(1, 60));
  EXPECT_EQ(h.status(small), "RUNNABLE");
  h.exit(runs, 0);
  EXPECT_EQ(h.status(huge), "STARTING");
  EXPECT_EQ(h.status(small), "RUNNABLE");
  h.exit(huge, 0);
  EXPECT_EQ(h.status(small), "STARTING");
}

TEST_F(Backfill, ChildrenOfAnArrayPassToo) {
  // Breaks when the array's place in line is lost, or one child is started twice.
  std::string runs = h.submit(sized(3, 600)), large = h.submit(sized(4));
  h.run(runs);
  std::string array = h.submit(sized(1, 60) + R"(,"arrayProperties":{"size":3})");
  EXPECT_EQ(h.status(array + ":0"), "STARTING");
  h.exit(runs, 0);
  EXPECT_EQ(h.status(large), "RUNNABLE") << "the child still runs";
  EXPECT_EQ(h.started.size(), 4u) << "there was room for two more that end in time";
}

}  // namespace
}  // namespace millrace::engine
