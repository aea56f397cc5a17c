#include "engine/driver.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <set>

#include "engine/queries.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

// Keeps effects, and checks that their records are durable when they arrive.
class Recorder final : public Performer {
 public:
  void perform(std::vector<Effect> effects) override {
    std::lock_guard lock(mutex);
    for (Effect& effect : effects)
      if (auto* start = std::get_if<StartAttempt>(&effect)) {
        started.push_back(*start);
      } else if (auto* notice = std::get_if<JobNotice>(&effect)) {
        told.push_back(*notice);
      }
  }
  bool wants_notices() override { return wants; }
  std::atomic<bool> wants = false;
  std::mutex mutex;
  std::vector<StartAttempt> started;
  std::vector<JobNotice> told;
};

class SetClock final : public base::Clock {
 public:
  TimeMs now_ms() const override { return now_; }
  void advance(TimeMs by) { now_ += by; }

 private:
  std::atomic<TimeMs> now_ = 1'700'000'000'000;
};

class DriverTest : public ::testing::Test {
 protected:
  void open() {
    store = std::make_unique<Store>(folder / "state.db");
    driver = std::make_unique<Driver>(Harness::config(), *store, clock);
    driver->start(recorder);
    driver->report(HostUp{"i-0123456789abcdef0", 1000, 1024, 0});
  }
  void close() {
    driver.reset();
    store.reset();
  }
  std::variant<json::object, Refusal> call(ApiOperation operation, const std::string& input) {
    std::promise<std::variant<json::object, Refusal>> promise;
    driver->post({operation, object(input), "11111111-2222-4333-8444-555555555555"},
                 [&](auto reply) { promise.set_value(std::move(reply)); });
    return promise.get_future().get();
  }
  void basics() {
    call(ApiOperation::kCreateComputeEnvironment, Harness::environment("ce", 16));
    call(ApiOperation::kCreateJobQueue, Harness::queue("q", 1, "ce"));
    call(ApiOperation::kRegisterJobDefinition, Harness::definition("d"));
  }
  std::string status(const std::string& id) {
    std::promise<std::string> promise;
    driver->read(
        [&](const Engine& engine, Store& s) {
          json::object answer = describe_jobs({{"jobs", json::array{id}}}, engine, s);
          const json::array& jobs = answer.at("jobs").as_array();
          promise.set_value(
              jobs.empty() ? "none" : std::string(base::find_string(jobs[0].as_object(), "status").value()));
        },
        [](Refusal) {});
    return promise.get_future().get();
  }

  millrace::testing::TemporaryFolder folder;
  SetClock clock;
  Recorder recorder;
  std::unique_ptr<Store> store;
  std::unique_ptr<Driver> driver;
};

constexpr char kSubmit[] = R"({"jobName":"j","jobQueue":"q","jobDefinition":"d"})";

// Without this: a delivery that was made just before a crash is made again after it, as a second job.
TEST_F(DriverTest, TheSameTokenMakesOneJob) {
  open();
  basics();
  auto submit = [&](const std::string& token, const std::string& name) {
    std::promise<std::variant<json::object, Refusal>> promise;
    json::object input{{"jobName", name}, {"jobQueue", "q"}, {"jobDefinition", "d"}};
    driver->post({ApiOperation::kSubmitJob, std::move(input), "", token},
                 [&](auto reply) { promise.set_value(std::move(reply)); });
    return promise.get_future().get();
  };
  const auto first = std::get<json::object>(submit("a", "one"));
  EXPECT_EQ(std::get<json::object>(submit("a", "two")), first);
  EXPECT_NE(std::get<json::object>(submit("b", "one")), first);
  EXPECT_TRUE(std::holds_alternative<Refusal>(submit("c", "not a name")));
  EXPECT_EQ(std::get<json::object>(submit("c", "name")).at("jobName"), "name")
      << "a refusal uses no token up";
  // Two of them in one group.
  std::vector<std::promise<std::variant<json::object, Refusal>>> replies(50);
  for (auto& reply : replies)
    driver->post({ApiOperation::kSubmitJob, object(kSubmit), "", "d"},
                 [&reply](auto answer) { reply.set_value(std::move(answer)); });
  std::set<std::string> ids;
  for (auto& reply : replies) ids.insert(json::serialize(std::get<json::object>(reply.get_future().get())));
  EXPECT_EQ(ids.size(), 1u);
  close();
  open();
  EXPECT_EQ(std::get<json::object>(submit("a", "three")), first) << "after a restart";
}

// Without this: what a job told in the moment of a crash is never heard, or all of it is heard again.
TEST_F(DriverTest, NoticesAreKeptUntilTheyAreHeard) {
  open();
  basics();
  recorder.wants = true;
  call(ApiOperation::kSubmitJob, kSubmit);
  call(ApiOperation::kSubmitJob, kSubmit);
  close();  // nobody said that it was heard
  ASSERT_GE(recorder.told.size(), 2u);
  std::vector<int64_t> numbers;
  for (const JobNotice& notice : recorder.told) numbers.push_back(notice.seq);
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  store = std::make_unique<Store>(folder / "state.db");
  auto kept = [&](int64_t after) {
    std::vector<int64_t> found;
    for (const JobNotice& notice : store->notices_after(after, 1000)) found.push_back(notice.seq);
    return found;
  };
  EXPECT_EQ(kept(0), numbers);
  EXPECT_EQ(kept(numbers[0]), std::vector<int64_t>(numbers.begin() + 1, numbers.end()));
  const JobNotice notice = store->notices_after(0, 1).at(0);
  EXPECT_EQ(notice.detail, recorder.told[0].detail);
  EXPECT_EQ(notice.resources, recorder.told[0].resources);
  store.reset();

  open();
  driver->notices_heard(numbers.back());
  recorder.wants = false;
  call(ApiOperation::kSubmitJob, kSubmit);  // any commit
  close();
  store = std::make_unique<Store>(folder / "state.db");
  EXPECT_EQ(kept(0), std::vector<int64_t>());
  EXPECT_EQ(store->last_notice(), numbers.back()) << "numbers of what is gone are not used again";
}

TEST_F(DriverTest, RepliesComeAfterTheCommitAndSurviveRestarts) {
  open();
  basics();
  auto reply = call(ApiOperation::kSubmitJob, kSubmit);
  std::string id(base::find_string(std::get<json::object>(reply), "jobId").value());
  EXPECT_EQ(status(id), "STARTING");
  uint64_t token = recorder.started.at(0).token;
  close();
  open();
  EXPECT_EQ(status(id), "STARTING");
  AttemptFinished finished;
  finished.token = token;
  finished.started = true;
  finished.exit_code = 0;
  driver->report(finished);
  EXPECT_EQ(status(id), "SUCCEEDED");
  driver->report(finished);
  EXPECT_EQ(status(id), "SUCCEEDED") << "a repeated outcome is acknowledged and changes nothing";
}

TEST_F(DriverTest, FinishedJobsCanBeTaggedAndStayFinished) {
  // Finished jobs leave memory: without the way back, tagging one says that it does not exist.
  open();
  basics();
  auto reply = call(ApiOperation::kSubmitJob, kSubmit);
  std::string id(base::find_string(std::get<json::object>(reply), "jobId").value());
  EXPECT_EQ(status(id), "STARTING");
  AttemptFinished finished;
  finished.token = recorder.started.at(0).token;
  finished.started = true;
  finished.exit_code = 0;
  driver->report(finished);
  EXPECT_EQ(status(id), "SUCCEEDED");
  std::string resource = R"({"resourceArn":"arn:aws:batch:us-east-1:123456789012:job/)" + id + R"(")";
  call(ApiOperation::kTagResource, resource + R"(,"tags":{"a":"1","b":"2"}})");
  call(ApiOperation::kUntagResource, resource + R"(,"tagKeys":["a"]})");
  close();
  open();
  EXPECT_EQ(status(id), "SUCCEEDED");
  std::promise<json::object> tags;
  driver->read([&](const Engine& engine,
                   Store& s) { tags.set_value(list_tags_for_resource(object(resource + "}"), engine, s)); },
               [](Refusal) {});
  EXPECT_EQ(json::serialize(tags.get_future().get()), R"({"tags":{"b":"2"}})");
}

TEST_F(DriverTest, FinishedJobsGoAfterSevenDaysAndNoSooner) {
  // Breaks when the history grows for ever, or goes early, or takes live jobs with it.
  open();
  basics();
  auto submit = [&](const std::string& extra) {
    auto reply =
        call(ApiOperation::kSubmitJob, R"({"jobName":"j","jobQueue":"q","jobDefinition":"d")" + extra + "}");
    return std::string(base::find_string(std::get<json::object>(reply), "jobId").value());
  };
  auto cancel = [&](const std::string& id) {
    call(ApiOperation::kTerminateJob, R"({"jobId":")" + id + R"(","reason":"r"})");
  };
  std::string runs = submit(""), early = submit(""), parent = submit(R"(,"arrayProperties":{"size":3})"),
              waits = submit("");
  cancel(parent + ":1");
  cancel(early);
  clock.advance(TimeMs{3} * 24 * 3600 * 1000);
  cancel(parent);
  std::string late = submit("");
  cancel(late);
  clock.advance(TimeMs{4} * 24 * 3600 * 1000 + 60'000);
  call(ApiOperation::kCancelJob, R"({"jobId":"x","reason":"r"})");
  EXPECT_EQ(status(early), "none");
  EXPECT_EQ(status(parent), "FAILED");
  EXPECT_EQ(status(late), "FAILED");
  clock.advance(TimeMs{3} * 24 * 3600 * 1000);
  call(ApiOperation::kCancelJob, R"({"jobId":"x","reason":"r"})");
  for (const std::string& id : {parent, parent + ":1", late}) EXPECT_EQ(status(id), "none") << id;
  EXPECT_EQ(status(runs), "STARTING");
  EXPECT_EQ(status(waits), "RUNNABLE");
  close();
  open();
  EXPECT_EQ(status(waits), "RUNNABLE");
}

TEST_F(DriverTest, ManyThreadsShareCommitsAndLoseNothing) {
  open();
  basics();
  std::vector<std::thread> threads;
  std::atomic<int> accepted = 0;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        if (std::holds_alternative<json::object>(call(ApiOperation::kSubmitJob, kSubmit))) ++accepted;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, 1600);
  close();
  store = std::make_unique<Store>(folder / "state.db");
  Engine engine(Harness::config());
  store->load(engine);
  EXPECT_EQ(engine.counters().first, 1600u);
}

}  // namespace
}  // namespace millrace::engine
