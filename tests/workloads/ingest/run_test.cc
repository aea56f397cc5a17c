#include "workloads/ingest/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "base/child_process.h"
#include "base/error.h"
#include "base/strings.h"
#include "tests/support/temporary_folder.h"
#include "workloads/csv_reader.h"
#include "workloads/ingest/disk_budget.h"
#include "workloads/ingest/records.h"
#include "workloads/result.h"

namespace millrace::ingest {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

class Run : public ::testing::Test {
 protected:
  Run() {
    options_.list = folder_ / "repos.csv";
    options_.publish = folder_ / "out";
    options_.work_folder = folder_ / "work";
    options_.git.allow_local = true;
    options_.jobs = 2;
    options_.symbols = false;
    options_.retry_pause = std::chrono::milliseconds(10);
    std::ofstream(options_.list) << "cloneUrl,origin,path,branch,build\n";
  }
  std::string sh(const std::string& script) {
    base::ChildOptions options{
        {"sh", "-ec", script},
        {"PATH=" + std::string(std::getenv("PATH")), "HOME=" + folder_.path().string(), "GIT_AUTHOR_NAME=a",
         "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_CONFIG_NOSYSTEM=1"},
        folder_.path().string(),
        {}};
    base::ChildRun run = base::run_child(options, {});
    EXPECT_TRUE(run.ok()) << script << "\n" << run.output << run.errors;
    return run.output;
  }
  std::string line(const std::string& script) {
    std::string output = sh(script);
    return std::string(base::trim(output));
  }
  // A repository with one file, and its row.
  void add(const std::string& name, const std::string& build = "", const std::string& branch = "") {
    if (!fs::exists(folder_ / name))
      sh("git init -q -b main " + name + " && cd " + name + " && echo " + name +
         " > file && git add . && git commit -qm m");
    std::ofstream(options_.list, std::ios::app) << (folder_ / name) << ",here,acme/" << name << "," << branch
                                                << ",\"" << base::replace_all(build, "\"", "\"\"") << "\"\n";
  }
  int run() {
    base::SystemClock clock;
    workloads::JobResult result("ingest", clock);
    outcomes_.clear();
    std::mutex mutex;
    options_.on_outcome = [&](const Outcome& outcome) {
      std::lock_guard lock(mutex);
      EXPECT_TRUE(outcomes_.emplace(outcome.row, outcome).second) << "two outcomes of row " << outcome.row;
    };
    try {
      run_ingest(options_, clock, result);
    } catch (const base::Error& error) {
      result.fail(error.what());
    }
    result_ = result.log_line();
    EXPECT_TRUE(fs::is_empty(options_.work_folder)) << "something was left in the work folder";
    return result.exit_code();
  }
  Status status(uint64_t row) { return outcomes_.at(row).status; }
  std::string code(uint64_t row) { return outcomes_.at(row).code; }

  testing::TemporaryFolder folder_;
  RunOptions options_;
  std::map<uint64_t, Outcome> outcomes_;
  std::string result_;
};

// Without it, what is published would not be the files of the commit, or repos-lock.csv would not say where
// it is.
TEST_F(Run, PublishesTheFilesAndSaysWhere) {
  add("one");
  add("two");
  ASSERT_EQ(run(), 0) << result_;
  const Outcome& one = outcomes_.at(1);
  EXPECT_EQ(one.branch, "main");
  EXPECT_EQ(one.changeset, line("git -C one rev-parse HEAD"));
  std::string snapshot = line("ls " + one.publish_uri + "/*-snapshot.tar.zst");
  EXPECT_EQ(sh("zstd -dc " + snapshot + " | tar -xO"), "one\n");
  EXPECT_EQ(sh("sha256sum < " + snapshot).substr(0, 64), one.snapshot_sha256);
  sh("cd " + one.publish_uri + " && sha256sum -c *.sha256");
  std::string lock = slurp(folder_ / "out/.ingest/runs/local/repos-lock-all.csv");
  EXPECT_THAT(lock, HasSubstr(one.changeset));
  EXPECT_THAT(lock, HasSubstr(one.publish_uri));
  EXPECT_EQ(std::count(lock.begin(), lock.end(), '\n'), 3);
}

// Without it, one broken, hanging or hostile repository would cost the others, or be forgotten.
TEST_F(Run, OneOfTenThatHangsAndOneThatFailsCostNoneOfTheOthers) {
  for (int i = 1; i <= 10; ++i)
    add("r" + std::to_string(i), i == 3   ? "sleep 1000 & setsid sleep 1000 & echo begun; wait"
                                 : i == 5 ? "echo broken >&2; exit 7"
                                          : "cp file product");
  options_.limits.build = std::chrono::milliseconds(700);
  ASSERT_EQ(run(), 3) << result_;
  ASSERT_EQ(outcomes_.size(), 10u);
  for (uint64_t row = 1; row <= 10; ++row)
    EXPECT_EQ(status(row), row == 3   ? Status::kTimedOut
                           : row == 5 ? Status::kFailed
                                      : Status::kPublished)
        << row << outcomes_.at(row).reason;
  EXPECT_EQ(outcomes_.at(3).step, Step::kBuild);
  EXPECT_EQ(code(5), "exit-7");
  std::string zip = line("find out/io/moderne/ingest-log/all -name '*.zip'");
  std::string logs = sh("python3 -c \"import zipfile,sys; z=zipfile.ZipFile('" + zip +
                        "'); print(z.testzip()); [print(n, z.read(n).decode()) for n in z.namelist()]\"");
  EXPECT_THAT(logs, HasSubstr("None"));
  EXPECT_THAT(logs, HasSubstr("broken"));
  EXPECT_THAT(logs, HasSubstr("begun"));
  EXPECT_THAT(outcomes_.at(5).log_uri, HasSubstr(zip));
  EXPECT_EQ(sh("pgrep -f '^sleep 1000$' | while read p; do ls -l /proc/$p/cwd; done | grep -c " +
               folder_.path().string() + " || true"),
            "0\n");
}

// Without it, every night would build everything again; or a change of the commit or of the build would be
// missed.
TEST_F(Run, WhatHasNotChangedIsNotDoneAgain) {
  add("one");
  add("two");
  ASSERT_EQ(run(), 0);
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(status(1), Status::kUnchanged);
  EXPECT_NE(outcomes_.at(1).publish_uri, "");
  sh("cd one && echo more >> file && git commit -qam more");
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(status(1), Status::kPublished);
  EXPECT_EQ(status(2), Status::kUnchanged);
  options_.build = "true";
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(status(2), Status::kPublished) << "another build of the same commit is another thing";
  options_.force = true;
  options_.job = "job-1";
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(status(1), Status::kPublished);
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(status(1), Status::kUnchanged)
      << "a second attempt of the same job goes on where the first one was";
  options_.job = "job-2";
  options_.force = false;
  options_.max_age = std::chrono::seconds(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // older than no time at all
  ASSERT_EQ(run(), 0);
  EXPECT_EQ(status(1), Status::kPublished);
}

// Without it, a range would lose rows or take others', rows that cannot be done would vanish, and names that
// lead out of the publishing folder would be written.
TEST_F(Run, RangesAndBadRows) {
  for (int i = 1; i <= 5; ++i) add("r" + std::to_string(i));
  std::ofstream(options_.list, std::ios::app) << "/x,here,../../evil,,\n"
                                              << (folder_ / "r1") << ",here,acme/r1,,\"\"\n"
                                              << "ext::sh -c touch% ran,here,acme/ext,,";
  options_.start = 4;
  options_.end = 20;
  EXPECT_EQ(run(), 3);
  std::vector<uint64_t> rows;
  for (const auto& [row, outcome] : outcomes_) rows.push_back(row);
  EXPECT_THAT(rows, ElementsAre(4, 5, 6, 7, 8));
  EXPECT_EQ(code(6), "bad-row");
  EXPECT_EQ(code(7), "duplicate");
  EXPECT_EQ(status(7), Status::kUnchanged);
  EXPECT_EQ(code(8), "protocol");
  options_.start = options_.end = 9;
  EXPECT_EQ(run(), 1) << "a range that has no row is no success";
}

// Without it, repositories that cannot be had would be told in the same words, or count as done.
TEST_F(Run, SaysWhatIsWrongWithEach) {
  sh("git init -q empty");
  add("empty");
  add("none");
  sh("mv none gone");
  add("branchless", "", "nope");
  sh("mkdir damaged-src && git init -q -b main damaged && cd damaged && echo x > f && git add . && git "
     "commit -qm m && "
     "rm -f .git/objects/$(git rev-parse HEAD:f | sed 's|^..|&/|')");
  add("damaged");
  EXPECT_EQ(run(), 3);
  EXPECT_EQ(code(1), "empty");
  EXPECT_EQ(code(2), "not-found");
  EXPECT_EQ(code(3), "no-branch");
  EXPECT_EQ(code(4), "fsck");
}

// Without it, a repository of two organizations would be in nobody's run, or twice in one.
TEST_F(Run, ARepositoryOfTwoOrganizationsIsDoneForEach) {
  add("one");
  std::ofstream list(options_.list, std::ios::trunc);
  list << "cloneUrl,origin,path,org1\n";
  for (const char* organization : {"red", "blue", "blue"})
    list << (folder_ / "one") << ",here,acme/one," << organization << "\n";
  list.close();
  options_.organization = "blue";
  EXPECT_EQ(run(), 0) << result_;
  ASSERT_EQ(outcomes_.size(), 2U);
  EXPECT_EQ(status(2), Status::kPublished);
  EXPECT_EQ(code(3), "duplicate");
}

// Without it, a build could leave a process behind that outlives the job, as the only thing it must not do.
TEST_F(Run, NoProcessOfABuildOutlivesTheRun) {
  add("one",
      "env -i setsid sh -c 'echo $$ > ../../../../pid; sleep 1000 & sleep 1000' >/dev/null 2>&1 </dev/null & "
      "until [ -s ../../../../pid ]; do sleep 0.05; done");
  EXPECT_EQ(run(), 0) << result_;
  pid_t pid = std::stoi(slurp(folder_ / "pid"));
  EXPECT_NE(kill(pid, 0), 0) << "process " << pid << " is still there";
}

// Without it, the login of a URL would be seen by everybody who sees processes, or by the build of that
// repository; a URL in the wrong column would be published with its token.
TEST_F(Run, LoginsAreNowhereToBeRead) {
  std::ofstream list(options_.list, std::ios::app);
  list << "ssh://git:geheim@127.0.0.1:1/x,here,acme/ssh,,\n"
       << "https://127.0.0.1:1/x,https://me:geheim@h/x,acme/wrong,,\n"
       << "https://me:ge#geheim@127.0.0.1:1/x,here,acme/odd,,\n";
  list.close();
  options_.attempts = 1;
  EXPECT_EQ(run(), 3);
  EXPECT_EQ(code(1), "protocol");
  EXPECT_EQ(code(2), "bad-row");
  EXPECT_EQ(code(3), "network");
  EXPECT_THAT(result_, Not(HasSubstr("geheim")));
  sh("! grep -rl geheim out");
  for (const auto& [row, outcome] : outcomes_)
    EXPECT_THAT(base::json::serialize(to_json(outcome)), Not(HasSubstr("geheim"))) << row;
}

// Without it, a snapshot with submodules or LFS would hold what a build has made of the files.
TEST_F(Run, ASnapshotOfACheckoutIsThatOfTheCommit) {
  add("one", "echo changed > file; echo new > product");
  options_.git.submodules = true;
  ASSERT_EQ(run(), 0) << result_;
  EXPECT_EQ(sh("zstd -dc " + outcomes_.at(1).publish_uri + "/*-snapshot.tar.zst | tar -xO"), "one\n");
}

// Without it, a build that makes folders in folders would use up the descriptors that all others need.
TEST_F(Run, FoldersWithoutEndCostOnlyTheirRepository) {
  add("deep", "i=0; while [ $i -lt 900 ]; do mkdir d && cd d; i=$((i+1)); done; sleep 1000");
  add("fine");
  EXPECT_EQ(run(), 3) << result_;
  EXPECT_EQ(code(1), "disk");
  EXPECT_EQ(status(2), Status::kPublished);
}

// Without it, rows that cannot be done would not count as failures.
TEST_F(Run, BadRowsCountForMaxFailures) {
  add("one");
  std::ofstream(options_.list, std::ios::app) << "x,here,../up,,\n";
  options_.max_failures.count = 0;
  EXPECT_EQ(run(), 1) << result_;
}

// Without it, paths in a list would mean something else to git than to us.
TEST_F(Run, RelativePathsAreOurs) {
  add("one");
  std::string here = fs::current_path();
  std::ofstream(options_.list, std::ios::trunc)
      << "cloneUrl,origin,path,build\n./one,here,acme/one,true\n./one,here,acme/two,\n";
  fs::current_path(folder_.path());
  int code = run();
  fs::current_path(here);
  EXPECT_EQ(code, 0) << result_;
}

// Without it, what is too large would fill the disk, and take the others with it.
TEST_F(Run, TheDiskBudgetHoldsAndTheOthersAreDone) {
  add("r1");
  add("big", "while :; do head -c 1000000 /dev/zero; done > product");
  add("r2", "sleep 1.5");
  add("r3");
  options_.disk_budget = 30 << 20;
  options_.limits.build = std::chrono::milliseconds(60'000);
  EXPECT_EQ(run(), 3);
  EXPECT_EQ(code(2), "disk") << outcomes_.at(2).reason;
  for (uint64_t row : {1, 3, 4}) EXPECT_EQ(status(row), Status::kPublished) << outcomes_.at(row).reason;
}

// Without it, a job that is ended would lose its logs and not say which rows it left.
TEST_F(Run, AJobThatIsEndedStillTellsAboutEveryRow) {
  add("r1");
  for (int i = 2; i < 8; ++i) add("r" + std::to_string(i), "touch " + (folder_ / "begun") + "; sleep 1000");
  std::atomic<bool> stop = false;
  options_.stop = &stop;
  std::thread stopper([&] {
    while (!fs::exists(folder_ / "begun")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    stop = true;
  });
  EXPECT_EQ(run(), 3);
  stopper.join();
  ASSERT_EQ(outcomes_.size(), 7u);
  EXPECT_EQ(status(2), Status::kStopped);
  EXPECT_EQ(status(7), Status::kStopped);
  EXPECT_NE(sh("find out -name '*.zip'"), "");
}

// Without it, a list of which everything fails would be tried to its end, and end as "partial".
TEST_F(Run, MaxFailuresEndsTheJob) {
  for (int i = 1; i <= 6; ++i) add("r" + std::to_string(i), "exit 1");
  options_.jobs = 1;
  options_.max_failures.count = 2;
  EXPECT_EQ(run(), 1);
  ASSERT_EQ(outcomes_.size(), 6u);
  // Rows are checked side by side, so any three may be the first to be worked on.
  EXPECT_EQ(std::ranges::count_if(outcomes_, [](auto& each) { return each.second.code == "max-failures"; }),
            3);
}

// Without it, the products of a build would not be published, links in it would publish files of ours, or the
// build would see our credentials.
TEST_F(Run, ProductsOfBuildsArePublished) {
  setenv("PUBLISH_PASSWORD", "geheim", 1);
  add("one");
  options_.rules = {{"elsewhere/*", "exit 9", {}},
                    {"here/*", "mkdir d; env > d/product; ln -s /etc/passwd d/link", {"d/*"}}};
  EXPECT_EQ(run(), 0) << result_;
  unsetenv("PUBLISH_PASSWORD");
  std::string files = sh("ls " + outcomes_.at(1).publish_uri);
  EXPECT_THAT(files, HasSubstr("-d_product\n"));
  EXPECT_THAT(files, ::testing::Not(HasSubstr("link")));
  std::string seen = sh("cat " + outcomes_.at(1).publish_uri + "/*-d_product");
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("geheim")));
  EXPECT_THAT(seen, HasSubstr("HOME=" + options_.work_folder));
  EXPECT_THAT(seen, HasSubstr("MILLRACE_INGEST_PATH=acme/one"));
}

// Without it, a list that changed between submission and run would give rows to the wrong children.
TEST_F(Run, AStoredListMustBeWhatItsNameSays) {
  add("one");
  std::string stored = folder_ / (std::string(64, 'a') + ".csv");
  fs::rename(options_.list, stored);
  options_.list = stored;
  EXPECT_EQ(run(), 1);
  EXPECT_THAT(result_, HasSubstr("was changed"));
}

// Without it, a rule or pattern would choose another build or another file than its author meant.
TEST(Builds, AreChosenByRowRuleAndFiles) {
  testing::TemporaryFolder folder;
  Repository repository;
  repository.origin = "github.com";
  repository.path = "acme/one";
  auto rules = parse_build_rules(
      R"({"rules":[{"path":"gitlab.com/*","build":"none"},{"path":"github.com/acme/*","build":"make","artifacts":["x"]}]})");
  EXPECT_EQ(choose_build(repository, rules, "none").build, "make");
  EXPECT_EQ(choose_build(repository, {}, "none").build, "none");
  repository.build = "exit 0";
  EXPECT_EQ(choose_build(repository, rules, "none").build, "exit 0");
  for (const char* bad : {"", "[]", "{}", R"({"rules":[1]})", R"({"rules":[{"path":"x"}]})"})
    EXPECT_THROW(parse_build_rules(bad), base::UsageError) << bad;
  EXPECT_THROW(plan_build({"maven", {}}, folder.path().string()), base::NotFoundError);
  EXPECT_TRUE(plan_build({"auto", {}}, folder.path().string()).none());
  std::ofstream(folder / "Makefile") << "all:\n";
  EXPECT_EQ(plan_build({"auto", {}}, folder.path().string()).name, "make");
  std::ofstream(folder / "pom.xml") << "<project/>";
  EXPECT_EQ(plan_build({"auto", {}}, folder.path().string()).name, "maven");

  fs::create_directories(folder / "a/target/deep");
  for (const char* file : {"target.jar", "a/target/x.jar", "a/target/deep/y.jar", "a/z.jar"})
    std::ofstream(folder / file) << "x";
  auto found = [&](const std::string& pattern) { return find_artifacts(folder.path().string(), {pattern}); };
  EXPECT_THAT(found("*.jar"), ElementsAre("target.jar"));
  EXPECT_THAT(found("**/target/*.jar"), ElementsAre("a/target/x.jar"));
  EXPECT_THAT(found("**/*.jar"),
              ElementsAre("a/target/deep/y.jar", "a/target/x.jar", "a/z.jar", "target.jar"));
}

// Without it, a repository that waits to be alone would wait for ever, or never be alone.
TEST(DiskBudgets, TheLargestEndsAndIsTriedAlone) {
  DiskBudget budget(1000);
  {
    DiskBudget::Share small(budget, false), large(budget, false);
    small.set(200);
    large.set(700);
    EXPECT_FALSE(large.evicted());
    small.set(400);
    EXPECT_TRUE(large.evicted());
    EXPECT_FALSE(small.evicted());
  }
  std::atomic<bool> alone = false;
  auto first = std::make_unique<DiskBudget::Share>(budget, false);
  std::thread waiting([&] {
    DiskBudget::Share share(budget, true);
    alone = true;
  });
  EXPECT_FALSE(alone);
  first.reset();
  waiting.join();
  EXPECT_TRUE(alone);
  DiskBudget::Share after(budget, false);
}

// Without it, a build that writes without end would fill the memory with its log, or hide how it began.
TEST(LogTexts, KeepTheirBeginningAndTheirEnd) {
  LogText log;
  log.add("begin\n");
  for (int i = 0; i < 100'000; ++i) log.add("line " + std::to_string(i) + "\n");
  log.add("end\n");
  std::string text = log.text();
  EXPECT_LT(text.size(), 300'000u);
  EXPECT_TRUE(text.starts_with("begin\nline 0\n"));
  EXPECT_TRUE(text.ends_with("line 99999\nend\n"));
  EXPECT_THAT(text, HasSubstr("bytes left out"));
}

// Without it, logs would not be found where the original's users look for them.
TEST(LogKeys, AreTheOriginals) {
  EXPECT_EQ(log_key(false, "1-10", 1'700'000'000'000),
            "io/moderne/ingest-log/1-10/202311142213/ingest-log-cli-202311142213-1-10.zip");
  EXPECT_EQ(log_key(true, "all", 1'700'000'000'000),
            ".logs/all/202311142213/ingest-log-cli-202311142213-all.zip");
}

}  // namespace
}  // namespace millrace::ingest
