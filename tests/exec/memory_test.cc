// Memory limits, where this machine lets them be set.
#include "exec/memory_cgroup.h"
#include "machine.h"

namespace millrace::exec {
namespace {

class MemoryTest : public MachineTest {
 protected:
  void SetUp() override {
    if (std::string note = runner().limits_note(); !note.empty()) GTEST_SKIP() << note;
  }
};

TEST_F(MemoryTest, AJobOverItsLimitIsReportedAsOutOfMemory) {
  // Breaks when a job may take more memory than it asked for, or is blamed for something else.
  AttemptSpec hungry = spec(1, {"millrace", "eat", "200"});
  hungry.memory_mib = 64;
  AttemptOutcome outcome = run(hungry);
  EXPECT_TRUE(outcome.out_of_memory);
  EXPECT_EQ(outcome.exit_code, 137);
  EXPECT_EQ(outcome.reason, "OutOfMemoryError: Container killed due to memory usage");
}

TEST_F(MemoryTest, OnlyAFailureIsBlamedOnMemory) {
  // Breaks when a job that got over the loss of a child is called failed, or the next in the same cgroup
  // inherits the count.
  AttemptSpec careful = shell(1, "/proc/self/exe; true");
  careful.command = {"sh", "-c",
                     std::filesystem::read_symlink("/proc/self/exe").string() + " eat 200; exit 0"};
  careful.memory_mib = 64;
  AttemptOutcome outcome = run(careful);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_FALSE(outcome.out_of_memory);
  for (AttemptToken token = 2; token < 6; ++token) {
    AttemptSpec plain = shell(token, "exit 1");
    plain.memory_mib = 64;
    outcome = run(plain);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_FALSE(outcome.out_of_memory);
    EXPECT_EQ(outcome.reason, "");
  }
}

TEST_F(MemoryTest, AJobWithinItsLimitIsLeftAlone) {
  // Breaks when limits of different sizes are mixed up on reuse.
  AttemptToken token = 1;
  for (int mib : {64, 300, 64, 300}) {
    AttemptSpec job = spec(token++, {"millrace", "eat", "150"});
    job.memory_mib = mib;
    EXPECT_EQ(run(job).exit_code, mib == 64 ? 137 : 0) << mib;
  }
}

TEST_F(MemoryTest, DaemonsThatLeftTheSessionDieWithTheJob) {
  // Breaks when setsid is enough to outlive a job, its stop, or the runner.
  Signpost post(path("post"));
  std::string daemon = "setsid sh -c 'trap \"\" TERM HUP; echo $$ >" + post.path() +
                       "; while :; do sleep 1; done' >/dev/null 2>&1 & ";
  AttemptSpec ended = shell(1, daemon + "read x <" + path("go") + "; exit 0");
  ASSERT_EQ(mkfifo(path("go").c_str(), 0600), 0);
  ended.memory_mib = 100;
  runner().start({ended});
  pid_t left = std::stoi(post.line());
  std::ofstream(path("go")) << "x\n";
  EXPECT_EQ(reports_.outcome(1).exit_code, 0);
  EXPECT_TRUE(is_dead(left));

  AttemptSpec stopped = shell(2, daemon + "trap '' TERM; while :; do sleep 1; done");
  stopped.memory_mib = 100;
  runner().start({stopped});
  left = std::stoi(post.line());
  runner().stop(2, 50);
  EXPECT_EQ(reports_.outcome(2).exit_code, 137);
  EXPECT_TRUE(is_dead(left));

  AttemptSpec lost = shell(3, daemon + "sleep 1000; true");
  lost.memory_mib = 100;
  runner().start({lost});
  left = std::stoi(post.line());
  kill(runner().runner_pid(), SIGKILL);
  EXPECT_TRUE(reports_.outcome(3).host_lost);
  EXPECT_TRUE(is_dead(left));
}

}  // namespace
}  // namespace millrace::exec
