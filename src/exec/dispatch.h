// Between the engine and an executor: effects become calls, reports become commands.
#pragma once

#include <vector>

#include "engine/driver.h"
#include "exec/attempt_setup.h"
#include "exec/executor.h"

namespace millrace::exec {

// Takes what AWS Batch would tell EventBridge.
class NoticeListener {
 public:
  virtual ~NoticeListener() = default;
  // Whether anybody would hear it. Called in the engine's thread, like tell(), which must not block.
  virtual bool listens() const = 0;
  virtual void tell(engine::JobNotice notice) = 0;
};

// All three objects outlive the dispatch; the driver must be stopped, and the executor gone, before it is
// destroyed.
class Dispatch final : public engine::Performer, public ExecutorListener {
 public:
  Dispatch(engine::Driver& driver, Executor& executor, AttemptSetup& setup);
  // Has the attempts adopted that the engine believes to be running, and offers the host to it. Call after
  // Driver::start().
  void begin(const std::vector<AttemptToken>& believed);

  // Before Driver::start(). `listener` outlives the dispatch.
  void tell_to(NoticeListener& listener) { listener_ = &listener; }

  void perform(std::vector<engine::Effect> effects) override;
  bool wants_notices() override { return listener_ && listener_->listens(); }
  void attempt_started(AttemptToken token, base::TimeMs at) override;
  void attempt_finished(const AttemptOutcome& outcome) override;
  void host_lost(const std::string& instance) override;

 private:
  void offer_host();
  // False when the attempt cannot be set up; then that is reported.
  bool set_up(engine::StartAttempt& start, AttemptSpec& spec);

  engine::Driver& driver_;
  Executor& executor_;
  AttemptSetup& setup_;
  NoticeListener* listener_ = nullptr;
};

}  // namespace millrace::exec
