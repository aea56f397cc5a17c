// Scheduling policies and shares: who goes next, what is kept, what survives a restart.
#include <gtest/gtest.h>

#include <map>

#include "engine/queries.h"
#include "engine/snapshot.h"
#include "engine/store.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

constexpr auto kCreatePolicy = ApiOperation::kCreateSchedulingPolicy;

std::string policy(const std::string& fairshare) {
  return R"({"name":"p","fairsharePolicy":)" + fairshare + "}";
}

struct FairShare : ::testing::Test {
  Harness h{4};

  void with_policy(const std::string& fairshare, int max_vcpus = 256) {
    h.ok(kCreatePolicy, policy(fairshare));
    h.ok(ApiOperation::kCreateComputeEnvironment, Harness::environment("ce", max_vcpus));
    std::string queue = Harness::queue("q", 1, "ce");
    queue.pop_back();
    h.ok(ApiOperation::kCreateJobQueue,
         queue + R"(,"schedulingPolicyArn":"arn:aws:batch:us-east-1:123456789012:scheduling-policy/p"})");
    h.ok(ApiOperation::kRegisterJobDefinition, Harness::definition("d"));
  }
  std::string submit(const std::string& share, const std::string& extra = "") {
    return h.submit(R"(,"shareIdentifier":")" + share + "\"" + extra);
  }
  std::string share_of(const std::string& id) {
    return std::string(base::find_string(h.job(id), "shareIdentifier").value_or(""));
  }
  // Runs every started job for `length`, until `rounds` have ended; counts starts by share.
  std::map<std::string, int> run(int rounds, TimeMs length) {
    std::map<std::string, int> starts;
    size_t running = 0;
    auto run_all = [&] {
      for (; running < h.started.size(); ++running) h.run(h.started[running].job_id);
    };
    run_all();
    for (size_t next = 0; rounds > 0 && next < h.started.size(); --rounds, ++next) {
      std::string id = h.started[next].job_id;
      ++starts[share_of(id)];
      h.now += length / 4;  // four run at a time
      h.exit(id, 0);
      run_all();
    }
    return starts;
  }
};

TEST_F(FairShare, SharesConvergeToTheInverseOfTheirWeights) {
  // Breaks when whoever submits most, or first, gets most.
  with_policy(
      R"({"shareDecaySeconds":3600,"shareDistribution":[{"shareIdentifier":"heavy","weightFactor":0.25}]})");
  for (int i = 0; i < 400; ++i) submit("light");
  for (int i = 0; i < 400; ++i) submit("heavy");
  auto starts = run(300, 20'000);
  double ratio = static_cast<double>(starts["heavy"]) / starts["light"];
  EXPECT_NEAR(ratio, 4, 0.4) << starts["heavy"] << " of heavy, " << starts["light"] << " of light";
}

TEST_F(FairShare, ALargeJobCountsByItsVcpuSeconds) {
  // Breaks when jobs are counted instead of what they use.
  with_policy(R"({"shareDecaySeconds":3600})");
  for (int i = 0; i < 300; ++i) {
    submit("wide", R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":"2"}]})");
    submit("narrow");
    submit("narrow");
  }
  auto starts = run(300, 20'000);
  EXPECT_NEAR(static_cast<double>(starts["narrow"]) / starts["wide"], 2, 0.3);
}

TEST_F(FairShare, APrefixIsSharedByThoseWhoMatchIt) {
  // Breaks when each of many users below one prefix gets as much as a share of its own.
  with_policy(
      R"({"shareDecaySeconds":3600,"shareDistribution":[{"shareIdentifier":"team-*","weightFactor":1}]})");
  for (int i = 0; i < 300; ++i)
    for (const char* share : {"team-a", "team-b", "other"}) submit(share);
  auto starts = run(300, 20'000);
  int team = starts["team-a"] + starts["team-b"];
  EXPECT_NEAR(static_cast<double>(starts["other"]) / team, 1, 0.15);
}

TEST_F(FairShare, OldUsageFades) {
  // Breaks when a share pays for ever for what it used long ago.
  with_policy(R"({"shareDecaySeconds":600})");
  for (int i = 0; i < 100; ++i) submit("early");
  run(100, 40'000);
  for (int i = 0; i < 200; ++i) submit("early");
  for (int i = 0; i < 200; ++i) submit("late");
  h.started.erase(h.started.begin(), h.started.begin() + 100);
  h.now += 3'600'000;  // six windows
  auto starts = run(200, 20'000);
  EXPECT_NEAR(starts["early"], 100, 15);
}

TEST_F(FairShare, InsideAShareThePriorityDecides) {
  // Breaks when schedulingPriority is kept and not used.
  with_policy("{}");
  for (int i = 0; i < 4; ++i) submit("s");
  std::string low = submit("s"), high = submit("s", R"(,"schedulingPriorityOverride":9)");
  std::string array = submit("s", R"(,"schedulingPriorityOverride":5,"arrayProperties":{"size":2})");
  h.exit(h.started[0].job_id, 0);
  EXPECT_EQ(h.started[4].job_id, high);
  h.exit(h.started[1].job_id, 0);
  EXPECT_EQ(h.started[5].job_id, array + ":0");
  h.exit(h.started[2].job_id, 0);
  h.exit(h.started[3].job_id, 0);
  EXPECT_EQ(h.started[7].job_id, low);
  EXPECT_EQ(h.job(high).at("schedulingPriority").as_int64(), 9);
}

TEST_F(FairShare, AReservationKeepsRoomForSharesToCome) {
  // Breaks when the first share takes everything although the policy keeps room for others, or when the room
  // stays empty once they are there.
  with_policy(R"({"computeReservation":50})");
  for (int i = 0; i < 4; ++i) submit("a");
  EXPECT_EQ(h.started.size(), 2u);  // 50 % of 4 vCPUs
  std::string waits = submit("a");
  EXPECT_NE(h.reason(h.job(waits).at("jobId").as_string().c_str()).find("share a of q"), std::string::npos);
  submit("b");
  EXPECT_EQ(h.started.size(), 3u);  // 25 % is kept
  EXPECT_EQ(share_of(h.started[2].job_id), "b");
}

TEST_F(FairShare, ShareIdentifiersAreChecked) {
  // Breaks when a job without a share, or with one where there is no policy, waits for ever or unfairly.
  with_policy("{}");
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("fifo", 1, "ce"));
  auto refused = [&](const std::string& queue, const std::string& extra) {
    return h.refused(ApiOperation::kSubmitJob,
                     R"({"jobName":"j","jobDefinition":"d","jobQueue":")" + queue + "\"" + extra + "}");
  };
  EXPECT_EQ(refused("q", ""), "shareIdentifier is required: job queue q has a fair share scheduling policy.");
  EXPECT_EQ(refused("q", R"(,"shareIdentifier":"a b")"),
            "ShareIdentifier name should match a valid pattern.");
  EXPECT_EQ(refused("q", R"(,"shareIdentifier":"a","schedulingPriorityOverride":10000)"),
            "Scheduling priority must be between 0 and 9999.");
  const std::string only =
      "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share "
      "scheduling policy.";
  EXPECT_EQ(refused("fifo", R"(,"shareIdentifier":"a")"), only);
  EXPECT_EQ(refused("fifo", R"(,"schedulingPriorityOverride":1)"), only);
  for (int i = 0; i < 500; ++i) submit("s" + std::to_string(i));
  EXPECT_EQ(refused("q", R"(,"shareIdentifier":"one-more")"),
            "Job queue q has 500 active share identifiers, and that is the limit.");
  submit("s7");
}

TEST_F(FairShare, PoliciesAreChecked) {
  // Breaks when a policy means something else than AWS would take it for.
  auto with = [](const std::string& entries) { return policy(R"({"shareDistribution":[)" + entries + "]}"); };
  auto entry = [](const std::string& id, const std::string& weight = "1") {
    return R"({"shareIdentifier":")" + id + R"(","weightFactor":)" + weight + "}";
  };
  EXPECT_EQ(h.refused(kCreatePolicy, R"({"name":"a b"})"),
            "Scheduling policy name should match a valid pattern.");
  EXPECT_EQ(h.refused(kCreatePolicy, R"({"name":"p","fairsharePolicy":{},"quotaSharePolicy":{}})"),
            "A scheduling policy can have either fairsharePolicy or quotaSharePolicy");
  EXPECT_EQ(h.refused(kCreatePolicy, R"({"name":"p","quotaSharePolicy":{}})"),
            "Quota Management feature is only supported for SageMaker Training job queues.");
  EXPECT_EQ(h.refused(kCreatePolicy, with(entry("a", "1000"))),
            "Weight factor should be between 0.0001 and 999.9999.");
  EXPECT_EQ(h.refused(kCreatePolicy, with(entry("a") + "," + entry("b") + "," + entry("a"))),
            "Cannot have two or more identical shareIdentifiers.");
  EXPECT_EQ(h.refused(kCreatePolicy, with(entry("ab") + "," + entry("c") + "," + entry("a*"))),
            "Share identifier ab matches another share identifier a*");
  EXPECT_EQ(h.refused(kCreatePolicy, with(entry("a*") + "," + entry("a*"))),
            "Cannot have two or more identical shareIdentifiers.");
  std::string many = entry("s0");
  for (int i = 1; i <= 500; ++i) many += "," + entry("s" + std::to_string(i));
  EXPECT_EQ(h.refused(kCreatePolicy, with(many)), "ShareDistribution size cannot be greater than 500.");
  h.ok(kCreatePolicy, with(entry("a") + "," + entry("ab") + "," + entry("b*", "0.0001")));
  EXPECT_EQ(h.refused(kCreatePolicy, policy("{}")), "Object already exists");
}

TEST_F(FairShare, APolicyIsSwappedButNeverGainedOrDropped) {
  // Breaks when a queue changes its kind under jobs that wait in it.
  const std::string arn = "arn:aws:batch:us-east-1:123456789012:scheduling-policy/";
  with_policy("{}");
  h.ok(ApiOperation::kCreateJobQueue, Harness::queue("fifo", 1, "ce"));
  EXPECT_EQ(
      h.refused(ApiOperation::kUpdateJobQueue,
                R"({"jobQueue":"fifo","schedulingPolicyArn":")" + arn + "p\"}"),
      "Job queue fifo was created without a scheduling policy and can not have one; create another queue.");
  EXPECT_EQ(
      h.refused(ApiOperation::kUpdateJobQueue, R"({"jobQueue":"q","schedulingPolicyArn":")" + arn + "x\"}"),
      "SchedulingPolicy " + arn + "x not found.");
  EXPECT_EQ(h.refused(ApiOperation::kDeleteSchedulingPolicy, R"({"arn":")" + arn + "p\"}"),
            "Cannot delete, found existing JobQueue relationship");
  h.ok(kCreatePolicy, R"({"name":"other"})");
  h.ok(ApiOperation::kUpdateJobQueue, R"({"jobQueue":"q","schedulingPolicyArn":")" + arn + "other\"}");
  h.ok(ApiOperation::kDeleteSchedulingPolicy, R"({"arn":")" + arn + "p\"}");
  json::object queues = describe_job_queues(object(R"({"jobQueues":["q"]})"), h.engine);
  EXPECT_EQ(queues.at("jobQueues").at(0).at("schedulingPolicyArn").as_string(), arn + "other");
}

TEST_F(FairShare, TheSnapshotShowsTheFrontAndTheShares) {
  // Breaks when the front of the queue is not what will start next.
  with_policy("{}");
  for (int i = 0; i < 3; ++i) submit("a");
  submit("b");
  std::string next_a = submit("a"), next_b = submit("b"),
              array = submit("c", R"(,"arrayProperties":{"size":200})");
  json::object shot = get_job_queue_snapshot(object(R"({"jobQueue":"q"})"), h.engine, h.now);
  const json::array& front = shot.at("frontOfQueue").at("jobs").as_array();
  ASSERT_EQ(front.size(), 100u);
  std::string first(base::view(front[0].at("jobArn").as_string()));
  EXPECT_TRUE(first.ends_with(array + ":0")) << first;
  const json::object& use = shot.at("queueUtilization").as_object();
  EXPECT_EQ(use.at("totalCapacityUsage").at(0).at("quantity").as_double(), 4);
  EXPECT_EQ(use.at("fairshareUtilization").at("activeShareCount").as_int64(), 3);
  EXPECT_EQ(
      use.at("fairshareUtilization").at("topCapacityUtilization").at(0).at("shareIdentifier").as_string(),
      "a");
}

TEST_F(FairShare, UsageSurvivesARestart) {
  // Breaks when a restart makes all shares equal again, forgets who waits where, or counts attempts under way
  // twice.
  millrace::testing::TemporaryFolder folder;
  with_policy(R"({"shareDecaySeconds":3600})");
  for (int i = 0; i < 20; ++i) submit("a");
  run(10, 40'000);
  std::string waits = submit("b", R"(,"schedulingPriorityOverride":3)");
  auto usage = [this](Engine& engine) {
    Line& line = engine.find_queue("q")->line;
    return line.usage(line.share("a"), h.now);
  };
  double before = usage(h.engine);
  EXPECT_GT(before, 100);
  {
    Store store(folder / "state.db");
    store.commit(h.engine.take_changes(), h.engine);
  }
  Store store(folder / "state.db");
  Engine engine(Harness::config());
  store.load(engine);
  engine.apply(HostUp{"i-0123456789abcdef0", 4000, 8192, 0}, h.now);
  EXPECT_NEAR(usage(engine), before, before * 0.001);
  const Job& job = *engine.find_job(*engine.job_seq(waits));
  EXPECT_EQ(job.share->identifier, "b");
  EXPECT_EQ(job.priority, 3);
}

TEST_F(FairShare, AClockThatIsSetBackChangesNoUsage) {
  // Breaks when usage fades with the time that has passed and less than none has: it grew without bounds.
  with_policy(R"({"shareDecaySeconds":600})");
  for (int i = 0; i < 20; ++i) submit("a");
  run(10, 40'000);
  auto usage = [this] {
    Line& line = h.engine.find_queue("q")->line;
    return line.usage(line.share("a"), h.now);
  };
  double before = usage();
  EXPECT_GT(before, 100);
  h.now -= 7'200'000;
  EXPECT_NEAR(usage(), before, 1);
  submit("b");
  h.now += 150'000;  // a quarter of the window: half of it has faded, and what runs was added
  EXPECT_LT(usage(), before / 2 + 4 * 150);
  for (size_t i = 10; i < 14; ++i) h.exit(h.started[i].job_id, 0);  // they began before it was set back
  EXPECT_GE(usage(), 0);
  EXPECT_LT(usage(), before + 4 * 160);
}

TEST_F(FairShare, AnotherWindowChangesNoUsage) {
  // Breaks when usage is taken for millions of times what it was after the decay of a policy has been
  // changed: who had used anything never got a turn again.
  with_policy(R"({"shareDecaySeconds":600})");
  for (int i = 0; i < 40; ++i) submit("a");
  run(10, 40'000);
  h.now += 3'600'000;
  for (size_t i = 10; i < 14; ++i) h.exit(h.started[i].job_id, 0);
  Line& line = h.engine.find_queue("q")->line;
  auto past = [&] { return line.past_usage(line.share("a"), h.now); };
  double before = past();
  EXPECT_GT(before, 100);
  for (int seconds : {604'800, 600, 3600}) {
    h.ok(ApiOperation::kUpdateSchedulingPolicy,
         R"({"arn":"arn:aws:batch:us-east-1:123456789012:scheduling-policy/p",
             "fairsharePolicy":{"shareDecaySeconds":)" +
             std::to_string(seconds) + "}}");
    EXPECT_NEAR(past(), before, before * 0.001) << seconds;
    EXPECT_NEAR(line.usage(line.share("a"), h.now), before, before * 0.001) << seconds;
  }
  h.now += 1'000;  // four attempts are under way
  EXPECT_NEAR(line.usage(line.share("a"), h.now), before + 4, 5);
  for (size_t i = 14; i < 18; ++i) h.exit(h.started[i].job_id, 0);
  EXPECT_NEAR(past(), before + 4, 5);
}

TEST_F(FairShare, AClockThatIsSetBackMakesNoAttemptShorterThanNothing) {
  // Breaks when the share with the most attempts under way seems to use least, because they seem to take less
  // than no time.
  with_policy("{}");
  std::string job = submit("a");
  h.run(job);
  h.now -= 7'200'000;
  h.exit(job, 0);
  EXPECT_GE(h.engine.mean_length_s(), 0);
}

TEST_F(FairShare, NothingIsReservedOfAnEnvironmentWithoutNumber) {
  // Breaks when a part is kept of an UNMANAGED environment of which nobody said how large it is.
  h.ok(
      ApiOperation::kCreateComputeEnvironment,
      R"({"computeEnvironmentName":"un","type":"UNMANAGED","serviceRole":"arn:aws:iam::123456789012:role/r"})");
  with_policy(R"({"computeReservation":50})");
  h.ok(ApiOperation::kUpdateJobQueue,
       R"({"jobQueue":"q","computeEnvironmentOrder":[{"order":1,"computeEnvironment":"un"}]})");
  for (int i = 0; i < 4; ++i) submit("a");
  EXPECT_EQ(h.started.size(), 4u);
}

TEST_F(FairShare, ListsNameTheShareOfWhatHasEndedToo) {
  // Breaks when a list of ended jobs that was asked for by share does not say whose they are.
  with_policy("{}");
  std::string job = submit("a");
  h.run(job);
  h.exit(job, 0);
  EXPECT_EQ(summarize(*h.engine.find_job(*h.engine.job_seq(job)), h.engine).at("shareIdentifier").as_string(),
            "a");
}

}  // namespace
}  // namespace millrace::engine
