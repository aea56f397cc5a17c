// Connections (how to authenticate) and API destinations (where to).
#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/url.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::Kind;
using events::Registry;

std::string connection_arn(const Registry& registry, const std::string& name,
                           const json::object& connection) {
  return registry.place.arn("events", fmt::format("connection/{}/{}", name, text_of(connection, "uuid")));
}
std::string destination_arn(const Registry& registry, const std::string& name,
                            const json::object& destination) {
  return registry.place.arn("events",
                            fmt::format("api-destination/{}/{}", name, text_of(destination, "uuid")));
}

json::object& required_connection(Registry& registry, const std::string& name) {
  auto found = registry.connections.find(name);
  if (found == registry.connections.end())
    events_error("ResourceNotFoundException",
                 fmt::format("Failed to describe the connection(s). Connection '{}' does not exist.", name));
  return found->second;
}
json::object& required_destination(Registry& registry, const std::string& name) {
  auto found = registry.destinations.find(name);
  if (found == registry.destinations.end())
    events_error(
        "ResourceNotFoundException",
        fmt::format("Failed to describe the api-destination(s). An api-destination '{}' does not exist.",
                    name));
  return found->second;
}

void check_parameters(const std::string& type, const json::object& parameters) {
  const char* wanted = type == "BASIC"     ? "BasicAuthParameters"
                       : type == "API_KEY" ? "ApiKeyAuthParameters"
                                           : "OAuthParameters";
  if (!base::find_object(parameters, wanted))
    events_invalid(fmt::format("Parameter AuthParameters is not valid. Reason: {} needs {}.", type, wanted));
}

// What Describe shows: no secret values.
json::object without_secrets(const json::object& parameters) {
  json::object out;
  auto pick = [&](const char* name, std::initializer_list<const char*> members) {
    if (const json::object* given = base::find_object(parameters, name)) {
      json::object shown;
      copy_members(*given, shown, members);
      out[name] = std::move(shown);
    }
  };
  auto without_values = [](const json::object& http) {
    json::object shown = http;
    for (auto& [name, list] : shown)
      for (json::value& entry : list.as_array())
        if (base::find_bool(entry.as_object(), "IsValueSecret").value_or(false))
          entry.as_object().erase("Value");
    return shown;
  };
  pick("BasicAuthParameters", {"Username"});
  pick("ApiKeyAuthParameters", {"ApiKeyName"});
  if (const json::object* oauth = base::find_object(parameters, "OAuthParameters")) {
    json::object shown;
    copy_members(*oauth, shown, {"AuthorizationEndpoint", "HttpMethod"});
    if (const json::object* client = base::find_object(*oauth, "ClientParameters"))
      shown["ClientParameters"] = json::object{{"ClientID", text_of(*client, "ClientID")}};
    if (const json::object* http = base::find_object(*oauth, "OAuthHttpParameters"))
      shown["OAuthHttpParameters"] = without_values(*http);
    out["OAuthParameters"] = std::move(shown);
  }
  if (const json::object* http = base::find_object(parameters, "InvocationHttpParameters"))
    out["InvocationHttpParameters"] = without_values(*http);
  return out;
}

json::object connection_state(const Registry& registry, const std::string& name,
                              const json::object& connection) {
  json::object out{{"ConnectionArn", connection_arn(registry, name, connection)}};
  copy_members(connection, out,
               {"ConnectionState", "CreationTime", "LastModifiedTime", "LastAuthorizedTime"});
  return out;
}

json::object create_connection(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name"), type = text_of(call.input, "AuthorizationType");
  if (call.registry.connections.contains(name))
    events_error("ResourceAlreadyExistsException", fmt::format("Connection {} already exists.", name));
  check_parameters(type, call.input.at("AuthParameters").as_object());
  json::object& connection = call.registry.connections[name];
  copy_members(call.input, connection,
               {"Description", "AuthorizationType", "AuthParameters", "KmsKeyIdentifier"});
  connection["uuid"] = base::uuid4();
  connection["secret"] = base::random_alphanumeric(6);
  connection["ConnectionState"] = "AUTHORIZED";
  connection["CreationTime"] = connection["LastModifiedTime"] = connection["LastAuthorizedTime"] = call.now;
  call.registry.touch(Kind::kConnection, name);
  return connection_state(call.registry, name, connection);
}

// Members of `change` replace those of `to`, in depth.
void merge(json::object& to, const json::object& change) {
  for (const auto& [key, value] : change) {
    json::value* old = to.if_contains(key);
    if (old && old->is_object() && value.is_object()) {
      merge(old->as_object(), value.as_object());
    } else {
      to[key] = value;
    }
  }
}

json::object update_connection(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  json::object changed = required_connection(call.registry, name);
  copy_members(call.input, changed, {"Description", "AuthorizationType", "KmsKeyIdentifier"});
  if (const json::object* parameters = base::find_object(call.input, "AuthParameters"))
    merge(changed["AuthParameters"].as_object(), *parameters);
  check_parameters(text_of(changed, "AuthorizationType"), changed["AuthParameters"].as_object());
  changed["ConnectionState"] = "AUTHORIZED";
  changed["LastModifiedTime"] = changed["LastAuthorizedTime"] = call.now;
  json::object& connection = call.registry.connections[name] = std::move(changed);
  call.registry.touch(Kind::kConnection, name);
  return connection_state(call.registry, name, connection);
}

json::object delete_connection(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  json::object out = connection_state(call.registry, name, required_connection(call.registry, name));
  call.registry.connections.erase(name);
  call.registry.touch(Kind::kConnection, name);
  out["ConnectionState"] = "DELETING";
  return out;
}

json::object deauthorize_connection(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  json::object& connection = required_connection(call.registry, name);
  connection["ConnectionState"] = "DEAUTHORIZED";
  connection["LastModifiedTime"] = call.now;
  call.registry.touch(Kind::kConnection, name);
  json::object out = connection_state(call.registry, name, connection);
  out["ConnectionState"] = "DEAUTHORIZING";
  return out;
}

json::object describe_connection(EventsRead& call) {
  const std::string name = text_of(call.input, "Name");
  const json::object& connection = required_connection(call.registry, name);
  json::object out = connection_state(call.registry, name, connection);
  out["Name"] = name;
  copy_members(connection, out, {"Description", "AuthorizationType", "KmsKeyIdentifier"});
  out["SecretArn"] = call.registry.place.arn(
      "secretsmanager", fmt::format("secret:events!connection/{}/{}-{}", name, text_of(connection, "uuid"),
                                    text_of(connection, "secret")));
  out["AuthParameters"] = without_secrets(connection.at("AuthParameters").as_object());
  return out;
}

json::object list_connections(EventsRead& call) {
  const std::string state = text_of(call.input, "ConnectionState");
  return page_of(call.input, call.registry.connections, "Connections",
                 [&](const std::string& name, const json::object& connection) -> json::object {
                   if (!state.empty() && text_of(connection, "ConnectionState") != state) return {};
                   json::object out = connection_state(call.registry, name, connection);
                   out["Name"] = name;
                   out["AuthorizationType"] = connection.at("AuthorizationType");
                   return out;
                 });
}

// The connection's name in its ARN. Throws unless it is there.
std::string connection_of(Registry& registry, const std::string& arn) {
  const size_t at = arn.find(":connection/");
  std::string name = at == std::string::npos ? arn : arn.substr(at + 12);
  name = name.substr(0, name.find('/'));
  required_connection(registry, name);
  return name;
}

json::object destination_state(const Registry& registry, const std::string& name,
                               const json::object& destination) {
  json::object out{{"ApiDestinationArn", destination_arn(registry, name, destination)},
                   {"ApiDestinationState", "ACTIVE"}};
  copy_members(destination, out, {"CreationTime", "LastModifiedTime"});
  return out;
}

void check_endpoint(const std::string& endpoint) {
  try {
    base::parse_url(base::replace_all(endpoint, "*", "x"));
  } catch (const base::UsageError&) {
    events_invalid("Parameter InvocationEndpoint is not valid.");
  }
}

json::object create_api_destination(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  if (call.registry.destinations.contains(name))
    events_error("ResourceAlreadyExistsException",
                 fmt::format("An api-destination '{}' already exists.", name));
  connection_of(call.registry, text_of(call.input, "ConnectionArn"));
  check_endpoint(text_of(call.input, "InvocationEndpoint"));
  json::object& destination = call.registry.destinations[name];
  copy_members(
      call.input, destination,
      {"Description", "ConnectionArn", "InvocationEndpoint", "HttpMethod", "InvocationRateLimitPerSecond"});
  if (!destination.contains("InvocationRateLimitPerSecond"))
    destination["InvocationRateLimitPerSecond"] = events::kInvocationRateDefault;
  destination["uuid"] = base::uuid4();
  destination["CreationTime"] = destination["LastModifiedTime"] = call.now;
  call.registry.touch(Kind::kDestination, name);
  return destination_state(call.registry, name, destination);
}

json::object update_api_destination(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  json::object& destination = required_destination(call.registry, name);
  if (auto arn = base::find_string(call.input, "ConnectionArn"))
    connection_of(call.registry, std::string(*arn));
  if (auto endpoint = base::find_string(call.input, "InvocationEndpoint"))
    check_endpoint(std::string(*endpoint));
  copy_members(
      call.input, destination,
      {"Description", "ConnectionArn", "InvocationEndpoint", "HttpMethod", "InvocationRateLimitPerSecond"});
  destination["LastModifiedTime"] = call.now;
  call.registry.touch(Kind::kDestination, name);
  return destination_state(call.registry, name, destination);
}

json::object delete_api_destination(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  required_destination(call.registry, name);
  call.registry.destinations.erase(name);
  call.registry.touch(Kind::kDestination, name);
  return {};
}

json::object show_destination(const Registry& registry, const std::string& name,
                              const json::object& destination) {
  json::object out = destination_state(registry, name, destination);
  out["Name"] = name;
  copy_members(
      destination, out,
      {"Description", "ConnectionArn", "InvocationEndpoint", "HttpMethod", "InvocationRateLimitPerSecond"});
  return out;
}

json::object describe_api_destination(EventsRead& call) {
  const std::string name = text_of(call.input, "Name");
  return show_destination(call.registry, name, required_destination(call.registry, name));
}

json::object list_api_destinations(EventsRead& call) {
  const std::string arn = text_of(call.input, "ConnectionArn");
  return page_of(call.input, call.registry.destinations, "ApiDestinations",
                 [&](const std::string& name, const json::object& destination) -> json::object {
                   if (!arn.empty() && text_of(destination, "ConnectionArn") != arn) return {};
                   return show_destination(call.registry, name, destination);
                 });
}

constexpr EventsWriteOperation kWrites[] = {
    {"CreateConnection", create_connection},          {"UpdateConnection", update_connection},
    {"DeleteConnection", delete_connection},          {"DeauthorizeConnection", deauthorize_connection},
    {"CreateApiDestination", create_api_destination}, {"UpdateApiDestination", update_api_destination},
    {"DeleteApiDestination", delete_api_destination},
};
constexpr EventsReadOperation kReads[] = {
    {"DescribeConnection", describe_connection},
    {"ListConnections", list_connections},
    {"DescribeApiDestination", describe_api_destination},
    {"ListApiDestinations", list_api_destinations},
};

}  // namespace

OperationList<EventsWriteOperation> connection_writes() { return {kWrites, std::size(kWrites)}; }
OperationList<EventsReadOperation> connection_reads() { return {kReads, std::size(kReads)}; }

}  // namespace millrace::services
