// What is left when the engine, the runner or both are killed.
#include <spawn.h>
#include <sys/wait.h>

#include <deque>
#include <random>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "exec/attempt_table.h"
#include "machine.h"

namespace millrace::exec {
namespace {

using RunnerCrashTest = MachineTest;

TEST_F(RunnerCrashTest, JobsOutliveTheEngineAndAreAdopted) {
  // Breaks when an engine's death costs a job, a line of output or an outcome, or reports one twice.
  Signpost post(path("post"));
  std::string go = path("go");
  ASSERT_EQ(mkfifo(go.c_str(), 0600), 0);
  std::string instance;
  {
    Reports before;
    Runner engine(options());
    instance = engine.instance();
    engine.adopt({}, before);
    engine.start(
        {shell(1, "echo before; echo 1 >" + post.path() + "; read x <" + go + "; echo after; exit 11"),
         shell(2, "exit 12"), shell(3, "exit 13"),
         shell(4, "echo $$ >" + post.path() + "; exec sleep 1000")});
    EXPECT_EQ(before.outcome(2).exit_code, 12);
    EXPECT_EQ(before.outcome(3).exit_code, 13);
    engine.acknowledge({3});
    // Both are there (in any order); then the engine is gone without a word: the socket just closes.
    pid_t sleeper = std::max(std::stoi(post.line()), std::stoi(post.line()));
    EXPECT_FALSE(is_dead(sleeper));
  }
  // The second engine believes in 1 and 2, knows nothing of 4, and has one (99) that the runner never got.
  Runner& engine = runner({1, 2, 99});
  EXPECT_EQ(engine.instance(), instance);
  EXPECT_EQ(reports_.outcome(2).exit_code, 12);
  EXPECT_TRUE(reports_.outcome(99).never_received);
  EXPECT_FALSE(reports_.outcome(99).host_lost);
  reports_.wait_started(1);
  EXPECT_FALSE(reports_.has(1));
  std::ofstream(go) << "now\n";
  EXPECT_EQ(reports_.outcome(1).exit_code, 11);
  EXPECT_EQ(lines(1), (std::vector<std::string>{"before", "after"}));
  EXPECT_EQ(run(shell(5, "exit 15")).exit_code, 15);
  EXPECT_EQ(reports_.counts(), (std::map<AttemptToken, int>{{1, 1}, {2, 1}, {5, 1}, {99, 1}}));
  EXPECT_TRUE(reports_.lost().empty());
}

// utime and stime of a process, in clock ticks (proc(5)).
long cpu_ticks(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  long user = 0, system = 0;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  fields >> user >> system;
  return user + system;
}

TEST_F(RunnerCrashTest, AnOutcomeThatWaitsForAnEngineCostsNothing) {
  // Breaks when a runner that may not end, because it keeps an outcome for an engine that is gone, spins from
  // the moment in which it would have ended.
  pid_t pid = 0;
  {
    Reports before;
    Runner engine(options());
    engine.adopt({}, before);
    engine.start({shell(1, "exit 3")});
    EXPECT_EQ(before.outcome(1).exit_code, 3);
    pid = engine.runner_pid();
  }
  // Nobody tells that nothing happens.
  std::this_thread::sleep_for(std::chrono::milliseconds(options().idle_exit_ms + 200));
  long ticks = cpu_ticks(pid);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_LT(cpu_ticks(pid) - ticks, 5);
  EXPECT_FALSE(is_dead(pid));
  runner({1});
  EXPECT_EQ(reports_.outcome(1).exit_code, 3);
}

TEST_F(RunnerCrashTest, UnknownJobsOfADeadEngineAreKilled) {
  // Breaks when a job that no engine knows of runs on beside its own next attempt.
  Signpost post(path("post"));
  pid_t sleeper;
  {
    Reports before;
    Runner engine(options());
    engine.adopt({}, before);
    engine.start({shell(1, "echo $$ >" + post.path() + "; exec sleep 1000")});
    sleeper = std::stoi(post.line());
  }
  runner();
  EXPECT_TRUE(dies(sleeper));
  EXPECT_EQ(run(shell(2, "exit 3")).exit_code, 3);
  EXPECT_FALSE(reports_.has(1));
}

TEST_F(RunnerCrashTest, SurvivesTheDeathOfTheEnginesWholeProcessGroup) {
  // Breaks when kill -9 of everything the engine started as its group takes the runner or its jobs along.
  Signpost post(path("post"));
  int said[2];
  ASSERT_EQ(pipe2(said, O_CLOEXEC), 0);
  base::UniqueFd read_end(said[0]);
  pid_t engine = fork();
  if (engine == 0) {
    setpgid(0, 0);
    Reports reports;
    Runner mine(options());
    mine.adopt({}, reports);
    mine.start(
        {shell(1, "echo $$ >" + post.path() + "; while [ ! -e " + path("end") + " ]; do sleep 0.01; done")});
    reports.wait_started(1);
    (void)!write(said[1], "x", 1);
    for (;;) pause();
  }
  close(said[1]);
  char byte;
  ASSERT_EQ(read(read_end.get(), &byte, 1), 1);
  pid_t job = std::stoi(post.line());
  ASSERT_EQ(kill(-engine, SIGKILL), 0);
  waitpid(engine, nullptr, 0);
  EXPECT_FALSE(is_dead(job));
  runner({1});
  std::ofstream(path("end")) << "x";
  EXPECT_EQ(reports_.outcome(1).exit_code, 0);
  EXPECT_TRUE(reports_.lost().empty());
}

TEST_F(RunnerCrashTest, ALostRunnerIsReportedAndReplaced) {
  // Breaks when the runner's death leaves a process behind, loses an attempt, or nobody runs jobs afterwards.
  Signpost post(path("post"));
  Runner& engine = runner();
  std::string instance = engine.instance();
  std::string tree = "(trap '' TERM HUP; echo $(exec sh -c 'echo $PPID') >" + post.path() +
                     "; sleep 1000; true) & sleep 1000; true";
  engine.start({shell(1, tree), shell(2, tree), shell(3, "exit 0")});
  reports_.outcome(3);
  pid_t children[2] = {std::stoi(post.line()), std::stoi(post.line())};
  pid_t old_runner = engine.runner_pid();
  kill(old_runner, SIGKILL);
  for (AttemptToken token : {1, 2}) {
    AttemptOutcome outcome = reports_.outcome(token);
    EXPECT_TRUE(outcome.host_lost);
    EXPECT_FALSE(outcome.exit_code.has_value());
  }
  // Not "soon": by the time it is reported nothing may be left.
  for (pid_t child : children) EXPECT_TRUE(is_dead(child));
  EXPECT_EQ(reports_.lost(), std::vector<std::string>{instance});
  EXPECT_NE(engine.instance(), instance);
  EXPECT_EQ(run(shell(4, "exit 4")).exit_code, 4);
  EXPECT_EQ(reports_.counts(), (std::map<AttemptToken, int>{{1, 1}, {2, 1}, {3, 1}, {4, 1}}));
}

TEST_F(RunnerCrashTest, BothKilledTheNextEngineClearsUp) {
  // Breaks when a power-cut-like end leaves jobs running beside their next attempts.
  Signpost post(path("post"));
  std::string instance;
  pid_t child;
  {
    Reports before;
    Runner engine(options());
    instance = engine.instance();
    engine.adopt({}, before);
    engine.start({shell(1, "(trap '' HUP; echo $(exec sh -c 'echo $PPID') >" + post.path() +
                               "; sleep 1000; true) & sleep 1000; true")});
    child = std::stoi(post.line());
    kill(engine.runner_pid(), SIGSTOP);  // so that the engine's end comes first
    kill(engine.runner_pid(), SIGKILL);
  }
  Runner& engine = runner({1});
  EXPECT_TRUE(is_dead(child));
  EXPECT_TRUE(reports_.outcome(1).host_lost);
  EXPECT_EQ(reports_.lost(), std::vector<std::string>{instance});
  EXPECT_NE(engine.instance(), instance);
}

TEST_F(RunnerCrashTest, AnIdleRunnerEndsAndOneWithAnOutcomeWaits) {
  // Breaks when forgotten runners pile up, or one goes away with an outcome that nobody has.
  pid_t pid;
  {
    Reports before;
    Runner engine(options());
    pid = engine.runner_pid();
    engine.adopt({}, before);
    engine.start({shell(1, "exit 21")});
    EXPECT_EQ(before.outcome(1).exit_code, 21);
  }
  base::UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd wait{process.get(), POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 1500), 0) << "it ended with an outcome unacknowledged";
  {
    Reports after;
    Runner engine(options());
    EXPECT_EQ(engine.runner_pid(), pid);
    engine.adopt({1}, after);
    EXPECT_EQ(after.outcome(1).exit_code, 21);
    engine.acknowledge({1});
  }
  EXPECT_EQ(poll(&wait, 1, 30'000), 1) << "it did not end";
}

TEST_F(RunnerCrashTest, TwoThousandJobsUnderRandomKills) {
  // Breaks when any moment of a kill loses an attempt, reports one twice, or lets two processes of one job
  // overlap.
  const unsigned seed =
      std::getenv("MILLRACE_SEED") ? std::atoi(std::getenv("MILLRACE_SEED")) : std::random_device()();
  SCOPED_TRACE("MILLRACE_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr int kJobs = 2000;
  constexpr size_t kAtOnce = 8;
  std::string marks = path("marks");
  std::filesystem::create_directory(marks);
  // A job holds a lock of its own number while a process of it lives: two at once would say so.
  auto job = [&](AttemptToken token, int number) {
    std::string name = marks + "/" + std::to_string(number);
    AttemptSpec spec = shell(token, "exec 9>" + name + ".lock; flock -n 9 || echo TWICE >" + marks +
                                        "/twice; echo line " + std::to_string(number) + "; : >" + name +
                                        ".done; exit " + std::to_string(number % 200));
    return spec;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::map<AttemptToken, int> running;   // token -> job, what the "engine" has recorded
  std::map<AttemptToken, int> verdicts;  // token -> times reported
  std::deque<std::pair<AttemptToken, AttemptOutcome>> fresh;
  struct Listener final : ExecutorListener {
    std::function<void(const AttemptOutcome&)> finished;
    void attempt_started(AttemptToken, base::TimeMs) override {}
    void attempt_finished(const AttemptOutcome& outcome) override { finished(outcome); }
    void host_lost(const std::string&) override {}
  } listener;
  listener.finished = [&](const AttemptOutcome& outcome) {
    std::lock_guard lock(mutex);
    fresh.emplace_back(outcome.token, outcome);
    changed.notify_all();
  };
  std::deque<int> waiting;
  for (int number = 0; number < kJobs; ++number) waiting.push_back(number);
  AttemptToken next_token = 1;
  int done = 0, engine_kills = 0, runner_kills = 0;
  std::vector<AttemptToken> succeeded(kJobs);
  auto engine = std::make_unique<Runner>(options());
  engine->adopt({}, listener);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(200);
  while (done < kJobs) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline)
        << done << " done, " << running.size() << " running";
    std::vector<AttemptSpec> starts;
    while (running.size() < kAtOnce && !waiting.empty()) {
      running[next_token] = waiting.front();
      starts.push_back(job(next_token++, waiting.front()));
      waiting.pop_front();
    }
    if (!starts.empty()) engine->start(std::move(starts));
    if (unsigned dice = random() % 200; dice == 0) {
      ++runner_kills;
      kill(engine->runner_pid(), SIGKILL);
    } else if (dice < 4) {
      ++engine_kills;
      engine.reset();
      std::vector<AttemptToken> believed;
      {
        std::lock_guard lock(mutex);
        fresh.clear();  // what the dead engine had not recorded is forgotten
      }
      for (const auto& [token, number] : running) believed.push_back(token);
      engine = std::make_unique<Runner>(options());
      engine->adopt(believed, listener);
    }
    std::deque<std::pair<AttemptToken, AttemptOutcome>> now;
    {
      std::unique_lock lock(mutex);
      ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return !fresh.empty(); }));
      now.swap(fresh);
    }
    std::vector<AttemptToken> recorded;
    for (const auto& [token, outcome] : now) {
      ASSERT_TRUE(running.contains(token)) << "attempt " << token << " was reported and recorded before";
      int number = running[token];
      ASSERT_EQ(++verdicts[token], 1);
      running.erase(token);
      recorded.push_back(token);
      if (outcome.host_lost || outcome.never_received) {
        waiting.push_back(number);
        continue;
      }
      ASSERT_EQ(outcome.exit_code, number % 200) << outcome.reason;
      ASSERT_TRUE(std::filesystem::exists(marks + "/" + std::to_string(number) + ".done"));
      succeeded[static_cast<size_t>(number)] = token;
      ++done;
    }
    engine->acknowledge(recorded);
  }
  EXPECT_FALSE(std::filesystem::exists(marks + "/twice"));
  EXPECT_GT(engine_kills + runner_kills, 0);
  // Every line of a job that was reported as done is there, once. Reading a stream scans the files: a sample.
  for (int number = 0; number < kJobs; number += 97)
    EXPECT_EQ(lines(succeeded[static_cast<size_t>(number)]),
              std::vector<std::string>{"line " + std::to_string(number)});
  std::printf("%d engine kills, %d runner kills\n", engine_kills, runner_kills);
  runner_ = std::move(engine);
  listener.finished = [](const AttemptOutcome&) {};
  pid_t pid = runner_->runner_pid();
  runner_.reset();
  kill(pid, SIGKILL);
}

}  // namespace
}  // namespace millrace::exec
