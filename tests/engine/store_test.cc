#include "engine/store.h"

#include "aws/api_error.h"
#include "base/error.h"
#include "engine/queries.h"
#include "tests/engine/harness.h"
#include "tests/support/temporary_folder.h"

namespace millrace::engine {
namespace {

// A harness whose every change is committed, as the driver does.
class Durable {
 public:
  explicit Durable(const std::string& path) : store(path) {}
  void commit() {
    store.commit(h.engine.take_changes(), h.engine);
    h.engine.forget_finished();
  }
  Harness h{2};
  Store store;
};

json::object first_job(const json::object& answer) { return answer.at("jobs").as_array().at(0).as_object(); }

TEST(Store, ARestartedEngineKnowsEverything) {
  // What a response acknowledged must be there after kill -9, in the same words.
  millrace::testing::TemporaryFolder folder;
  std::string path = folder / "state.db", done, running, waiting;
  json::object before_running, before_done, before_waiting;
  std::vector<uint64_t> believed;
  {
    Durable d(path);
    d.h.basics();
    done = d.h.submit(R"(,"retryStrategy":{"attempts":2},"tags":{"a":"b"})");
    d.h.run(done);
    d.h.exit(done, 7, "why");
    d.h.run(done);
    d.h.exit(done, 0);
    running = d.h.submit(R"(,"timeout":{"attemptDurationSeconds":100})");
    d.h.run(running);
    d.h.submit(R"(,"containerOverrides":{"resourceRequirements":[{"type":"VCPU","value":"1"}]})");
    waiting = d.h.submit();
    d.commit();
    auto describe_one = [&](const std::string& id) {
      return first_job(describe_jobs({{"jobs", json::array{id}}}, d.h.engine, d.store));
    };
    before_done = describe_one(done);
    before_running = describe_one(running);
    before_waiting = describe_one(waiting);
    believed = d.h.engine.believed_attempts();
  }
  Store store(path);
  Config config = Harness::config();
  config.id_seed = "0123456789abcdef";
  Engine engine(config);
  store.load(engine);
  auto describe_one = [&](const std::string& id) {
    return first_job(describe_jobs({{"jobs", json::array{id}}}, engine, store));
  };
  EXPECT_EQ(describe_one(done), before_done);
  EXPECT_EQ(describe_one(running), before_running);
  EXPECT_EQ(engine.next_deadline(), 1'700'000'000'000 + 100'000) << "the timeout goes on counting";
  std::vector<uint64_t> after = engine.believed_attempts();
  std::sort(after.begin(), after.end());
  std::sort(believed.begin(), believed.end());
  EXPECT_EQ(after, believed);
  engine.apply(HostUp{"i-0123456789abcdef0", 2000, 8192, 0}, 0);
  EXPECT_EQ(describe_one(waiting), before_waiting);
  // Numbers go on where they were.
  Outcome outcome =
      engine.apply(ApiCommand{ApiOperation::kSubmitJob,
                              object(R"({"jobName":"j","jobQueue":"q","jobDefinition":"d"})"), ""},
                   1'700'000'000'001);
  std::string id(base::find_string(std::get<json::object>(outcome.reply), "jobId").value());
  for (const std::string& old : {done, running, waiting}) EXPECT_NE(id, old);
}

TEST(Store, RefusesAFileOfANewerVersion) {
  millrace::testing::TemporaryFolder folder;
  std::string path = folder / "state.db";
  {
    Store store(path);
  }
  sql::open_sqlite(path)->execute("PRAGMA user_version = 999");
  try {
    Store store(path);
    FAIL() << "opened";
  } catch (const base::ConflictError& error) {
    EXPECT_NE(std::string(error.what()).find("newer version"), std::string::npos);
  }
}

TEST(Store, ListsPageByPageWithoutLossOrRepeat) {
  // Terraform and dashboards walk pages; live and finished jobs come from two places and must merge
  // seamlessly.
  millrace::testing::TemporaryFolder folder;
  Durable d(folder / "state.db");
  d.h.basics();
  std::vector<std::string> all;
  for (int i = 0; i < 25; ++i) {
    all.push_back(d.h.submit("", "q", "job-" + std::to_string(i % 3)));
    if (i % 4 == 0 && d.h.status(all.back()) == "STARTING") {
      d.h.run(all.back());
      d.h.exit(all.back(), i % 8 == 0 ? 0 : 1);
    }
    d.commit();
  }
  std::vector<std::string> listed;
  std::string token;
  do {
    json::object input =
        object(R"({"jobQueue":"q","maxResults":4,"filters":[{"name":"JOB_NAME","values":["JOB-*"]}]})");
    if (!token.empty()) input["nextToken"] = token;
    json::object page = list_jobs(input, d.h.engine, d.store);
    for (const json::value& job : page.at("jobSummaryList").as_array())
      listed.emplace_back(base::find_string(job.as_object(), "jobId").value());
    EXPECT_LE(page.at("jobSummaryList").as_array().size(), 4u);
    token = base::find_string(page, "nextToken").value_or("");
  } while (!token.empty());
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(listed, all) << "newest first, each once";
  // Without status and filter only RUNNING jobs are listed.
  EXPECT_TRUE(
      list_jobs(object(R"({"jobQueue":"q"})"), d.h.engine, d.store).at("jobSummaryList").as_array().empty());
  EXPECT_THROW(list_jobs(object(R"({"jobQueue":"q","nextToken":"!"})"), d.h.engine, d.store), aws::ApiError);
  EXPECT_THROW(list_jobs(object(R"({})"), d.h.engine, d.store), aws::ApiError);
}

}  // namespace
}  // namespace millrace::engine
