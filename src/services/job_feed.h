// What AWS Batch tells EventBridge: from the engine to the default event bus.
#pragma once

#include "engine/driver.h"
#include "events/hub.h"
#include "exec/dispatch.h"

namespace millrace::services {

// Every change of a job that was made while somebody listened is one event, also across a crash: the engine
// keeps what it tells until the hub has it, and the hub commits how far it was told with what it makes of it.
// All arguments outlive it.
class JobFeed final : public exec::NoticeListener {
 public:
  JobFeed(events::Hub& hub, engine::Driver& driver) : hub_(hub), driver_(driver) {}
  // Tells what another process had yet to tell. Before the hub and the driver start.
  void catch_up(engine::Store& store);

  bool listens() const override { return hub_.listens(); }
  void tell(engine::JobNotice notice) override;

 private:
  events::Hub& hub_;
  engine::Driver& driver_;
};

}  // namespace millrace::services
