// Jobs on deck: placed behind a running one while attempts are short.
#include <gtest/gtest.h>

#include "tests/engine/harness.h"

namespace millrace::engine {
namespace {

struct Deck : ::testing::Test {
  Harness h{1};
  std::string front, next;

  // One job runs, the next is on deck behind it.
  void SetUp() override {
    h.basics();
    for (int i = 0; i < 100; ++i) {  // short ones, until the engine believes it
      std::string id = h.submit();
      h.run(id);
      h.exit(id, 0);
    }
    front = h.submit();
    h.run(front);
    h.started.clear();
    next = h.submit();
    ASSERT_EQ(h.started.size(), 1u);
    ASSERT_EQ(h.started[0].after, h.token(front));
    ASSERT_EQ(h.status(next), "STARTING");
  }
};

TEST_F(Deck, TheRoomGoesFromOneToTheNext) {
  // Breaks when the follower counts twice, or the room of the one in front is lost.
  h.exit(front, 0);
  h.run(next);
  EXPECT_EQ(h.status(next), "RUNNING");
  h.exit(next, 0);
  EXPECT_EQ(h.status(next), "SUCCEEDED");
  std::string last = h.submit();
  EXPECT_EQ(h.started.back().after, 0u);
  EXPECT_EQ(h.status(last), "STARTING");
}

TEST_F(Deck, WhoWaitsTooLongGoesBackToTheQueue) {
  // Breaks when a job hangs behind a long one although another place is free, or loses an attempt by waiting.
  h.now += 100;
  h.apply(Tick{});
  ASSERT_EQ(h.revoked.size(), 1u);
  AttemptFinished report;
  report.token = h.token(next);
  report.revoked = true;
  h.apply(report);
  EXPECT_EQ(h.status(next), "RUNNABLE");
  EXPECT_TRUE(h.job(next).at("attempts").as_array().empty());
  h.exit(front, 0);
  EXPECT_EQ(h.status(next), "STARTING");
}

TEST_F(Deck, OneThatHasBegunDoesNotTimeOut) {
  // Breaks when the time on deck is taken for the job's own: its start may be known before the end in front.
  h.run(next);
  h.now += 60'000;
  h.apply(Tick{});
  EXPECT_TRUE(h.stopped.empty());
  h.exit(front, 0);
  h.exit(next, 0);
  EXPECT_EQ(h.status(next), "SUCCEEDED");
}

TEST_F(Deck, TheLineClosesWhenOneLeavesIt) {
  // Breaks when the job behind one that was terminated on deck begins beside the one in front.
  std::string third = h.submit();
  EXPECT_EQ(h.started.back().after, h.token(next));
  h.ok(ApiOperation::kTerminateJob, R"({"jobId":")" + next + R"(","reason":"no"})");
  AttemptFinished report;
  report.token = h.token(next);
  report.reason = "CannotStartContainerError: stopped before it was started";
  h.apply(report);
  EXPECT_EQ(h.status(next), "FAILED");
  EXPECT_EQ(h.engine.find_job(*h.engine.ids().from_uuid(third))->current->after, h.token(front));
  h.exit(front, 0);
  h.run(third);
  h.exit(third, 0);
  EXPECT_EQ(h.status(third), "SUCCEEDED");
}

}  // namespace
}  // namespace millrace::engine
