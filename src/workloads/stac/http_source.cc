#include "workloads/stac/http_source.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <queue>
#include <random>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "base/time.h"
#include "base/url.h"
#include "objects/s3_client.h"
#include "objects/store.h"

namespace millrace::stac {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int kRedirectsMax = 5;
constexpr int kBrokenAttemptsMax = 3;
// How long a thread sleeps at most before it looks whether it should stop.
constexpr milliseconds kLook{200};

std::string shown(const std::string& url) { return url.substr(0, url.find('?')); }

double random_share() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(random);
}

void refuse_large(const http::ClientRequest& request, const http::Headers& headers, uint64_t body_max) {
  auto length = base::parse_number<uint64_t>(headers.get("content-length"));
  if (length && *length > body_max)
    throw base::CorruptError(shown(request.url) + " has " + base::human_bytes(*length) + ", more than " +
                                 base::human_bytes(body_max),
                             "TooLarge");
}

}  // namespace

std::string resolve_reference(const std::string& base_url, std::string_view reference) {
  if (reference.starts_with("http://") || reference.starts_with("https://")) return std::string(reference);
  base::Url url = base::parse_url(base_url);
  if (reference.starts_with("//")) return url.scheme + ":" + std::string(reference);
  if (reference.starts_with("/")) return url.origin() + std::string(reference);
  if (reference.starts_with("?")) return url.origin() + url.path + std::string(reference);
  return url.origin() + url.path.substr(0, url.path.rfind('/') + 1) + std::string(reference);
}

std::optional<milliseconds> retry_after(std::string_view value, int64_t now_ms) {
  value = base::trim(value);
  if (auto seconds = base::parse_number<double>(value); seconds && *seconds >= 0)
    return milliseconds(static_cast<int64_t>(std::min(*seconds, 1e6) * 1000));
  if (auto date = base::parse_http_date(value)) return milliseconds(std::max<int64_t>(0, *date - now_ms));
  return std::nullopt;
}

HttpSource::HttpSource(HttpOptions options) : options_(std::move(options)), client_(options_.connections) {}
HttpSource::~HttpSource() = default;

void HttpSource::check_stop() const {
  if (options_.check_stop) options_.check_stop();
}

milliseconds HttpSource::backoff(int attempt) const {
  milliseconds most = std::min(options_.pause_max, options_.pause * (1 << std::min(attempt, 16)));
  return milliseconds(static_cast<int64_t>(static_cast<double>(most.count()) * (0.1 + 0.9 * random_share())));
}

http::ClientRequest HttpSource::item_request(const std::string& url) const {
  http::ClientRequest request;
  request.url = url;
  request.headers.add("Accept", "application/geo+json, application/json;q=0.9, */*;q=0.1");
  return request;
}

HttpSource::Verdict HttpSource::judge(const http::ClientRequest& request,
                                      const http::ClientResponse& response, const std::exception_ptr& error,
                                      int attempt) {
  Verdict verdict;
  const bool last = attempt + 1 >= options_.attempts_max;
  if (error) {
    try {
      std::rethrow_exception(error);
    } catch (const base::TransientError&) {
      if (last) throw;
    }
    ++traffic_.retries;
    verdict.again = Steady::now() + backoff(attempt);
    return verdict;
  }
  const int status = response.status;
  const std::string what = request.method + " " + shown(request.url) + " answered " + std::to_string(status);
  const std::string code = "Http" + std::to_string(status);
  if (status / 100 == 2) {
    traffic_.bytes += response.body.size();
    verdict.good = true;
    return verdict;
  }
  if (status / 100 == 3 && response.headers.has("location")) {
    verdict.redirect = resolve_reference(request.url, response.headers.get("location"));
    return verdict;
  }
  if (status == 408 || status == 425 || status == 429 || status / 100 == 5) {
    if (status == 429 || status == 503) ++traffic_.throttled;
    std::optional<milliseconds> wait;
    if (response.headers.has("retry-after"))
      wait = retry_after(response.headers.get("retry-after"), base::SystemClock().now_ms());
    if (wait && *wait > options_.wait_max)
      throw base::TransientError(
          what + " and wants to be left alone for " + std::to_string(wait->count() / 1000) + " s", code);
    if (last) throw base::TransientError(what + ", " + std::to_string(attempt + 1) + " times", code);
    ++traffic_.retries;
    verdict.again = Steady::now() + (wait ? *wait : backoff(attempt));
    // The others would only be told the same.
    if (wait || status == 429) {
      int64_t until = verdict.again.time_since_epoch().count(), now = not_before_.load();
      while (now < until && !not_before_.compare_exchange_weak(now, until)) {
      }
    }
    return verdict;
  }
  if (status == 404 || status == 410) throw base::NotFoundError(what, code);
  if (status == 401 || status == 403) throw base::DeniedError(what, code);
  std::string text = response.body.substr(0, 300);
  throw base::InternalError(what + (text.empty() ? "" : ": " + text), code);
}

http::ClientResponse HttpSource::request(const http::ClientRequest& original) {
  http::ClientRequest request = original;
  int redirects = 0;
  for (int attempt = 0;;) {
    for (Steady::time_point until = not_before(); Steady::now() < until;) {
      check_stop();
      std::this_thread::sleep_for(std::min<Steady::duration>(kLook, until - Steady::now()));
    }
    check_stop();
    http::ClientRequest copy = request;
    if (!options_.client_id.empty()) copy.headers.set("client-id", options_.client_id);
    copy.connect_timeout = options_.connect_timeout;
    copy.stall_timeout = options_.stall_timeout;
    copy.body_max = options_.body_max;  // also of an answer that does not say its length
    copy.on_head = [&](int, const http::Headers& headers) {
      refuse_large(request, headers, options_.body_max);
    };
    http::ClientResponse response;
    std::exception_ptr error;
    ++traffic_.requests;
    try {
      response = client_.send(std::move(copy));
    } catch (...) {
      error = std::current_exception();
    }
    Verdict verdict = judge(request, response, error, attempt);
    if (verdict.good) return response;
    if (!verdict.redirect.empty()) {
      if (++redirects > kRedirectsMax)
        throw base::InternalError(shown(original.url) + ": too many redirects");
      request.url = verdict.redirect;
      continue;
    }
    ++attempt;
    while (Steady::now() < verdict.again) {
      check_stop();
      std::this_thread::sleep_for(std::min<Steady::duration>(kLook, verdict.again - Steady::now()));
    }
  }
}

// What the answers of one fetch_http() come back through. Outlives it when that is left by an exception.
struct HttpSource::Batch {
  struct Answer {
    size_t at;  // in the list
    http::ClientResponse response;
    std::exception_ptr error;
  };
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<Answer> answers;
};

void HttpSource::fetch_all(const std::vector<std::string>& links, size_t concurrency, const OnBody& on_body,
                           const OnError& on_error) {
  std::vector<size_t> over_http, over_s3;
  for (size_t i = 0; i < links.size(); ++i)
    (links[i].starts_with("s3://") ? over_s3 : over_http).push_back(i);
  if (!over_http.empty()) fetch_http(links, over_http, concurrency, on_body, on_error);
  if (!over_s3.empty()) fetch_s3(links, over_s3, concurrency, on_body, on_error);
}

void HttpSource::fetch_http(const std::vector<std::string>& links, const std::vector<size_t>& which,
                            size_t concurrency, const OnBody& on_body, const OnError& on_error) {
  struct State {
    uint8_t attempt = 0, broken = 0, redirects = 0;
  };
  struct Wait {
    Steady::time_point due;
    size_t at;
    bool operator<(const Wait& other) const { return due > other.due; }
  };
  std::vector<State> states(which.size());
  std::map<size_t, std::string> moved;  // redirected: few
  std::priority_queue<Wait> waiting;
  auto batch = std::make_shared<Batch>();
  size_t next = 0, in_flight = 0;

  auto request_of = [&](size_t at) {
    auto found = moved.find(at);
    return item_request(found == moved.end() ? links[which[at]] : found->second);
  };
  auto send = [&](size_t at) {
    http::ClientRequest request = request_of(at);
    if (!options_.client_id.empty()) request.headers.add("client-id", options_.client_id);
    request.connect_timeout = options_.connect_timeout;
    request.stall_timeout = options_.stall_timeout;
    request.body_max = options_.body_max;
    request.on_head = [url = request.url, most = options_.body_max](int, const http::Headers& headers) {
      http::ClientRequest named;
      named.url = url;
      refuse_large(named, headers, most);
    };
    ++in_flight;
    ++traffic_.requests;
    client_.send(std::move(request), [batch, at](http::ClientResponse response, std::exception_ptr error) {
      std::lock_guard lock(batch->mutex);
      batch->answers.push_back({at, std::move(response), std::move(error)});
      if (batch->answers.size() == 1) batch->arrived.notify_one();
    });
  };
  auto take = [&](Batch::Answer& answer) {
    State& state = states[answer.at];
    try {
      Verdict verdict = judge(request_of(answer.at), answer.response, answer.error, state.attempt);
      if (!verdict.redirect.empty()) {
        if (++state.redirects > kRedirectsMax)
          throw base::InternalError(shown(links[which[answer.at]]) + ": too many redirects");
        moved[answer.at] = std::move(verdict.redirect);
        waiting.push({Steady::now(), answer.at});
        return;
      }
      if (!verdict.good) {
        ++state.attempt;
        waiting.push({verdict.again, answer.at});
        return;
      }
    } catch (const base::Error& error) {
      on_error(which[answer.at], error);
      return;
    }
    std::optional<base::CorruptError> broken;
    try {
      on_body(which[answer.at], answer.response.body);
    } catch (const base::CorruptError& error) {
      broken = error;
    }
    if (!broken) return;
    if (broken->code() == "BrokenJson" && ++state.broken < kBrokenAttemptsMax) {
      ++traffic_.retries;
      waiting.push({Steady::now() + backoff(state.broken), answer.at});
    } else {
      on_error(which[answer.at], *broken);
    }
  };

  std::vector<Batch::Answer> answers;
  while (next < which.size() || in_flight > 0 || !waiting.empty()) {
    check_stop();
    Steady::time_point now = Steady::now(), look = now + kLook;
    while (in_flight < concurrency && now >= not_before()) {
      if (!waiting.empty() && waiting.top().due <= now) {
        size_t at = waiting.top().at;
        waiting.pop();
        send(at);
      } else if (next < which.size()) {
        send(next++);
      } else {
        break;
      }
    }
    if (!waiting.empty()) look = std::min(look, waiting.top().due);
    if (not_before() > now) look = std::min(look, not_before());
    {
      std::unique_lock lock(batch->mutex);
      batch->arrived.wait_until(lock, look, [&] { return !batch->answers.empty(); });
      answers.swap(batch->answers);
    }
    for (Batch::Answer& answer : answers) {
      --in_flight;
      take(answer);
    }
    answers.clear();
  }
}

objects::S3Client& HttpSource::bucket(const std::string& name) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<objects::S3Client>& client = buckets_[name];
  if (!client) client = objects::open_s3(name);
  return *client;
}

void HttpSource::fetch_s3(const std::vector<std::string>& links, const std::vector<size_t>& which,
                          size_t concurrency, const OnBody& on_body, const OnError& on_error) {
  std::mutex mutex;  // of the two functions, and of `thrown`
  std::atomic<size_t> next{0};
  std::atomic<bool> ended{false};
  std::exception_ptr thrown;
  auto end_all = [&] {  // called with the lock held, in a handler
    if (!thrown) thrown = std::current_exception();
    ended = true;
  };
  auto fail = [&](size_t i, const base::Error& error) {
    std::lock_guard lock(mutex);
    try {
      on_error(i, error);
    } catch (...) {
      end_all();
    }
  };
  // False: the answer was cut short.
  auto hand_over = [&](size_t i, std::string& body, bool last) {
    std::optional<base::CorruptError> broken;
    {
      std::lock_guard lock(mutex);
      try {
        on_body(i, body);
      } catch (const base::CorruptError& error) {
        broken = error;
      } catch (...) {
        end_all();
      }
    }
    if (!broken) return true;
    if (broken->code() == "BrokenJson" && !last) return false;
    fail(i, *broken);
    return true;
  };
  auto fetch_one = [&](size_t i) {
    objects::Location place = objects::parse_location(links[i]);
    for (int attempt = 1;; ++attempt) {
      std::string body;
      ++traffic_.requests;
      bucket(place.bucket).get(place.path, [&](std::string_view bytes) {
        if (body.size() + bytes.size() > options_.body_max)
          throw base::CorruptError(links[i] + " is larger than " + base::human_bytes(options_.body_max),
                                   "TooLarge");
        body += bytes;
      });
      traffic_.bytes += body.size();
      if (hand_over(i, body, attempt == kBrokenAttemptsMax)) return;
    }
  };
  auto work = [&] {
    for (size_t at; !ended && (at = next++) < which.size();) {
      try {
        check_stop();
        try {
          fetch_one(which[at]);
        } catch (const base::Error& error) {
          fail(which[at], error);
        }
      } catch (...) {
        std::lock_guard lock(mutex);
        end_all();
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < std::min(concurrency, which.size()); ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace millrace::stac
