// A host that keeps the contract of exec::Executor and is otherwise as unpleasant as that contract allows:
// messages are under way for a while, reports come late, twice, in another order or not at all, and the host
// dies with everything on it.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/command.h"
#include "tests/simulation/random.h"

namespace millrace::simulation {

using base::TimeMs;

class SimulatedHost {
 public:
  SimulatedHost(Random& random, int64_t vcpus, int64_t memory_mib)
      : random_(random), vcpus_milli_(vcpus * 1000), memory_mib_(memory_mib) {}

  // ---- the engine's side ----
  // Connects a restarted engine and tells it what became of the attempts it believes in.
  void adopt(const std::vector<uint64_t>& believed);
  // The engine is gone: part of what it sent last has still arrived, no report of this host reaches it.
  void disconnect();
  // Puts an effect under way.
  void send(engine::Effect effect) { link_.push_back(std::move(effect)); }
  // Reports for the engine, in the order in which they arrive there.
  std::deque<engine::Command> reports;
  engine::HostUp offer() const;

  // ---- the world's side ----
  // Something happens: a message arrives, a process starts or ends, time runs out.
  void step(TimeMs now);
  // The host dies; another one takes its place.
  void die(TimeMs now);
  // Everything under way arrives, everything that runs ends, and every report is on its way.
  void settle(TimeMs now);

  struct Process {
    std::string job_id;
    int attempt = 0;
    uint64_t after = 0;  // begins when that one has ended
    bool running = false;
    TimeMs started_at = 0;
    TimeMs kill_at = 0;  // told to stop; 0: not
  };
  const std::map<uint64_t, Process>& processes() const { return processes_; }
  // What really became of an attempt; nothing while it is open.
  const engine::AttemptFinished* truth(uint64_t token) const;
  // Reports that did not arrive as they were sent.
  struct Faults {
    int lost = 0, repeated = 0, early = 0;
  };
  const Faults& faults() const { return faults_; }
  // Broken promises of the engine towards this host.
  std::vector<std::string> violations;

 private:
  void receive(const engine::Effect& effect);
  bool may_begin(const Process& process) const { return !processes_.contains(process.after); }
  void close_gap(uint64_t token, uint64_t front);
  void begin(uint64_t token, Process& process, TimeMs now);
  void end(uint64_t token, TimeMs now);
  void report(engine::Command command);

  Random& random_;
  const int64_t vcpus_milli_, memory_mib_;
  int number_ = 1;  // of the host that is there now
  bool connected_ = false;
  TimeMs now_ = 0;

  std::deque<engine::Effect> link_;
  std::map<uint64_t, Process> processes_;
  std::set<uint64_t> seen_;  // by this host: a second start of the same token is ignored
  std::map<uint64_t, engine::AttemptFinished> unacknowledged_;
  std::set<uint64_t> lost_;   // with a host that died, until acknowledged
  std::set<uint64_t> begun_;  // tokens whose process ever was, on any host
  std::map<uint64_t, engine::AttemptFinished> truth_;
  Faults faults_;
};

}  // namespace millrace::simulation
