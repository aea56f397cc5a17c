// The access tokens of OAuth connections: asked for with the client's credentials (RFC 6749 section 4.4),
// kept until they expire.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "events/delivery.h"
#include "http/client.h"

namespace millrace::services {

// A call as events::http_call describes it, as the HTTP client takes it: url, method, headers, body.
http::ClientRequest http_request_of(const base::json::object& call);

// Thread-safe. The client and the clock outlive it; answers come in the client's thread, or at once.
class OAuthTokens {
 public:
  // A token, or (when it is empty) why there is none.
  using Done = std::function<void(const std::string& token, const events::DeliveryResult& failure)>;

  OAuthTokens(http::Client& client, const base::Clock& clock) : client_(client), clock_(clock) {}

  // `request` is the call that asks for a token. Who asks while another is being asked waits for that one.
  void get(const base::json::object& request, const Done& done);
  // The target did not take it: the next get() asks anew.
  void forget(const base::json::object& request, const std::string& token);

 private:
  struct Token {
    std::string value;
    base::TimeMs until = 0;
    std::vector<Done> waiting;  // not empty: it is being asked for
  };
  void take(const std::string& key, const http::ClientResponse& response, std::exception_ptr error);

  static constexpr size_t kMost = 1000;  // connections are few; changed ones leave theirs behind
  http::Client& client_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Token> tokens_;  // by the request
};

}  // namespace millrace::services
