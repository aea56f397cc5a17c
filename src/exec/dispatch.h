// Between the engine and an executor: effects become calls, reports become commands.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/driver.h"
#include "exec/executor.h"

namespace millrace::exec {

// What every job gets beside its own environment: where the APIs are and who it is there. Called in the
// engine's thread.
using JobEnvironment =
    std::function<std::vector<std::pair<std::string, std::string>>(const engine::StartAttempt& attempt)>;

// Both objects outlive the dispatch; the driver must be stopped, and the executor gone, before it is
// destroyed.
class Dispatch final : public engine::Performer, public ExecutorListener {
 public:
  Dispatch(engine::Driver& driver, Executor& executor, JobEnvironment environment);
  // Has the attempts adopted that the engine believes to be running, and offers the host to it. Call after
  // Driver::start().
  void begin(const std::vector<AttemptToken>& believed);

  void perform(std::vector<engine::Effect> effects) override;
  void attempt_started(AttemptToken token, base::TimeMs at) override;
  void attempt_finished(const AttemptOutcome& outcome) override;
  void host_lost(const std::string& instance) override;

 private:
  void offer_host();

  engine::Driver& driver_;
  Executor& executor_;
  JobEnvironment environment_;
};

}  // namespace millrace::exec
