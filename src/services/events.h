// The EventBridge API (AWSEvents) over events::Hub.
#pragma once

#include <exception>
#include <functional>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "events/hub.h"

namespace millrace::services {

// Thread-safe. Inputs are as aws::decode() gives them, outputs as aws::encode() takes them.
class EventsService {
 public:
  using Reply = std::function<void(base::json::object, std::exception_ptr)>;

  explicit EventsService(events::Hub& hub) : hub_(hub) {}
  static bool implements(std::string_view operation);
  // Answers when what was changed is durable, from any thread; errors are aws::ApiError.
  void call(const aws::Operation& operation, base::json::object input, Reply reply);

 private:
  void put_events(const base::json::object& input, const Reply& reply);
  events::Hub& hub_;
};

}  // namespace millrace::services
