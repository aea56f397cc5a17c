// Pages and items over HTTP (and s3://): tried again where that may help, no faster than the server wants.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "http/client.h"

namespace millrace::objects {
class S3Client;
}

namespace millrace::stac {

struct HttpOptions {
  std::string client_id;  // sent as header `client-id`: operators of CMR ask for it
  size_t connections = 64;
  int attempts_max = 6;
  std::chrono::milliseconds pause{500};  // times 2^n, at most pause_max, times a random share of one
  std::chrono::milliseconds pause_max{30'000};
  std::chrono::milliseconds wait_max{600'000};  // of Retry-After: a server that wants more has failed
  std::chrono::milliseconds connect_timeout{10'000}, stall_timeout{60'000};
  uint64_t body_max = 256ull << 20;  // bytes
  // Called often, also while waiting; throws to end the requests of the thread that calls it.
  std::function<void()> check_stop;
};

struct HttpTraffic {
  std::atomic<uint64_t> requests{0}, retries{0}, throttled{0}, bytes{0};
};

// Thread-safe. Waits of 429 and 503 hold for all requests that it sends. Errors of one request: NotFoundError
// (404, 410), DeniedError (401, 403), TransientError (no answer, 408, 429, 5xx after all attempts; code
// "Http503"), CorruptError (more than body_max), InternalError for the rest; and what check_stop
// throws.
class HttpSource {
 public:
  explicit HttpSource(HttpOptions options);
  ~HttpSource();

  // Blocks; the answer is 2xx.
  http::ClientResponse request(const http::ClientRequest& request);

  // Fetches links (https://, http://, s3://BUCKET/KEY), up to `concurrency` of them at once. Both functions
  // are called in the calling thread or one at a time. `on_body` may throw a CorruptError: one of code
  // BrokenJson is fetched again (an answer may have been cut short), others and the last go to `on_error`.
  // What else either of them throws ends it all and is thrown.
  using OnBody = std::function<void(size_t i, std::string& body)>;
  using OnError = std::function<void(size_t i, const base::Error& error)>;
  void fetch_all(const std::vector<std::string>& links, size_t concurrency, const OnBody& on_body,
                 const OnError& on_error);

  const HttpTraffic& traffic() const { return traffic_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Batch;
  // Nothing: an answer to be given out. Else when to try again; throws when there is no sense in that.
  struct Verdict {
    bool good = false;
    std::string redirect;  // go there instead
    SteadyTime again{};
  };
  Verdict judge(const http::ClientRequest& request, const http::ClientResponse& response,
                const std::exception_ptr& error, int attempt);
  std::chrono::milliseconds backoff(int attempt) const;
  http::ClientRequest item_request(const std::string& url) const;
  void fetch_http(const std::vector<std::string>& links, const std::vector<size_t>& which, size_t concurrency,
                  const OnBody& on_body, const OnError& on_error);
  void fetch_s3(const std::vector<std::string>& links, const std::vector<size_t>& which, size_t concurrency,
                const OnBody& on_body, const OnError& on_error);
  objects::S3Client& bucket(const std::string& name);
  void check_stop() const;
  SteadyTime not_before() const { return SteadyTime(SteadyTime::duration(not_before_.load())); }

  const HttpOptions options_;
  HttpTraffic traffic_;
  std::atomic<int64_t> not_before_{0};  // steady clock: the server wants no request earlier
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<objects::S3Client>> buckets_;
  http::Client client_;  // last: its thread ends before what its answers use
};

// What a Location or a link means on the page `base_url` (RFC 3986 section 5, without dot segments).
std::string resolve_reference(const std::string& base_url, std::string_view reference);

// "Retry-After" (RFC 9110 section 10.2.3): seconds or a date, by this machine's clock. Nothing when it says
// neither.
std::optional<std::chrono::milliseconds> retry_after(std::string_view value, int64_t now_ms);

}  // namespace millrace::stac
