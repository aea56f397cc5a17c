// How fast the runner gets through processes that do nothing, beside `xargs -P2`, without an engine: what is
// left for the rest of the way. Usage: spawn [COUNT] [AT_ONCE] [MEMORY_MIB]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include "exec/runner.h"
#include "exec/runner_process.h"

namespace {

using namespace millrace;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Listener final : exec::ExecutorListener {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<exec::AttemptToken> finished;
  void attempt_started(exec::AttemptToken, base::TimeMs) override {}
  void attempt_finished(const exec::AttemptOutcome& outcome) override {
    if (outcome.exit_code != 0) {
      std::fprintf(stderr, "attempt %lu: %s\n", outcome.token, outcome.reason.c_str());
      std::exit(1);
    }
    std::lock_guard lock(mutex);
    finished.push_back(outcome.token);
    changed.notify_one();
  }
  void host_lost(const std::string&) override {}
};

// User and system time of a process, without its children, in seconds.
double cpu_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  for (int i = 0; i < 13; ++i) file >> word;
  double user = 0, system = 0;
  file >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int bench(int count, size_t at_once, int64_t memory_mib) {
  std::string data = std::filesystem::temp_directory_path() / ("millrace-spawn-" + std::to_string(getpid()));
  auto start = Clock::now();
  if (std::system(("seq " + std::to_string(count) + " | xargs -P2 -n1 /bin/true").c_str()) != 0) return 1;
  double xargs = count / seconds_since(start);

  double runner_rate, cpu_us;
  {
    exec::RunnerOptions options;
    options.data_dir = data;
    options.idle_exit_ms = 100;
    exec::Runner runner(options);
    Listener listener;
    runner.adopt({}, listener);
    double cpu_before = cpu_of(runner.runner_pid());
    start = Clock::now();
    size_t running = 0;
    for (int sent = 0, done = 0; done < count;) {
      std::vector<exec::AttemptSpec> specs;
      while (running < at_once && sent < count) {
        exec::AttemptSpec spec;
        spec.token = static_cast<exec::AttemptToken>(++sent);
        spec.image = "millrace";
        spec.command = {"/bin/true"};
        spec.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                            {"AWS_BATCH_JOB_ID", std::to_string(sent)}};
        spec.memory_mib = memory_mib;
        spec.log_group = "/aws/batch/job";
        spec.log_stream = "bench/default/" + std::to_string(sent);
        specs.push_back(std::move(spec));
        ++running;
      }
      if (!specs.empty()) runner.start(std::move(specs));
      std::vector<exec::AttemptToken> finished;
      {
        std::unique_lock lock(listener.mutex);
        listener.changed.wait(lock, [&] { return !listener.finished.empty(); });
        finished.swap(listener.finished);
      }
      running -= finished.size();
      done += static_cast<int>(finished.size());
      runner.acknowledge(finished);
    }
    runner_rate = count / seconds_since(start);
    cpu_us = (cpu_of(runner.runner_pid()) - cpu_before) / count * 1e6;
  }
  std::printf(
      "xargs -P2: %.0f/s   runner, %zu at once, limit %ld MiB: %.0f/s   ratio %.2f   runner CPU %.0f us a "
      "job\n",
      xargs, at_once, static_cast<long>(memory_mib), runner_rate, runner_rate / xargs, cpu_us);
  std::error_code ignored;
  std::filesystem::remove_all(data, ignored);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "runner") {
    exec::RunnerProcessOptions options;
    for (int i = 2; i + 1 < argc; i += 2) {
      std::string name = argv[i], value = argv[i + 1];
      if (name == "--data") options.data_dir = value;
      if (name == "--listen-fd") options.listen_fd = std::stoi(value);
      if (name == "--lock-fd") options.lock_fd = std::stoi(value);
      if (name == "--idle-exit-ms") options.idle_exit_ms = std::stoll(value);
    }
    return exec::run_runner(options);
  }
  return bench(argc > 1 ? std::atoi(argv[1]) : 20'000, argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 2,
               argc > 3 ? std::atoi(argv[3]) : 0);
}
