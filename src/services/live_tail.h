// StartLiveTail: sessions that send what log groups take in, second by second.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "http/live_body.h"
#include "logs/log_store.h"

namespace millrace::services {

// Limits of the CloudWatch Logs API reference; tests make them shorter.
struct LiveTailOptions {
  // AWS: a second. A little less, so that a line reaches the client within a second of its print.
  std::chrono::milliseconds update_every{900};
  std::chrono::milliseconds session_time_max{3 * 3'600'000};
  size_t sessions_max = 15;
};

struct LiveTailRequest {
  logs::TailQuery query;
  base::json::object start;                    // the sessionStart event
  std::vector<std::string> group_identifiers;  // what updates call the groups of the query
};

// Thread-safe. One thread serves all sessions; a client that does not keep up loses the oldest updates, as at
// AWS (ten may wait).
class LiveTails {
 public:
  LiveTails(logs::LogStore& store, LiveTailOptions options);
  // Ends all sessions.
  ~LiveTails();

  // The body of the answer: event-stream frames. Throws ApiError (LimitExceededException) when there are too
  // many sessions.
  std::shared_ptr<http::LiveBody> start(LiveTailRequest request);

 private:
  struct Session;
  void run();
  // False when the session is over.
  bool update(Session& session);

  logs::LogStore& store_;
  const LiveTailOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Session>> sessions_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::services
