#include "cli/api_client.h"

#include "aws/json_call.h"
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
  return aws::read_json_answer(client_.send(std::move(request)));
}

}  // namespace millrace::cli
