#include "tests/simulation/engine_speed.h"

#include <fmt/format.h>

#include <ctime>
#include <deque>

#include "engine/engine.h"
#include "tests/engine/harness.h"

namespace millrace::simulation {
namespace {

using engine::ApiCommand;
using engine::ApiOperation;
using engine::AttemptFinished;
using engine::AttemptStarted;
using engine::Command;
using engine::Engine;
using engine::Harness;
using engine::StartAttempt;

constexpr int kHostVcpus = 64;
constexpr size_t kGroup = 64;  // commands in a commit
constexpr double kBar = 200'000;

// An engine, and a host on which every job takes no time.
class Track {
 public:
  Track() : engine_(Harness::config()) {
    now({engine::HostUp{"i-1", kHostVcpus * 1000, 1 << 20, 0}});
    make(ApiOperation::kCreateComputeEnvironment, Harness::environment("e", 1024));
    make(ApiOperation::kRegisterJobDefinition, Harness::definition("d"));
    for (int i = 0; i < 4; ++i)
      make(ApiOperation::kCreateJobQueue, Harness::queue(fmt::format("q{}", i), i, "e"));
  }
  void submit(int jobs, int array_size) {
    for (int i = 0; i < jobs; ++i) {
      std::string array =
          array_size > 0 ? fmt::format(R"(,"arrayProperties":{{"size":{}}})", array_size) : "";
      take(ApiCommand{ApiOperation::kSubmitJob,
                      engine::object(fmt::format(
                          R"({{"jobName":"j","jobQueue":"q{}","jobDefinition":"d"{}}})", i % 4, array)),
                      ""});
    }
    commit();
  }
  // Until nothing is left to run.
  void run_all() {
    while (!started_.empty()) {
      StartAttempt start = std::move(started_.front());
      started_.pop_front();
      take(AttemptStarted{start.token, now_});
      AttemptFinished report;
      report.token = start.token;
      report.started = true;
      report.exit_code = 0;
      report.started_at = now_;
      report.stopped_at = ++now_;
      take(report);
    }
    commit();
  }
  int64_t commands() const { return commands_; }
  uint64_t ended() const { return ended_; }

 private:
  void now(const Command& command) {
    take(command);
    commit();
  }
  void make(ApiOperation operation, const std::string& input) {
    now(ApiCommand{operation, engine::object(input), "11111111-2222-4333-8444-555555555555"});
  }
  void take(const Command& command) {
    engine::Outcome outcome = engine_.apply(command, now_);
    ++commands_;
    for (engine::Effect& effect : outcome.effects) {
      if (auto* start = std::get_if<StartAttempt>(&effect)) started_.push_back(std::move(*start));
      ended_ += std::holds_alternative<engine::AcknowledgeAttempt>(effect);
    }
    if (++in_group_ == kGroup) commit();
  }
  // All that the driver does but write.
  void commit() {
    engine_.take_changes();
    engine_.forget_finished();
    in_group_ = 0;
  }

  Engine engine_;
  std::deque<StartAttempt> started_;
  base::TimeMs now_ = 1'700'000'000'000;
  int64_t commands_ = 0;
  uint64_t ended_ = 0;
  size_t in_group_ = 0;
};

// Time of this process on a core: what else the machine does is not counted.
double core_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double measure(const char* what, int rounds, int jobs, int array_size) {
  Track track;
  double began = core_seconds();
  for (int i = 0; i < rounds; ++i) {
    track.submit(jobs, array_size);
    track.run_all();
  }
  double seconds = core_seconds() - began;
  double rate = static_cast<double>(track.commands()) / seconds;
  fmt::print("{:<40} {:>9} commands, {:>8} jobs ended, {:.2f} core s: {:>9.0f} commands/s\n", what,
             track.commands(), track.ended(), seconds, rate);
  return rate;
}

}  // namespace

int measure_engine() {
#ifndef __OPTIMIZE__
  fmt::print("this build is not optimised: the numbers say little\n");
#endif
  double slowest = measure("single jobs, 1,000 at a time wait", 200, 1'000, 0);
  slowest = std::min(slowest, measure("single jobs, 200,000 wait", 1, 200'000, 0));
  slowest = std::min(slowest, measure("arrays of 10,000, 40 of them", 1, 40, 10'000));
  fmt::print("the slowest: {:.0f} commands/s on one core; the bar is {:.0f}\n", slowest, kBar);
  return 0;
}

}  // namespace millrace::simulation
