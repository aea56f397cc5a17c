// An engine, its store, a host and its users in one thread, and everything that can go wrong between them.
// What the users were told is remembered; after every step the engine is held to it.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/store.h"
#include "tests/simulation/random.h"
#include "tests/simulation/simulated_host.h"

namespace millrace::simulation {

namespace json = base::json;

// Thrown at the first broken promise; the message says which.
struct Violation : std::runtime_error {
  using runtime_error::runtime_error;
};

class EngineWorld {
 public:
  // `folder` is private to this world and holds the engine's state.
  EngineWorld(uint64_t seed, std::string folder);
  // Lives through the steps of these numbers and a quiet end. Each step has dice of its own, so that leaving
  // some out changes the others no more than it must. Throws Violation.
  void run(const std::vector<int>& steps);
  // Adds a line for whatever happens from now on.
  void tell_to(std::vector<std::string>* story) { story_ = story; }

  // What happened, so that a test can see that it happened at all.
  struct Counts {
    int submitted = 0, succeeded = 0, failed = 0, retried = 0, timed_out = 0, terminated = 0;
    int crashes = 0, failed_commits = 0, host_deaths = 0, resent = 0;
    int passed = 0;
    int on_deck = 0, revoked = 0, dependent = 0, arrays = 0;
    int clock_jumps = 0, reasons = 0;
    int64_t commands = 0, lived_ms = 0;
    SimulatedHost::Faults reports;  // of the host to the engine
    void add(const Counts& other);
  };
  const Counts& counts() const { return counts_; }

 private:
  // Where the engine dies, or what its disk does, in the coming group.
  enum class Fate {
    kGood,
    kDiesBeforeCommit,
    kDiesBeforeEffects,
    kDiesAmongEffects,
    kDiesAmongReplies,
    kDiskFull
  };
  struct Answer {
    engine::Command command;
    std::variant<json::object, engine::Refusal> reply;
  };
  // Everything a user can ask for, as text; the reasons of waiting jobs left out: they speak of the host.
  using Snapshot = std::map<std::string, std::string>;

  void step();
  void jump_clock();
  engine::Command random_command();
  engine::Command submission();
  std::string a_job();
  std::string id_of(engine::JobSeq seq) const;
  std::string environment_order();
  std::string policy();
  void run_group(std::vector<engine::Command> group, Fate fate);
  engine::Outcome apply(const engine::Command& command);
  void tell(const Answer& answer);
  void crash();
  void load();
  void commit_fails(engine::Changes changes);
  void settle();

  void check_started(engine::JobSeq, const std::set<engine::JobSeq>& started);
  void check_effect(const engine::Effect& effect);
  void check_jobs();
  void check_room();
  void check_lines();
  void check_consumables();
  void check_nothing_waits_for_nothing();
  struct Used {
    int64_t milli = 0, mib = 0;
    std::map<const engine::ComputeEnvironment*, int64_t> of;  // vCPUs/1000
  };
  Used used_room() const;
  void check_reasons();
  void check_reason(const engine::Job& job, const Used& used);
  void check_block(const engine::Job& job, const std::string& text, const Used& used);
  void check_passing(const engine::Job& job, const engine::Job& first) const;
  void check_dependencies(const engine::Job& job);
  void check_array(const engine::Job& job);
  struct Wishes {
    int64_t attempts = 1;
    std::vector<engine::JobSeq> depends_on;
  };
  const Wishes& wishes_of(const engine::Job& job);
  bool is_unmade_child(engine::JobSeq seq);
  std::optional<engine::JobStatus> end_of(engine::JobSeq seq);
  void check_finished(engine::JobSeq seq);
  void check_end(const engine::Job& job);
  Snapshot snapshot();
  std::string describe_text(engine::JobSeq seq);
  // Throws Violation unless `truth`.
  template <typename... Args>
  void hold(bool truth, const char* format, const Args&... args) const {
    if (truth) return;
    throw Violation(fmt::format("step {}: {}", step_, fmt::format(fmt::runtime(format), args...)));
  }

  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (story_)
      story_->push_back(fmt::format("{:>5} ", step_) + fmt::format(format, std::forward<Args>(args)...));
  }

  const uint64_t seed_;
  std::vector<std::string>* story_ = nullptr;
  Random random_;
  std::string folder_;
  int files_ = 0;
  SimulatedHost host_;
  engine::Config config_;
  std::unique_ptr<engine::Store> store_;
  std::unique_ptr<engine::Engine> engine_;
  engine::HostUp offered_;  // what the engine last heard of the host; no instance: nothing
  engine::TimeMs now_ = 1'700'000'000'000;
  int step_ = 0;
  int uuids_ = 0;

  std::map<engine::JobSeq, Wishes> wishes_;
  std::set<engine::JobSeq> rows_;                     // jobs that were committed
  std::map<engine::JobSeq, engine::JobStatus> ends_;  // of finished ones, once looked at

  // What users were told, or could see.
  std::map<std::string, engine::JobSeq> jobs_;              // acknowledged submissions by id
  std::map<engine::JobSeq, int> arrays_;                    // size by the parent's number
  std::map<engine::JobSeq, std::string> stop_reasons_;      // acknowledged TerminateJobs of live jobs
  std::map<engine::JobSeq, std::string> finished_;          // how finished jobs looked when they finished
  std::map<std::string, int64_t> revisions_;                // highest acknowledged
  std::map<uint64_t, std::pair<std::string, int>> tokens_;  // performed starts: job and attempt
  engine::JobSeq last_job_ = 0;                             // highest durable numbers
  uint64_t last_token_ = 0;
  mutable Counts counts_;
};

}  // namespace millrace::simulation
