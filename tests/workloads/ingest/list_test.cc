#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "base/error.h"
#include "tests/support/temporary_folder.h"
#include "workloads/ingest/outcome.h"
#include "workloads/ingest/preflight.h"
#include "workloads/ingest/repository_list.h"
#include "workloads/ingest/submit.h"
#include "workloads/result.h"

namespace millrace::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Row {
  Repository repository;
  uint64_t duplicate_of;
  std::string code;
};

std::vector<Row> read_rows(std::string_view text, size_t piece = 7) {
  std::vector<Row> rows;
  RepositoryListReader reader([&](Repository row, uint64_t duplicate_of, const RowProblem* problem) {
    rows.push_back({std::move(row), duplicate_of, problem ? problem->code : ""});
  });
  for (size_t at = 0; at < text.size(); at += piece) reader.feed(text.substr(at, piece));
  reader.finish();
  return rows;
}

// Without it, columns in another order, quotes, line breaks in fields, a mark at the beginning, CRLF or a
// missing end of the last line would change what is cloned, or lose the last repository.
TEST(RepositoryList, ReadsWhatPeopleWrite) {
  auto rows = read_rows(
      "\xef\xbb\xbfpath,Origin,team,cloneUrl,branch,changeset,org1,org2,alternateCloneUrl\r\n"
      "acme/one,github.com,\"a,b\nc\",https://h/one.git,main,,x,y,https://m/one.git\r\n"
      "\r\n"
      "acme/two,github.com,\"say \"\"hi\"\"\",https://h/two.git,,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
  ASSERT_EQ(rows.size(), 2u);
  const Repository& one = rows[0].repository;
  EXPECT_EQ(one.row, 1u);
  EXPECT_EQ(one.clone_url, "https://h/one.git");
  EXPECT_EQ(one.origin, "github.com");
  EXPECT_EQ(one.path, "acme/one");
  EXPECT_EQ(one.branch, "main");
  EXPECT_THAT(one.organizations, ElementsAre("x", "y"));
  EXPECT_THAT(one.alternate_clone_urls, ElementsAre("https://m/one.git"));
  EXPECT_EQ(one.columns[2], (std::pair<std::string, std::string>("team", "a,b\nc")));
  EXPECT_EQ(rows[1].repository.row, 2u);
  EXPECT_EQ(rows[1].repository.changeset, std::string(40, 'a'));
  EXPECT_EQ(rows[1].repository.columns[2].second, "say \"hi\"");
}

// Without it, a bad row would be dropped, or shift the numbers of those behind it, so that ranges miss rows.
TEST(RepositoryList, BadRowsKeepTheirNumbers) {
  auto rows = read_rows(
      "cloneUrl,origin,path\n"
      "https://h/a,o,a\n"
      "https://h/b,o\n"
      "https://h/c,o,c,extra\n"
      "https://h/d,o,d,,\n"
      "https://h/e,o,../../etc\n"
      "--upload-pack=x,o,f\n"
      "https://h/a,o,a\n"
      "https://h/other,o,a\n");
  std::vector<std::string> codes;
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].repository.row, i + 1);
    codes.push_back(rows[i].code);
  }
  EXPECT_THAT(codes, ElementsAre("", "missing-field", "bad-row", "", "bad-row", "bad-row", "", "duplicate"));
  EXPECT_EQ(rows[6].duplicate_of, 1u);
}

// Without it, a list without its columns, or an empty one, would be "done" with exit 0.
TEST(RepositoryList, AFileThatIsNoListIsRefused) {
  EXPECT_THROW(read_rows(""), base::CorruptError);
  EXPECT_THROW(read_rows("cloneUrl,origin\nhttps://h/a,o\n"), base::CorruptError);
  EXPECT_EQ(read_rows("cloneUrl,origin,path").size(), 0u);
  EXPECT_EQ(read_rows("cloneUrl,origin,path\nhttps://h/a,o,a").size(), 1u);
}

// Without it, some row would be in no partition or in two: the original's "chunk of 10" had 11 rows.
TEST(Partitions, EveryRowIsInExactlyOne) {
  EXPECT_THAT(partitions(25, 10), ElementsAre(Range{1, 10}, Range{11, 20}, Range{21, 25}));
  EXPECT_THAT(partitions(25, 11), ElementsAre(Range{1, 11}, Range{12, 22}, Range{23, 25}));
  EXPECT_THAT(partitions(1, 10), ElementsAre(Range{1, 1}));
  EXPECT_TRUE(partitions(0, 10).empty());
  EXPECT_EQ(partitions(5, UINT64_MAX).size(), 1u);
  EXPECT_THROW(partitions(5, 0), base::UsageError);
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int turn = 0; turn < 2000; ++turn) {
    uint64_t rows = random() % 5000, size = 1 + random() % 300, next = 1;
    for (const Range& range : partitions(rows, size)) {
      ASSERT_EQ(range.first, next);
      ASSERT_GE(range.last, range.first);
      ASSERT_LE(range.last - range.first + 1, size);
      next = range.last + 1;
    }
    ASSERT_EQ(next, rows + 1);
  }
}

// Plays Batch: keeps what is submitted.
struct FakeBatch {
  base::json::object operator()(const std::string& operation, const base::json::object& input) {
    if (operation == "listjobs") {
      base::json::array found;
      auto name = input.at("filters").at(0).at("values").at(0).as_string();
      for (const auto& job : jobs)
        if (job.at("jobName").as_string() == name)
          found.push_back(base::json::object{
              {"jobId", job.at("jobId")}, {"jobName", name}, {"status", job.at("status")}});
      return {{"jobSummaryList", found}};
    }
    if (fail_after-- == 0) throw base::TransientError("busy");
    base::json::object job = input;
    job["jobId"] = "job-" + std::to_string(jobs.size());
    job["status"] = "RUNNABLE";
    jobs.push_back(job);
    return {{"jobId", job["jobId"]}};
  }
  std::vector<base::json::object> jobs;
  int fail_after = 1'000'000;
};

class Submit : public ::testing::Test {
 protected:
  Submit() {
    options_.list = folder_ / "repos.csv";
    options_.store = folder_ / "store";
    options_.job_name = "nightly";
    options_.job_queue = "queue";
    options_.job_definition = "processor";
  }
  void write_list(int rows, const std::string& more = "") {
    std::ofstream file(options_.list);
    file << "cloneUrl,origin,path\n";
    for (int i = 1; i <= rows; ++i)
      file << (i > 1 ? "\n" : "") << "https://h/" << i << ",h," << i;  // no end of the last line
    file << more;
  }
  int run(FakeBatch& batch) {
    base::SystemClock clock;
    workloads::JobResult result("ingest submit", clock);
    try {
      run_submit(options_, nullptr, std::ref(batch), result);
    } catch (const base::Error& error) {
      result.fail(error.what());
    }
    return result.exit_code();
  }
  testing::TemporaryFolder folder_;
  SubmitOptions options_;
};

// Without it, the last of 12 rows without a line end would be lost, or submitting twice would do everything
// twice.
TEST_F(Submit, OneArrayJobHoweverOftenItIsAsked) {
  write_list(25);
  FakeBatch batch;
  EXPECT_EQ(run(batch), 0);
  EXPECT_EQ(run(batch), 0);
  ASSERT_EQ(batch.jobs.size(), 1u);
  const auto& job = batch.jobs[0];
  EXPECT_EQ(job.at("arrayProperties").at("size"), 3);
  EXPECT_EQ(job.at("parameters").at("partitionSize"), "10");
  std::string list(base::view(job.at("parameters").at("list").as_string()));
  EXPECT_THAT(list, ::testing::MatchesRegex(".*/store/[0-9a-f]*\\.csv"));
  EXPECT_TRUE(std::ifstream(list).good());
  batch.jobs[0]["status"] = "FAILED";
  EXPECT_EQ(run(batch), 0);
  EXPECT_EQ(batch.jobs.size(), 2u) << "a failed one is no reason not to try again";
  write_list(26);
  EXPECT_EQ(run(batch), 0);
  EXPECT_EQ(batch.jobs.size(), 3u) << "another list is another job";
}

// Without it, a list of one row would submit nothing (as the original), or an array of one, which Batch
// refuses.
TEST_F(Submit, OneRowIsAJobWithoutArray) {
  write_list(1);
  FakeBatch batch;
  EXPECT_EQ(run(batch), 0);
  ASSERT_EQ(batch.jobs.size(), 1u);
  EXPECT_FALSE(batch.jobs[0].contains("arrayProperties"));
}

// Without it, processors of the original would get ranges they do not know, and a submission that broke off
// would leave ranges out or submit others twice.
TEST_F(Submit, RangesAsTheOriginalAndOnlyTheMissingOnesAgain) {
  write_list(25);
  options_.compat = true;
  FakeBatch batch;
  batch.fail_after = 2;
  EXPECT_EQ(run(batch), 1);
  batch.fail_after = 1'000'000;
  EXPECT_EQ(run(batch), 0);
  std::vector<std::string> ranges;
  for (const auto& job : batch.jobs)
    ranges.push_back(std::string(base::view(job.at("parameters").at("Start").as_string())) + "-" +
                     std::string(base::view(job.at("parameters").at("End").as_string())));
  EXPECT_THAT(ranges, ElementsAre("1-11", "12-22", "23-25"));
}

// Without it, rows that cannot be done would be found out only by the jobs, one by one.
TEST_F(Submit, RowsThatCannotBeDoneAreNotSubmittedUnlessAllowed) {
  write_list(5, "\nhttps://h/6,h\n");
  FakeBatch batch;
  EXPECT_EQ(run(batch), 1);
  EXPECT_TRUE(batch.jobs.empty());
  options_.allow_problems = true;
  EXPECT_EQ(run(batch), 3);
  EXPECT_EQ(batch.jobs.size(), 1u);
}

// Without it, --preflight would ask the wrong host, or find all of them fine.
TEST_F(Submit, PreflightNamesHostsThatCannotBeReached) {
  EXPECT_EQ(endpoint_of("https://u:p@host/x"), (std::pair<std::string, uint16_t>("host", 443)));
  EXPECT_EQ(endpoint_of("http://[::1]:8080/x"), (std::pair<std::string, uint16_t>("::1", 8080)));
  EXPECT_EQ(endpoint_of("git@host:org/x.git"), (std::pair<std::string, uint16_t>("host", 22)));
  EXPECT_EQ(endpoint_of("ssh://git@host:2222/x"), (std::pair<std::string, uint16_t>("host", 2222)));
  EXPECT_EQ(endpoint_of("/srv/x.git"), std::nullopt);
  std::ofstream(options_.list) << "cloneUrl,origin,path\nhttp://127.0.0.1:1/x,h,x\n";
  options_.preflight = true;
  FakeBatch batch;
  EXPECT_EQ(run(batch), 1);
  EXPECT_TRUE(batch.jobs.empty());
}

// Without it, what a run wrote into repos-lock.csv or the result would be read back as something else.
TEST(Outcome, GoesToCsvAndJsonAndBack) {
  auto row =
      read_rows("cloneUrl,branch,origin,path,team\nhttps://u:secret@h/x,,h,a/x,\"#1, \"\"red\"\"\"\n")[0];
  Outcome outcome = outcome_of(row.repository);
  outcome.branch = "main";
  outcome.changeset = std::string(40, 'b');
  outcome.status = Status::kFailed;
  outcome.step = Step::kBuild;
  outcome.code = "exit-1";
  outcome.reason = "two\nlines, \"quoted\"";
  outcome.step_ms[1] = 17;
  outcome.started = 1'700'000'000'123;
  outcome.finished = outcome.started + 4000;
  outcome.publish_uri = "s3://b/x";

  std::vector<std::string> header = lock_header(outcome.columns);
  EXPECT_THAT(std::vector<std::string>(header.begin(), header.begin() + 7),
              ElementsAre("cloneUrl", "branch", "origin", "path", "team", "changeset", "publishUri"));
  std::string text = csv_line(header) + lock_row(outcome, header);
  EXPECT_THAT(text, ::testing::Not(HasSubstr("secret")));
  std::vector<workloads::CsvRecord> records;
  workloads::CsvReader reader([&](workloads::CsvRecord record) { records.push_back(std::move(record)); },
                              [](uint64_t, const std::string& why) { FAIL() << why; });
  reader.feed(text);
  reader.finish();
  ASSERT_EQ(records.size(), 2u);
  Outcome back = outcome_from_lock(records[0].fields, records[1].fields);
  EXPECT_EQ(back.reason, outcome.reason);
  EXPECT_EQ(back.status, Status::kFailed);
  EXPECT_EQ(back.step, Step::kBuild);
  EXPECT_EQ(back.step_ms, outcome.step_ms);
  EXPECT_EQ(back.finished, outcome.finished);
  EXPECT_EQ(back.branch, "main");
  EXPECT_EQ(back.changeset, outcome.changeset);

  std::string json = base::json::serialize(to_json(outcome));
  EXPECT_THAT(json, ::testing::Not(HasSubstr("secret")));
  Outcome again = outcome_from_json(base::parse_json(json).as_object());
  EXPECT_EQ(again.key(), row.repository.key());
  EXPECT_EQ(again.columns, outcome.columns);
  EXPECT_EQ(again.reason, outcome.reason);
  EXPECT_EQ(again.step_ms, outcome.step_ms);
}

// Without it, a password in a clone URL would stand in logs, results and lists.
TEST(Outcome, UrlsLoseTheirCredentials) {
  EXPECT_EQ(without_credentials("https://user:pa:ss@h:1/x@y"), "https://h:1/x@y");
  EXPECT_EQ(without_credentials("https://token@h/x"), "https://h/x");
  // Passwords that nobody encoded.
  EXPECT_EQ(without_credentials("https://user:pa#s?s@h/x"), "https://h/x");
  EXPECT_EQ(without_credentials("https://user:pa/s@s@h/x"), "https://s@h/x");
  EXPECT_EQ(without_credentials("https://user:pa/ss@h/x"), "https://h/x");
  EXPECT_EQ(without_credentials("https://h:443/@scope/x"), "https://h:443/@scope/x");
  EXPECT_EQ(without_credentials("https://[::1]:443/@scope/x"), "https://[::1]:443/@scope/x");
  EXPECT_EQ(without_credentials("ssh://git@h/x"), "ssh://git@h/x");
  EXPECT_EQ(without_credentials("ssh://git:pw@h/x"), "ssh://h/x");
  EXPECT_EQ(without_credentials("git@h:x"), "git@h:x");
  EXPECT_EQ(without_credentials("https://h"), "https://h");
}

}  // namespace
}  // namespace millrace::ingest
