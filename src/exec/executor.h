// Where attempts run. The engine decides; an Executor performs and reports.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace millrace::exec {

// Names one attempt for ever: never used twice, also not after a restart.
using AttemptToken = uint64_t;

struct AttemptSpec {
  AttemptToken token = 0;
  AttemptToken after = 0;  // not before this one has ended; 0, or one that is not there: at once
  std::string
      image;  // "millrace": this program as a plain process; anything else: see RunnerOptions::runtime
  std::vector<std::string> command;  // argv; command[0] is looked up in PATH of `environment`
  std::vector<std::pair<std::string, std::string>> environment;  // the whole of it
  std::string working_directory;  // empty: a fresh scratch folder, removed afterwards
  double vcpus = 1;
  int64_t memory_mib = 0;  // limit; 0: none
  std::string log_group;
  std::string log_stream;
};

// How an attempt ended.
struct AttemptOutcome {
  AttemptToken token = 0;
  bool started = false;    // a process was there; false: `reason` says why not (CannotPullContainerError: …)
  bool host_lost = false;  // the runner died under it
  bool never_received =
      false;             // adopt() only: the host lives and has never heard of it, so it may be started
  bool revoked = false;  // it had not begun when revoke() came
  std::optional<int> exit_code;  // 128 + signal when a signal ended it
  bool out_of_memory = false;
  std::string reason;  // container reason as AWS has it, empty for an ordinary exit
  base::TimeMs started_at = 0;
  base::TimeMs stopped_at = 0;
  int64_t user_us = 0, system_us = 0, rss_bytes_max = 0;
};

struct Capacity {
  double vcpus = 0;
  int64_t memory_mib = 0;
  int gpus = 0;
};

// Takes reports. Called in the executor's thread; must not block.
class ExecutorListener {
 public:
  virtual ~ExecutorListener() = default;
  virtual void attempt_started(AttemptToken token, base::TimeMs at) = 0;
  // Repeated after a restart until acknowledged.
  virtual void attempt_finished(const AttemptOutcome& outcome) = 0;
  // The host and every attempt on it are gone; attempt_finished(host_lost) follows for each. `instance` is
  // the name it had; Executor::instance() already names the host that took its place.
  virtual void host_lost(const std::string& instance) = 0;
};

// Thread-safe. No call blocks on an attempt.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual Capacity capacity() const = 0;
  // "i-0123456789abcdef0": the name of the host, as EC2 would give it; new after a loss.
  virtual std::string instance() const = 0;
  // Tells which attempts the engine believes to be running. Reports go to `listener` from now on: attempts
  // that run are adopted, those unknown to the host are reported as never_received (host_lost when the host
  // died since the engine was last here), and those that the engine does not name are killed. Call once,
  // before anything else.
  virtual void adopt(const std::vector<AttemptToken>& believed, ExecutorListener& listener) = 0;
  // The record of the attempt must be durable before. A second start of the same token is ignored.
  virtual void start(std::vector<AttemptSpec> attempts) = 0;
  // Forgets an attempt that has not begun, and reports it as revoked; does nothing to one that has.
  virtual void revoke(AttemptToken token) = 0;
  // SIGTERM to the process group, SIGKILL to everything of it after `grace_ms`. Unknown tokens are ignored.
  virtual void stop(AttemptToken token, int64_t grace_ms) = 0;
  // The outcome is durable at the engine: the executor may forget it.
  virtual void acknowledge(const std::vector<AttemptToken>& tokens) = 0;
};

}  // namespace millrace::exec
