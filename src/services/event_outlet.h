// Where events are delivered: the engine, log groups, buckets, HTTP.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "base/worker_pool.h"
#include "engine/driver.h"
#include "events/delivery.h"
#include "http/client.h"
#include "logs/log_store.h"
#include "objects/directory_store.h"
#include "services/oauth_tokens.h"

namespace millrace::services {

// Thread-safe. Everything passed in outlives it.
class EventOutlet final : public events::Outlet {
 public:
  EventOutlet(engine::Driver& driver, logs::LogStore& logs, objects::DirectoryStore& objects,
              const base::Clock& clock);
  void send(const events::Delivery& delivery, const std::string& token, bool expired, Done done) override;

 private:
  void submit(const base::json::object& submit, const std::string& token, bool expired, Done done);
  events::DeliveryResult write_log(const base::json::object& request);
  events::DeliveryResult write_object(const base::json::object& request);
  void call_http(const base::json::object& call, Done done);
  void send_http(http::ClientRequest request, std::function<void(events::DeliveryResult, int)> done);

  engine::Driver& driver_;
  logs::LogStore& logs_;
  objects::DirectoryStore& objects_;
  const base::Clock& clock_;
  base::WorkerPool workers_{2};  // for what waits for the disk
  // The client is gone, and with it who asks for tokens, before the tokens are.
  OAuthTokens tokens_{http_, clock_};
  http::Client http_{64};
};

}  // namespace millrace::services
