#include "aws/json_call.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "aws/api_error.h"
#include "aws/config_files.h"
#include "aws/sigv4.h"
#include "base/strings.h"
#include "base/time.h"

namespace millrace::aws {
namespace {

namespace json = base::json;

const base::SystemClock& wall_clock() {
  static const base::SystemClock clock;
  return clock;
}

bool is_throttling(std::string_view code) {
  for (const char* name :
       {"ThrottlingException", "TooManyRequestsException", "Throttling", "RequestLimitExceeded"})
    if (code == name) return true;
  return false;
}

}  // namespace

json::object read_json_answer(const http::ClientResponse& response) {
  json::object answer;
  if (!response.body.empty()) {
    json::value parsed = base::parse_json(response.body);
    if (json::object* object = parsed.if_object()) answer = std::move(*object);
  }
  if (response.status < 300) return answer;
  std::string code(response.headers.get("x-amzn-ErrorType"));
  if (code.empty()) code = base::find_string(answer, "__type").value_or("");
  // "Name:http://…" and "prefix#Name".
  code = code.substr(0, code.find(':'));
  if (size_t hash = code.find('#'); hash != std::string::npos) code.erase(0, hash + 1);
  auto message = base::find_string(answer, "message");
  if (!message) message = base::find_string(answer, "Message");
  throw ApiError(response.status, code, std::string(message.value_or("no message")));
}

JsonService::JsonService(std::string service, std::shared_ptr<http::Client> client)
    : service_(std::move(service)), client_(std::move(client)) {
  Environment environment = process_environment();
  ProfileSettings settings = profile_settings(environment);
  auto first = [&](const std::vector<std::string>& names, const std::string& otherwise) {
    for (const std::string& name : names)
      if (auto value = environment(name.c_str()); value && !value->empty()) return *value;
    return otherwise;
  };
  std::string upper = service_ == "secretsmanager" ? "SECRETS_MANAGER" : service_;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  region_ =
      first({"AWS_REGION", "AWS_DEFAULT_REGION"}, settings.region.empty() ? "us-east-1" : settings.region);
  endpoint_ = first({"AWS_ENDPOINT_URL_" + upper, "AWS_ENDPOINT_URL"},
                    "https://" + service_ + "." + region_ + ".amazonaws.com");
  while (endpoint_.ends_with('/')) endpoint_.pop_back();
  ca_file_ = first({"AWS_CA_BUNDLE"}, settings.ca_bundle);
  credentials_ = default_credentials(environment, wall_clock(), client_);
}

json::object JsonService::call(const std::string& target, const json::object& input) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = endpoint_ + "/";
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", target);
  request.body = json::serialize(input);
  return send(request);
}

json::object JsonService::post(const std::string& path, const json::object& input) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = endpoint_ + path;
  request.headers.add("Content-Type", "application/json");
  request.body = json::serialize(input);
  return send(request);
}

json::object JsonService::send(const http::ClientRequest& unsigned_request) {
  std::mt19937_64 random(std::random_device{}());
  for (int attempt = 1;; ++attempt) {
    std::string busy;
    try {
      http::ClientRequest request = unsigned_request;
      request.ca_file = ca_file_;
      sign(request, credentials_->get(), region_, service_, wall_clock().now_ms());
      return read_json_answer(client_->send(std::move(request)));
    } catch (const ApiError& error) {
      if (error.status < 500 && error.status != 429 && !is_throttling(error.code())) throw;
      busy = error.what();
    } catch (const base::TransientError& error) {
      busy = error.what();
    }
    if (attempt >= attempts_max)
      throw base::TransientError(service_ + " at " + endpoint_ + " did not answer " +
                                 std::to_string(attempt) + " times: " + busy);
    int64_t longest_ms = std::min<int64_t>(10'000, 200LL << attempt);
    std::this_thread::sleep_for(std::chrono::milliseconds(
        std::uniform_int_distribution<int64_t>(longest_ms / 2, longest_ms)(random)));
  }
}

std::string read_secret(const std::string& reference, std::shared_ptr<http::Client> client) {
  std::vector<std::string_view> parts = base::split(reference, ':');
  if (parts.size() >= 6 && parts[0] == "arn" && parts[2] == "ssm") {
    JsonService service("ssm", std::move(client));
    std::string name(parts[5]);
    if (name.starts_with("parameter")) name.erase(0, std::string_view("parameter").size());
    // "/a/b" is named with its slash, "a" without.
    if (name.find('/', 1) == std::string::npos && name.starts_with('/')) name.erase(0, 1);
    json::object answer = service.call("AmazonSSM.GetParameter", {{"Name", name}, {"WithDecryption", true}});
    const json::object* parameter = base::find_object(answer, "Parameter");
    auto value = parameter ? base::find_string(*parameter, "Value") : std::nullopt;
    if (!value) throw base::CorruptError(reference + ": the answer has no value");
    return std::string(*value);
  }
  std::string id = reference, key, stage, version;
  if (parts.size() > 7 && parts[0] == "arn") {
    id.clear();
    for (size_t i = 0; i < 7; ++i) id += (i > 0 ? ":" : "") + std::string(parts[i]);
    key = parts[7];
    if (parts.size() > 8) stage = parts[8];
    if (parts.size() > 9) version = parts[9];
  }
  JsonService service("secretsmanager", std::move(client));
  json::object input{{"SecretId", id}};
  if (!stage.empty()) input["VersionStage"] = stage;
  if (!version.empty()) input["VersionId"] = version;
  json::object answer = service.call("secretsmanager.GetSecretValue", input);
  auto value = base::find_string(answer, "SecretString");
  if (!value) throw base::CorruptError(id + ": the secret is not a text");
  if (key.empty()) return std::string(*value);
  json::value parsed = base::parse_json(*value);
  const json::object* object = parsed.if_object();
  auto member = object ? base::find_string(*object, key) : std::nullopt;
  if (!member) throw base::CorruptError(id + ": the secret has no text under " + key);
  return std::string(*member);
}

}  // namespace millrace::aws
