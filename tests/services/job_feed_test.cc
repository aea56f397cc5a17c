#include "services/job_feed.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

// A listener that is killed before it told anybody.
class Deaf final : public engine::Performer {
 public:
  void perform(std::vector<engine::Effect>) override {}
  bool wants_notices() override { return true; }
};

class Nowhere final : public events::Outlet {
 public:
  void send(const events::Delivery&, const std::string&, bool, Done) override {}
};

// Without this: a job that ended while the engine was killed starts nothing, or starts it twice.
TEST(JobFeed, TellsAfterACrashWhatWasNotTold) {
  millrace::testing::TemporaryFolder folder;
  base::SystemClock clock;
  Nowhere nowhere;
  Deaf deaf;
  std::set<std::string> jobs;
  {
    engine::Store store(folder / "state.db");
    engine::Driver driver(engine::Harness::config(), store, clock);
    driver.start(deaf);
    auto call = [&](engine::ApiOperation operation, const std::string& input) {
      std::promise<void> done;
      driver.post(
          {operation, base::parse_json(input).as_object(), "11111111-2222-4333-8444-555555555555", ""},
          [&](std::variant<base::json::object, engine::Refusal> reply) {
            if (auto* answer = std::get_if<base::json::object>(&reply))
              if (auto id = base::find_string(*answer, "jobId")) jobs.emplace(*id);
            done.set_value();
          });
      done.get_future().get();
    };
    call(engine::ApiOperation::kCreateComputeEnvironment, engine::Harness::environment("ce", 16));
    call(engine::ApiOperation::kCreateJobQueue, engine::Harness::queue("q", 1, "ce"));
    call(engine::ApiOperation::kRegisterJobDefinition, engine::Harness::definition("d"));
    for (int i = 0; i < 3; ++i)
      call(engine::ApiOperation::kSubmitJob, R"({"jobName":"j","jobQueue":"q","jobDefinition":"d"})");
  }
  ASSERT_EQ(jobs.size(), 3u);
  std::multiset<std::string> heard;
  for (int life = 0; life < 3; ++life) {
    engine::Store store(folder / "state.db");
    engine::Driver driver(engine::Harness::config(), store, clock);
    events::Hub hub({}, folder / "events.db", clock, nowhere);
    JobFeed feed(hub, driver);
    feed.catch_up(store);
    hub.start();
    std::promise<void> done;
    hub.read(
        [&](events::Registry&, events::EventStore&) {
          for (const events::EventRow& row : hub.recent(0, 1000)) {
            EXPECT_EQ(row.event.source, "aws.batch");
            const base::json::value event = base::parse_json(row.event.body);
            heard.insert(row.event.detail_type + " " +
                         std::string(base::view(event.at("detail").at("jobId").as_string())));
          }
          return base::json::object();
        },
        [&](base::json::object, std::exception_ptr) { done.set_value(); });
    done.get_future().get();
  }
  for (const std::string& job : jobs) EXPECT_EQ(heard.count("Batch Job State Change " + job), 1u) << job;
  for (const std::string& what : heard) EXPECT_EQ(heard.count(what), 1u) << what;
}

}  // namespace
}  // namespace millrace::services
