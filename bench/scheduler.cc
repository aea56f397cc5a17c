// What a decision of the engine costs, without disk and network: a million waiting jobs in one line or in a
// thousand shares, and large arrays. Prints µs of CPU a decision (a job has ended, another is placed) and
// MiB.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"

namespace {

using namespace millrace::engine;
using millrace::base::parse_json;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * 4096 / (1024 * 1024);
}

class Bench {
 public:
  explicit Bench(int shares) : engine_(config()), shares_(shares) {
    send(HostUp{"i-0123456789abcdef0", 64'000, 1'000'000, 0});
    call(ApiOperation::kCreateComputeEnvironment,
         R"({"computeEnvironmentName":"ce","type":"UNMANAGED","serviceRole":"r"})");
    call(ApiOperation::kCreateSchedulingPolicy,
         R"({"name":"p","fairsharePolicy":{"shareDecaySeconds":3600}})");
    for (const char* queue : {"a", "b"})
      call(ApiOperation::kCreateJobQueue,
           std::string(R"({"jobQueueName":")") + queue +
               R"(","priority":1,"computeEnvironmentOrder":[{"order":1,"computeEnvironment":"ce"}])" +
               (shares > 1
                    ? R"(,"schedulingPolicyArn":"arn:aws:batch:us-east-1:123456789012:scheduling-policy/p")"
                    : "") +
               "}");
    call(ApiOperation::kRegisterJobDefinition, R"({"jobDefinitionName":"d","type":"container",
        "containerProperties":{"image":"busybox","command":["true"],"resourceRequirements":[
        {"type":"VCPU","value":"1"},{"type":"MEMORY","value":"128"}]}})");
  }

  void submit(int jobs, int array_size) {
    for (int i = 0; i < jobs; ++i) {
      std::string input = R"({"jobName":"j","jobDefinition":"d","jobQueue":")";
      input += i % 2 ? "b\"" : "a\"";
      if (shares_ > 1)
        input += R"(,"shareIdentifier":"share-)" + std::to_string(i / 2 % (shares_ / 2)) + "\"";
      if (array_size > 0) input += R"(,"arrayProperties":{"size":)" + std::to_string(array_size) + "}";
      call(ApiOperation::kSubmitJob, input + "}");
    }
  }

  // µs of CPU of each, when `count` jobs have ended and as many been placed.
  double decide(int count) {
    double before = cpu_seconds();
    for (int i = 0; i < count; ++i) {
      uint64_t token = running_[next_++];
      now_ += 100;
      AttemptFinished report;
      report.token = token;
      report.started = true;
      report.exit_code = 0;
      report.started_at = now_ - 6'400;
      report.stopped_at = now_;
      send(report);
    }
    return (cpu_seconds() - before) / count * 1e6;
  }

 private:
  static Config config() {
    Config config;
    config.id_seed = "0123456789abcdef";
    return config;
  }
  void send(const Command& command) {
    Outcome outcome = engine_.apply(command, now_);
    for (Effect& effect : outcome.effects)
      if (auto* start = std::get_if<StartAttempt>(&effect)) running_.push_back(start->token);
    engine_.take_changes();
    engine_.forget_finished();
  }
  void call(ApiOperation operation, const std::string& input) {
    send(ApiCommand{operation, parse_json(input).as_object(), "11111111-2222-4333-8444-555555555555"});
  }

  Engine engine_;
  int shares_;
  TimeMs now_ = 1'700'000'000'000;
  std::vector<uint64_t> running_;
  size_t next_ = 0;
};

// In a process of its own, so that its memory is its own.
void measure(const char* what, int shares, int jobs, int array_size) {
  std::fflush(stdout);
  if (pid_t child = fork(); child != 0) {
    waitpid(child, nullptr, 0);
    return;
  }
  double memory = resident_mib(), began = cpu_seconds();
  Bench bench(shares);
  bench.submit(jobs, array_size);
  double submitted = cpu_seconds() - began, used = resident_mib() - memory;
  std::printf("%-44s %6.1f µs a submission %6.1f µs a decision %6.0f MiB\n", what, submitted / jobs * 1e6,
              bench.decide(20'000), used);
  std::fflush(stdout);
  _exit(0);
}

}  // namespace

int main() {
  measure("1,000,000 jobs in 2 queues without policy", 1, 1'000'000, 0);
  measure("1,000,000 jobs in 1,000 shares", 1'000, 1'000'000, 0);
  measure("100 arrays of 10,000", 1, 100, 10'000);
}
