// One attempt on this machine, from start to outcome, with real processes.
#include "exec/runner.h"

#include "base/error.h"
#include "machine.h"

namespace millrace::exec {
namespace {

using RunnerTest = MachineTest;

TEST_F(RunnerTest, ReportsExitCodesAndSignals) {
  // Breaks when a job's own verdict does not reach the engine unchanged.
  EXPECT_EQ(run(shell(1, "exit 0")).exit_code, 0);
  EXPECT_EQ(run(shell(2, "exit 3")).exit_code, 3);
  EXPECT_EQ(run(shell(3, "exit 255")).exit_code, 255);
  EXPECT_EQ(run(shell(4, "kill -TERM $$")).exit_code, 128 + SIGTERM);
  EXPECT_EQ(run(shell(5, "kill -SEGV $$")).exit_code, 128 + SIGSEGV);
  AttemptOutcome outcome = run(shell(6, "kill -KILL $$"));
  EXPECT_EQ(outcome.exit_code, 137);
  EXPECT_TRUE(outcome.started);
  EXPECT_FALSE(outcome.host_lost);
  EXPECT_FALSE(outcome.out_of_memory);
  EXPECT_EQ(outcome.reason, "");
  EXPECT_GT(outcome.started_at, 1'700'000'000'000);
  EXPECT_GE(outcome.stopped_at, outcome.started_at);
}

TEST_F(RunnerTest, MeasuresWhatAJobUsed) {
  // Breaks when CPU time or memory of the job are not its own.
  AttemptOutcome outcome = run(spec(1, {"millrace", "eat", "100"}));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_GT(outcome.rss_bytes_max, 100 << 20);
  EXPECT_GT(outcome.user_us + outcome.system_us, 1000);
}

TEST_F(RunnerTest, KeepsTheOrderOfEachStream) {
  // Breaks when lines of stdout or stderr are lost or change places.
  auto outcome =
      run(shell(1, "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"));
  EXPECT_EQ(outcome.exit_code, 0);
  std::vector<std::string> seen[2], expected[2];
  for (const std::string& line : lines(1)) seen[line.starts_with("err")].push_back(line);
  for (int i = 0; i < 500; ++i) {
    expected[0].push_back("out " + std::to_string(i));
    expected[1].push_back("err " + std::to_string(i));
  }
  EXPECT_EQ(seen[0], expected[0]);
  EXPECT_EQ(seen[1], expected[1]);
}

TEST_F(RunnerTest, TakesMuchOutputAndWholeOfIt) {
  // Breaks when output larger than a pipe, a buffer or a segment block loses lines.
  EXPECT_EQ(run(shell(1, "seq 1 300000")).exit_code, 0);
  auto seen = lines(1);
  ASSERT_EQ(seen.size(), 300000u);
  for (size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], std::to_string(i + 1));
}

TEST_F(RunnerTest, PassesOddOutputThrough) {
  // Breaks when bytes that are not text, a last line without end, or empty output are mishandled.
  EXPECT_EQ(run(shell(1, "printf 'a\\377\\000b\\n\\nlast'")).exit_code, 0);
  EXPECT_EQ(lines(1), (std::vector<std::string>{std::string("a\xff\0b", 4), "last"}));
  EXPECT_EQ(run(shell(2, "true")).exit_code, 0);
  EXPECT_TRUE(lines(2).empty());
  EXPECT_EQ(run(shell(3, "head -c 600000 /dev/zero | tr '\\0' x")).exit_code, 0);
  std::string joined;
  for (const std::string& line : lines(3)) joined += line;
  EXPECT_EQ(joined, std::string(600000, 'x'));
}

TEST_F(RunnerTest, ShowsLinesWhileTheJobRuns) {
  // Breaks when a follower sees output only after the job's end.
  runner().start({shell(1, "echo early; exec sleep 100")});
  auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (lines(1).empty() && std::chrono::steady_clock::now() < give_up) poll(nullptr, 0, 5);
  EXPECT_EQ(lines(1), std::vector<std::string>{"early"});
  EXPECT_FALSE(reports_.has(1));
  runner().stop(1, 0);
  EXPECT_EQ(reports_.outcome(1).exit_code, 137);
}

TEST_F(RunnerTest, GivesAJobExactlyItsEnvironment) {
  // Breaks when something of the engine leaks into a job: variables, descriptors, signal settings.
  AttemptSpec show = spec(1, {"millrace", "show"});
  show.environment = {{"ONE", "1"}, {"TWO", "a=b c"}, {"EMPTY", ""}};
  EXPECT_EQ(run(show).exit_code, 0);
  EXPECT_EQ(lines(1), (std::vector<std::string>{"env ONE=1", "env TWO=a=b c", "env EMPTY=", "fd 0", "fd 1",
                                                "fd 2", "session 1", "odd signals 0"}));
}

TEST_F(RunnerTest, RunsInTheFolderAskedForOrAFreshOne) {
  // Breaks when jobs see each other's scratch files, or these are never removed.
  AttemptSpec there = shell(1, "pwd");
  there.working_directory = folder_.path();
  EXPECT_EQ(run(there).exit_code, 0);
  EXPECT_EQ(lines(1), std::vector<std::string>{folder_.path()});
  EXPECT_EQ(run(shell(2, "pwd; ls -A; echo x > file; mkdir -p a/b; echo y > a/b/c")).exit_code, 0);
  auto seen = lines(2);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(seen[0]));
  AttemptSpec nowhere = shell(3, "pwd");
  nowhere.working_directory = path("missing");
  AttemptOutcome outcome = run(nowhere);
  EXPECT_FALSE(outcome.started);
  EXPECT_TRUE(outcome.reason.starts_with("CannotStartContainerError: ")) << outcome.reason;
  EXPECT_NE(outcome.reason.find("missing"), std::string::npos) << outcome.reason;
}

TEST_F(RunnerTest, SaysWhyAProgramCannotStart) {
  // Breaks when a job that never ran looks like one that did, or nobody learns which program is missing.
  for (const char* program : {"no-such-program", "/no/such/program", "/etc/passwd", "/tmp"}) {
    AttemptToken token = std::hash<std::string>()(program);
    AttemptOutcome outcome = run(spec(token, {program}));
    EXPECT_FALSE(outcome.started) << program;
    EXPECT_FALSE(outcome.exit_code.has_value()) << program;
    EXPECT_TRUE(outcome.reason.starts_with("CannotStartContainerError: ")) << outcome.reason;
    EXPECT_NE(outcome.reason.find(program), std::string::npos) << outcome.reason;
    EXPECT_LE(outcome.reason.size(), 255u);
  }
  AttemptSpec none = spec(1, {});
  EXPECT_TRUE(run(none).reason.starts_with("CannotStartContainerError: "));
  std::string script = path("script");
  std::ofstream(script) << "no interpreter line\n";
  chmod(script.c_str(), 0755);
  EXPECT_NE(run(spec(2, {script})).reason.find("Exec format error"), std::string::npos);
  EXPECT_EQ(run(shell(3, "exit 4")).exit_code, 4);  // and the next one runs
}

TEST_F(RunnerTest, RefusesImagesUnlessToldToRunThemAsProcesses) {
  // Breaks when a command meant for a container runs on the host without anybody having said so.
  AttemptSpec other = shell(1, "exit 5");
  other.image = "public.ecr.aws/docker/library/busybox:latest";
  AttemptOutcome outcome = run(other);
  EXPECT_FALSE(outcome.started);
  EXPECT_TRUE(outcome.reason.starts_with("CannotPullContainerError: ")) << outcome.reason;
  EXPECT_NE(outcome.reason.find("--runtime process"), std::string::npos) << outcome.reason;
  EXPECT_LE(outcome.reason.size(), 255u);
}

TEST_F(RunnerTest, RunsAnyImageAsProcessWhenTold) {
  // Breaks when --runtime process has no effect.
  runtime_ = "process";
  AttemptSpec other = shell(1, "exit 5");
  other.image = "busybox";
  EXPECT_EQ(run(other).exit_code, 5);
}

TEST_F(RunnerTest, StopsWithTermThenKill) {
  // Breaks when a job that ignores SIGTERM, or its children, live on after the grace.
  Signpost post(path("post"));
  runner().start({shell(1, "trap '' TERM; (trap '' TERM; echo $(exec sh -c 'echo $PPID') >" + post.path() +
                               "; while :; do sleep 1; done) & while :; do sleep 1; done")});
  pid_t child = std::stoi(post.line());
  runner().stop(1, 100);
  AttemptOutcome outcome = reports_.outcome(1);
  EXPECT_EQ(outcome.exit_code, 137);
  EXPECT_TRUE(dies(child));
  runner().start({shell(2, "trap 'exit 9' TERM; echo x >" + post.path() + "; while :; do sleep 0.01; done")});
  EXPECT_EQ(post.line(), "x");
  runner().stop(2, 60'000);
  EXPECT_EQ(reports_.outcome(2).exit_code, 9);
  runner().stop(12345, 0);  // unknown: ignored
  runner().start({spec(3, {"sleep", "100"})});
  runner().stop(3, 60'000);  // perhaps before it was started
  EXPECT_NE(reports_.outcome(3).exit_code, 0);
}

TEST_F(RunnerTest, EndsWithTheMainProcessAndTakesTheRestWithIt) {
  // Breaks when a background process that keeps the pipe open delays the outcome or outlives the job.
  Signpost post(path("post"));
  AttemptOutcome outcome = run(shell(1, "sleep 1000 & echo $! >" + post.path() + "; echo done; exit 6"));
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_TRUE(dies(std::stoi(post.line())));
  EXPECT_EQ(lines(1), std::vector<std::string>{"done"});
  EXPECT_LT(outcome.stopped_at - outcome.started_at, 30'000);
}

TEST_F(RunnerTest, StartsTheNextWhenTheOneInFrontHasEnded) {
  // Breaks when two attempts use one room at once, or the follower of one that is gone never begins.
  std::string gate = path("gate"), trace = path("trace");
  AttemptSpec first = shell(1, "echo begin >> " + trace + "; while [ ! -e " + gate +
                                   " ]; do sleep 0.01; done; echo end >> " + trace);
  AttemptSpec next = shell(2, "echo next >> " + trace);
  next.after = 1;
  AttemptSpec late = shell(3, "true");
  late.after = 1;
  AttemptSpec unneeded = shell(4, "echo unneeded >> " + trace);
  unneeded.after = 2;
  runner().start({first, next, unneeded});
  runner().revoke(4);
  AttemptOutcome revoked = reports_.outcome(4);
  EXPECT_TRUE(revoked.revoked);
  EXPECT_FALSE(revoked.started);
  EXPECT_FALSE(reports_.has(2));
  std::ofstream(gate) << "open";
  EXPECT_EQ(reports_.outcome(2).exit_code, 0);
  std::ifstream file(trace);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "begin\nend\nnext\n");
  runner().start({late});
  EXPECT_EQ(reports_.outcome(3).exit_code, 0);
  runner().start({shell(5, "exec sleep 100")});
  runner().revoke(5);  // it may have begun: then nothing happens
  if (!reports_.has(5)) runner().stop(5, 0);
  EXPECT_TRUE(reports_.outcome(5).revoked || reports_.outcome(5).exit_code == 137 ||
              !reports_.outcome(5).started);
}

TEST_F(RunnerTest, StartsAnAttemptOnce) {
  // Breaks when a repeated start runs an attempt twice, while it runs, after it ended or after that was
  // acknowledged.
  std::string once = "echo x >> " + path("ran");
  auto first = shell(1, once);
  runner().start({first, first});
  reports_.outcome(1);
  runner().start({first});
  runner().acknowledge({1});
  runner().start({first});
  run(shell(2, "true"));
  std::ifstream file(path("ran"));
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), "x\n");
}

TEST_F(RunnerTest, OffersTheMachineUnlessToldOtherwise) {
  // Breaks when the engine is told of more or less than there is.
  EXPECT_GE(runner().capacity().vcpus, 1);
  EXPECT_GT(runner().capacity().memory_mib, 100);
  RunnerOptions options = this->options();
  options.vcpus = 3;
  options.memory_mib = 77;
  options.data_dir = path("other");
  Runner other(options);
  EXPECT_EQ(other.capacity().vcpus, 3);
  EXPECT_EQ(other.capacity().memory_mib, 77);
  EXPECT_NE(other.instance(), runner().instance());
  EXPECT_EQ(runner().instance().size(), 19u);
  EXPECT_TRUE(runner().instance().starts_with("i-"));
}

TEST_F(RunnerTest, RefusesASecondEngine) {
  // Breaks when two engines command one runner.
  runner();
  EXPECT_THROW(Runner second(options()), base::ConflictError);
  EXPECT_EQ(run(shell(1, "exit 2")).exit_code, 2);
}

TEST_F(RunnerTest, WorksInAFolderWithAVeryLongPath) {
  // Breaks when the socket's path does not fit an address (108 bytes).
  RunnerOptions options = this->options();
  options.data_dir = folder_.path() + "/" + std::string(120, 'd') + "/" + std::string(120, 'e');
  Runner deep(options);
  Reports reports;
  deep.adopt({}, reports);
  deep.start({shell(1, "exit 7")});
  EXPECT_EQ(reports.outcome(1).exit_code, 7);
  deep.acknowledge({1});
}

}  // namespace
}  // namespace millrace::exec
