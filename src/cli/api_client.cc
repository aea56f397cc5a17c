#include "cli/api_client.h"

#include "aws/api_error.h"
#include "aws/sigv4.h"
#include "base/strings.h"

namespace millrace::cli {

namespace json = base::json;

json::object ApiClient::batch(const std::string& operation, const json::object& input) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = endpoint_ + "/v1/" + base::to_lower(operation);
  request.headers.add("Content-Type", "application/json");
  request.body = json::serialize(input);
  return send(std::move(request), "batch");
}

json::object ApiClient::logs(const std::string& operation, const json::object& input) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = endpoint_ + "/";
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", "Logs_20140328." + operation);
  request.body = json::serialize(input);
  return send(std::move(request), "logs");
}

json::object ApiClient::own(const std::string& path, const json::object& input) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = endpoint_ + "/" + path;
  request.headers.add("Content-Type", "application/json");
  request.body = json::serialize(input);
  return send(std::move(request), "millrace");
}

json::object ApiClient::send(http::ClientRequest request, const std::string& service) {
  aws::sign(request, credentials_, region_, service, base::SystemClock().now_ms());
  http::ClientResponse response = client_.send(std::move(request));
  json::object answer;
  if (!response.body.empty()) {
    json::value parsed = base::parse_json(response.body);
    if (json::object* object = parsed.if_object()) answer = std::move(*object);
  }
  if (response.status < 300) return answer;
  std::string code(response.headers.get("x-amzn-ErrorType"));
  if (code.empty()) code = base::find_string(answer, "__type").value_or("");
  throw aws::ApiError(response.status, code,
                      std::string(base::find_string(answer, "message").value_or("no message")));
}

}  // namespace millrace::cli
