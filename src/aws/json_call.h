// Calls AWS's JSON APIs from inside a job: signed, tried again when the service is busy, endpoint and
// credentials from the environment.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "aws/credentials.h"
#include "base/json.h"
#include "http/client.h"

namespace millrace::aws {

// The answer of a JSON service. Throws ApiError for an AWS error.
base::json::object read_json_answer(const http::ClientResponse& response);

// One service ("batch", "secretsmanager", "ssm"). Thread-safe.
class JsonService {
 public:
  // Endpoint: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, else AWS's own of the region (AWS_REGION,
  // AWS_DEFAULT_REGION, the profile's, us-east-1).
  JsonService(std::string service, std::shared_ptr<http::Client> client);

  // JSON 1.1: "secretsmanager.GetSecretValue". Throttling and answers of 5xx are tried again with growing
  // pauses
  // (`attempts_max` in all); then TransientError. Throws ApiError for what the service refuses.
  base::json::object call(const std::string& target, const base::json::object& input);
  // POST to a path of a REST service: "/v1/submitjob".
  base::json::object post(const std::string& path, const base::json::object& input);
  const std::string& endpoint() const { return endpoint_; }

  int attempts_max = 5;

 private:
  base::json::object send(const http::ClientRequest& request);

  std::string service_, endpoint_, region_, ca_file_;
  std::shared_ptr<http::Client> client_;
  std::unique_ptr<CredentialsProvider> credentials_;
};

// The value of a secret named as job definitions name it: an ARN or name of Secrets Manager, with
// ":json-key:version-stage:version-id" behind an ARN where only one value of a JSON secret is meant, or the
// ARN of a parameter of Systems Manager. Throws what the service says.
std::string read_secret(const std::string& reference, std::shared_ptr<http::Client> client);

}  // namespace millrace::aws
