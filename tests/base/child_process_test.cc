#include "base/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

ChildOptions shell(const std::string& script) {
  return {{"sh", "-c", script}, {"PATH=/usr/bin:/bin"}, "/", {}};
}

RunLimits within(milliseconds time) {
  RunLimits limits;
  limits.time = time;
  limits.grace = milliseconds(100);
  return limits;
}

bool alive(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(status)), {});
  size_t end = text.rfind(')');
  return end != std::string::npos && text[end + 2] != 'Z' && text[end + 2] != 'X';
}

// Without it, output, exit code and what was given on standard input would get lost or mixed.
TEST(ChildProcess, GivesItsOutputAndExitCode) {
  ChildRun run = run_child(shell("cat; echo bad >&2; exit 7"), within(milliseconds(20'000)), "hello");
  EXPECT_EQ(run.output, "hello");
  EXPECT_EQ(run.errors, "bad\n");
  EXPECT_EQ(run.end.exit_code, 7);
  EXPECT_EQ(run.end.text(), "exit code 7");
  EXPECT_FALSE(run.ok());
}

// Without it, a child that neither reads its input nor ends its output would block the job, or fill its
// memory.
TEST(ChildProcess, InputAndOutputAreBounded) {
  RunLimits limits = within(milliseconds(20'000));
  limits.output_bytes_max = 1000;
  limits.errors_bytes_max = 10;
  ChildRun run = run_child(shell("exec 0<&-; yes | head -c 3000000; printf 0123456789abcdef >&2"), limits,
                           std::string(1 << 20, 'x'));
  EXPECT_EQ(run.output.size(), 1000u);
  EXPECT_TRUE(run.output_cut);
  EXPECT_EQ(run.errors, "6789abcdef");
  EXPECT_TRUE(run.ok());
}

// Without it, a child that ignores SIGTERM, and the processes it started, would outlive their time.
TEST(ChildProcess, NothingOfItOutlivesItsTime) {
  auto begun = steady_clock::now();
  ChildRun run =
      run_child(shell("trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000"), within(milliseconds(200)));
  EXPECT_TRUE(run.timed_out);
  EXPECT_EQ(run.end.signal, SIGKILL);
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(30));
  auto grandchild = parse_number<pid_t>(trim(run.output));
  ASSERT_TRUE(grandchild.has_value());
  // Killed it is; init or the subreaper takes a moment to bury it.
  for (int i = 0; i < 1000 && alive(*grandchild); ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(alive(*grandchild));
}

// Without it, a child that ends would still be waited for because a daemon it left holds its output open.
TEST(ChildProcess, ADaemonThatKeepsThePipeIsNotWaitedFor) {
  auto begun = steady_clock::now();
  ChildRun run = run_child(shell("setsid sleep 20 & echo done"), within(milliseconds(60'000)));
  EXPECT_EQ(run.output, "done\n");
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(10));
}

// Without it, a job that is told to stop would wait for its children's time limits.
TEST(ChildProcess, StopsWhenTold) {
  RunLimits limits = within(milliseconds(0));
  limits.check_every = milliseconds(10);
  int asked = 0;
  limits.must_stop = [&] { return ++asked > 3; };
  ChildRun run = run_child(shell("sleep 1000"), limits);
  EXPECT_TRUE(run.stopped);
  EXPECT_FALSE(run.timed_out);
  EXPECT_EQ(run.end.signal, SIGTERM);
}

// Without it, a program that is not there would look like one that failed.
TEST(ChildProcess, AMissingProgramOrFolderIsSaid) {
  EXPECT_THROW(run_child({{"no-such-program-here"}, {"PATH=/usr/bin"}, "/", {}}, {}), NotFoundError);
  EXPECT_THROW(run_child({{"/bin/true"}, {}, "/no/such/folder", {}}, {}), NotFoundError);
}

// Without it, limits, environment and the disposition of SIGPIPE would be the parent's.
TEST(ChildProcess, HasItsOwnLimitsEnvironmentAndSignals) {
  auto before = std::signal(SIGPIPE, SIG_IGN);
  ChildOptions options = shell("ulimit -f; echo $GREETING; echo ${HOME-none}; kill -PIPE $$; echo survived");
  options.environment.emplace_back("GREETING=hi");
  options.limits = {{RLIMIT_FSIZE, 512 * 1024}};
  ChildRun run = run_child(options, within(milliseconds(20'000)));
  std::signal(SIGPIPE, before);
  EXPECT_EQ(run.output, "1024\nhi\nnone\n");
  EXPECT_EQ(run.end.signal, SIGPIPE);
}

// Without it, children started by several threads at once would mix up stacks or descriptors.
TEST(ChildProcess, SeveralThreadsSpawnAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        std::string text = std::to_string(t) + "-" + std::to_string(i);
        ChildRun run = run_child(shell("cat"), within(milliseconds(60'000)), text);
        if (run.ok() && run.output == text) ++right;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 100);
}

}  // namespace
}  // namespace millrace::base
