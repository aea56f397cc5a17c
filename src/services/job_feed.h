// What AWS Batch tells EventBridge: from the engine to the default event bus.
#pragma once

#include "events/hub.h"
#include "exec/dispatch.h"

namespace millrace::services {

class JobFeed final : public exec::NoticeListener {
 public:
  explicit JobFeed(events::Hub& hub) : hub_(hub) {}
  bool listens() const override { return hub_.listens(); }
  void tell(engine::JobNotice notice) override {
    hub_.publish("aws.batch", std::move(notice.detail_type), std::move(notice.resources),
                 std::move(notice.detail));
  }

 private:
  events::Hub& hub_;
};

}  // namespace millrace::services
