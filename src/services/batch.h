// AWS Batch: decoded requests to the engine, its answers back.
#pragma once

#include <functional>
#include <string_view>
#include <variant>

#include "aws/model.h"
#include "base/json.h"
#include "engine/driver.h"

namespace millrace::services {

class BatchService {
 public:
  using Reply = engine::Driver::Reply;

  explicit BatchService(engine::Driver& driver) : driver_(driver) {}
  static bool implements(std::string_view operation);
  // Answers in the engine's thread: writes after their commit, reads with durable state. Thread-safe.
  void call(const aws::Operation& operation, base::json::object input, Reply reply);
  // What only Millrace answers: {jobId} to Engine::explain() of that job.
  void explain(base::json::object input, Reply reply);

 private:
  using Query = std::function<base::json::object(const engine::Engine& engine, engine::Store& store)>;
  void read(Query query, Reply reply);

  engine::Driver& driver_;
};

}  // namespace millrace::services
