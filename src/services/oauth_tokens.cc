#include "services/oauth_tokens.h"

#include <fmt/format.h>

#include <chrono>

#include "base/error.h"
#include "base/strings.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;

constexpr int kStallSeconds = 5;  // EventBridge waits so long for an API destination
// A token is not used in its last seconds: it has to arrive.
constexpr base::TimeMs kMarginMs = 10'000;

// expires_in is a number of seconds; some servers write it as a string. Nothing: not said.
std::optional<int64_t> lifetime_seconds(const json::object& answer) {
  if (auto number = base::find_int(answer, "expires_in")) return number;
  if (auto text = base::find_string(answer, "expires_in")) return base::parse_number<int64_t>(*text);
  return std::nullopt;
}

}  // namespace

http::ClientRequest http_request_of(const json::object& call) {
  http::ClientRequest request;
  request.url = text_of(call, "url");
  request.method = text_of(call, "method");
  for (const json::value& header : call.at("headers").as_array())
    request.headers.add(std::string(base::view(header.at(0).as_string())),
                        std::string(base::view(header.at(1).as_string())));
  request.body = text_of(call, "body");
  request.stall_timeout = std::chrono::seconds(kStallSeconds);
  request.connect_timeout = std::chrono::seconds(kStallSeconds);
  return request;
}

void OAuthTokens::get(const json::object& request, const Done& done) {
  const std::string key = json::serialize(request);
  std::string known;
  {
    std::lock_guard lock(mutex_);
    if (tokens_.size() >= kMost)
      std::erase_if(tokens_, [](const auto& entry) { return entry.second.waiting.empty(); });
    Token& token = tokens_[key];
    if (!token.value.empty() && clock_.now_ms() < token.until) {
      known = token.value;
    } else {
      token.waiting.push_back(done);
      if (token.waiting.size() > 1) return;
    }
  }
  if (!known.empty()) return done(known, {});
  client_.send(
      http_request_of(request),
      [this, key](http::ClientResponse response, std::exception_ptr error) { take(key, response, error); });
}

void OAuthTokens::take(const std::string& key, const http::ClientResponse& response,
                       std::exception_ptr error) {
  std::string token;
  std::optional<int64_t> seconds;
  events::DeliveryResult failure;
  if (error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      failure = {false, fmt::format("no token: {}", e.what()), "TIMEOUT", false, 0};
    }
  } else {
    try {
      json::value parsed = base::parse_json(response.body);
      if (const json::object* object = parsed.if_object(); object && response.status < 300) {
        token = text_of(*object, "access_token");
        seconds = lifetime_seconds(*object);
      }
    } catch (const base::CorruptError&) {
    }
    if (token.empty())
      failure = {false,
                 fmt::format("the authorization endpoint answered HTTP {} without a token", response.status),
                 "NO_PERMISSIONS", response.status < 500 && response.status != 429, 0};
  }
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    Token& kept = tokens_[key];
    waiting.swap(kept.waiting);
    kept.value = token;
    // How long it lives was not said: only who waits now gets it.
    kept.until = seconds && *seconds < INT32_MAX ? clock_.now_ms() + *seconds * 1000 - kMarginMs : 0;
  }
  for (const Done& done : waiting) done(token, failure);
}

void OAuthTokens::forget(const json::object& request, const std::string& token) {
  std::lock_guard lock(mutex_);
  auto found = tokens_.find(json::serialize(request));
  if (found != tokens_.end() && found->second.value == token) found->second.until = 0;
}

}  // namespace millrace::services
