// Speaks for aws/protocol.h to protocol_oracle.py: one JSON command a line in, one JSON answer a line out.
#include <iostream>
#include <string>

#include "aws/protocol.h"
#include "base/hash.h"

namespace {

using namespace millrace;
namespace json = base::json;

std::string text(const json::object& command, std::string_view name) {
  return std::string(base::find_string(command, name).value());
}

json::object decode(const json::object& command) {
  const aws::ServiceModel& service = *aws::find_service(text(command, "service"));
  http::RequestHead head;
  head.method = text(command, "method");
  head.path = text(command, "path");
  head.query = text(command, "query");
  for (const json::value& field : *base::find_array(command, "headers"))
    head.headers.add(std::string(base::view(field.as_array()[0].as_string())),
                     std::string(base::view(field.as_array()[1].as_string())));
  std::string body = base::unbase64(text(command, "body")).value();
  const aws::Operation* operation = aws::route(service, head, body);
  if (!operation) throw aws::unknown_operation(service, head, body);
  return {{"operation", json::string_view(operation->name.data(), operation->name.size())},
          {"input", aws::decode(*operation, head, body)}};
}

json::object encode(const json::object& command) {
  const aws::ServiceModel& service = *aws::find_service(text(command, "service"));
  const aws::Operation* operation = aws::find_operation(service, text(command, "operation"));
  if (!operation) return {{"missing", true}};
  http::Response response = aws::encode(*operation, *base::find_object(command, "output"), "request-1");
  json::array headers;
  for (const auto& [name, value] : response.headers) headers.push_back(json::array{name, value});
  return {{"status", response.status}, {"headers", headers}, {"body", base::base64(response.body)}};
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    json::object answer;
    try {
      json::object command = base::parse_json(line).as_object();
      answer = command.contains("method") ? decode(command) : encode(command);
    } catch (const aws::ApiError& error) {
      answer = {{"error", error.code()}, {"message", error.what()}};
    } catch (const base::Error& error) {
      answer = {{"error", "InternalError"}, {"message", error.what()}};
    }
    std::cout << json::serialize(answer) << std::endl;
  }
}
