#include "events/http_call.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/url.h"

namespace millrace::events {
namespace {

std::string text(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

void add_query(std::string& url, std::string_view key, std::string_view value) {
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += base::percent_encode(key) + "=" + base::percent_encode(value);
}

// The parameters of a connection: [{Key, Value}] for headers, query and body.
void add_parameters(const json::object& parameters, std::string& url, json::array& headers,
                    json::object& body) {
  auto each = [&](const char* name, const auto& take) {
    if (const json::array* list = base::find_array(parameters, name))
      for (const json::value& entry : *list)
        take(text(entry.as_object(), "Key"), text(entry.as_object(), "Value"));
  };
  each("HeaderParameters",
       [&](const std::string& key, const std::string& value) { headers.push_back(json::array{key, value}); });
  each("QueryStringParameters",
       [&](const std::string& key, const std::string& value) { add_query(url, key, value); });
  each("BodyParameters", [&](const std::string& key, const std::string& value) { body[key] = value; });
}

json::object token_request(const json::object& oauth) {
  std::string url = text(oauth, "AuthorizationEndpoint");
  json::array headers;
  json::object body;
  if (const json::object* parameters = base::find_object(oauth, "OAuthHttpParameters"))
    add_parameters(*parameters, url, headers, body);
  if (!body.contains("grant_type")) body["grant_type"] = "client_credentials";
  if (const json::object* client = base::find_object(oauth, "ClientParameters")) {
    body["client_id"] = text(*client, "ClientID");
    body["client_secret"] = text(*client, "ClientSecret");
  }
  std::string form;
  for (const auto& [key, value] : body)
    form += (form.empty() ? "" : "&") + base::percent_encode(key) + "=" +
            base::percent_encode(base::view(value.as_string()));
  headers.push_back(json::array{"Content-Type", "application/x-www-form-urlencoded"});
  std::string method = text(oauth, "HttpMethod");
  return {{"url", url}, {"method", method.empty() ? "POST" : method}, {"headers", headers}, {"body", form}};
}

}  // namespace

json::object http_call(const Registry& registry, const json::object& request) {
  auto problem = [](std::string why) { return json::object{{"problem", std::move(why)}}; };
  const std::string name = text(request, "destination");
  auto destination = registry.destinations.find(name);
  if (destination == registry.destinations.end())
    return problem(fmt::format("API destination {} does not exist.", name));
  std::string connection_name = text(destination->second, "ConnectionArn");
  if (const size_t at = connection_name.find(":connection/"); at != std::string::npos)
    connection_name = connection_name.substr(at + 12);
  connection_name = connection_name.substr(0, connection_name.find('/'));
  auto connection = registry.connections.find(connection_name);
  if (connection == registry.connections.end())
    return problem(fmt::format("Connection {} does not exist.", connection_name));
  if (text(connection->second, "ConnectionState") != "AUTHORIZED")
    return problem(
        fmt::format("Connection {} is {}.", connection_name, text(connection->second, "ConnectionState")));

  std::string url = text(destination->second, "InvocationEndpoint");
  json::array headers{json::array{"Content-Type", "application/json; charset=utf-8"},
                      json::array{"User-Agent", "Amazon/EventBridge/ApiDestinations"}};
  json::object extra;
  if (const json::object* given = base::find_object(request, "parameters")) {
    if (const json::array* values = base::find_array(*given, "PathParameterValues"))
      for (const json::value& value : *values)
        if (const size_t star = url.find('*'); star != std::string::npos)
          url.replace(star, 1, base::percent_encode(base::view(value.as_string())));
    if (const json::object* map = base::find_object(*given, "HeaderParameters"))
      for (const auto& [key, value] : *map) headers.push_back(json::array{key, value});
    if (const json::object* map = base::find_object(*given, "QueryStringParameters"))
      for (const auto& [key, value] : *map) add_query(url, key, base::view(value.as_string()));
  }
  const json::object& auth = connection->second.at("AuthParameters").as_object();
  if (const json::object* parameters = base::find_object(auth, "InvocationHttpParameters"))
    add_parameters(*parameters, url, headers, extra);
  const std::string type = text(connection->second, "AuthorizationType");
  json::object call;
  if (const json::object* basic = base::find_object(auth, "BasicAuthParameters"); basic && type == "BASIC")
    headers.push_back(json::array{
        "Authorization", "Basic " + base::base64(text(*basic, "Username") + ":" + text(*basic, "Password"))});
  if (const json::object* key = base::find_object(auth, "ApiKeyAuthParameters"); key && type == "API_KEY")
    headers.push_back(json::array{text(*key, "ApiKeyName"), text(*key, "ApiKeyValue")});
  if (const json::object* oauth = base::find_object(auth, "OAuthParameters");
      oauth && type == "OAUTH_CLIENT_CREDENTIALS")
    call["oauth"] = token_request(*oauth);
  std::string body = text(request, "text");
  if (!extra.empty()) {  // body parameters of the connection join an object
    try {
      json::value parsed = base::parse_json(body, kEventDepthMax);
      if (json::object* object = parsed.if_object()) {
        for (const auto& [key, value] : extra) (*object)[key] = value;
        body = json::serialize(parsed);
      }
    } catch (const base::CorruptError&) {
    }
  }
  call["url"] = url;
  call["method"] = text(destination->second, "HttpMethod");
  call["headers"] = std::move(headers);
  call["body"] = body;
  return call;
}

}  // namespace millrace::events
