// Many lives of the engine in a simulated world, and what went wrong in them. `./test simulation` runs it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>

#include "tests/simulation/engine_speed.h"
#include "tests/simulation/life.h"

namespace millrace::simulation {
namespace {

struct Options {
  uint64_t seeds = 2000, first = 0;
  int steps = 500;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  bool story = false, bench = false;
};

std::string facts(const EngineWorld::Counts& c) {
  return fmt::format(
      "{} commands, {} jobs submitted ({} arrays), {} succeeded, {} failed, {} retries, {} timed out, {} "
      "terminated; {} reasons of waiting jobs found true\n"
      "faults: {} crashes, {} failed commits, {} lost hosts, {} clock jumps; reports: {} lost, {} repeated, "
      "{} "
      "out of order",
      c.commands, c.submitted, c.arrays, c.succeeded, c.failed, c.retried, c.timed_out, c.terminated,
      c.reasons, c.crashes, c.failed_commits, c.host_deaths, c.clock_jumps, c.reports.lost,
      c.reports.repeated, c.reports.early);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // and says more itself
#else
constexpr bool kSanitized = false;
#endif

thread_local uint64_t living = 0;

// A crash of the engine itself cannot be made short, but its seed is named.
void name_seed(int signal) {
  char text[96];
  auto end = fmt::format_to_n(text, sizeof text,
                              "seed {} crashed (signal {}): ./test simulation --first {} --seeds 1\n", living,
                              signal, living);
  (void)!write(STDERR_FILENO, text, std::min(end.size, sizeof text));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void print(const std::vector<std::string>& story) {
  for (const std::string& line : story) fmt::print("{}\n", line);
}

// 1 when a seed fails; the first that does is made short.
int simulate(const Options& options) {
  std::vector<int> steps = all_steps(options.steps);
  std::atomic<uint64_t> next = 0;
  std::mutex mutex;
  EngineWorld::Counts total;
  uint64_t lives = 0, failed_seed = 0;
  Life failed;
  auto began = std::chrono::steady_clock::now();
  auto work = [&] {
    for (uint64_t i; (i = next++) < options.seeds;) {
      living = options.first + i;
      Life life = live(options.first + i, steps, options.story);
      std::lock_guard lock(mutex);
      total.add(life.counts);
      ++lives;
      if (options.story) print(life.story);
      if (!life.violation.empty() && (failed.violation.empty() || options.first + i < failed_seed)) {
        failed_seed = options.first + i;
        failed = life;
        next = options.seeds;  // the others end what they are at
      }
      if (lives % 100 == 0 && isatty(STDERR_FILENO)) fmt::print(stderr, "\r{} seeds", lives);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < options.threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (isatty(STDERR_FILENO)) fmt::print(stderr, "\r");
  fmt::print("{} seeds from {}, {} steps each: {:.1f} simulated hours in {:.1f} s\n{}\n", lives,
             options.first, options.steps, static_cast<double>(total.lived_ms) / 3'600'000, seconds,
             facts(total));
  if (failed.violation.empty()) return 0;
  fmt::print("\nseed {} fails: {}\nlooking for a shorter trace …\n", failed_seed, failed.violation);
  std::fflush(stdout);
  living = failed_seed;
  Trace trace = shortest_trace(failed_seed, steps, failed);
  fmt::print("{} of {} steps are enough:\n", trace.steps.size(), steps.size());
  print(trace.life.story);
  fmt::print("{}\nagain: ./test simulation --first {} --seeds 1 --steps {}\n", trace.life.violation,
             failed_seed, options.steps);
  return 1;
}

}  // namespace
}  // namespace millrace::simulation

int main(int argc, char** argv) {
  using namespace millrace::simulation;
  Options options;
  CLI::App app("Lives of the engine in a simulated world, with crashes everywhere.");
  app.add_option("--seeds", options.seeds, "how many")->capture_default_str();
  app.add_option("--first", options.first, "the first seed")->capture_default_str();
  app.add_option("--steps", options.steps, "of each life")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "lives at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag("--story", options.story, "print all that happens");
  app.add_flag("--bench", options.bench, "measure how many commands the engine takes in a second instead");
  CLI11_PARSE(app, argc, argv);
  if (options.bench) return measure_engine();
  if (!kSanitized)
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) std::signal(signal, name_seed);
  return simulate(options);
}
