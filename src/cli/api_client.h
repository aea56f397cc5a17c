// Calls the JSON APIs of an engine as any AWS client would: signed, over HTTP.
#pragma once

#include <string>

#include "aws/credentials.h"
#include "base/json.h"
#include "http/client.h"

namespace millrace::cli {

class ApiClient {
 public:
  ApiClient(http::Client& client, std::string endpoint, std::string region, aws::Credentials credentials)
      : client_(client),
        endpoint_(std::move(endpoint)),
        region_(std::move(region)),
        credentials_(std::move(credentials)) {}

  // POST /v1/<operation in lower case>. Throws aws::ApiError for an AWS error, TransientError without an
  // answer.
  base::json::object batch(const std::string& operation, const base::json::object& input);
  // CloudWatch Logs (JSON 1.1).
  base::json::object logs(const std::string& operation, const base::json::object& input);
  // What only Millrace answers: POST /<path>.
  base::json::object own(const std::string& path, const base::json::object& input);

 private:
  base::json::object send(http::ClientRequest request, const std::string& service);

  http::Client& client_;
  std::string endpoint_, region_;
  aws::Credentials credentials_;
};

}  // namespace millrace::cli
