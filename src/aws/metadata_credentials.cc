// Credentials from HTTP endpoints beside the program: the container's (ECS, EKS, AWS Batch, our own runner),
// and EC2's instance metadata, version 2.
#include "aws/credential_sources.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::aws {
namespace {

constexpr int kContainerTries = 3;
constexpr std::chrono::milliseconds kContainerTimeout{2'000};
constexpr std::chrono::milliseconds kInstanceTimeout{1'000};

std::string value_of(const Environment& environment, const char* name) {
  return environment(name).value_or("");
}

// Over plain http the answer, and the token asked with, may only go where no wire is (the rule of the AWS
// SDKs).
bool may_ask(const base::Url& url) {
  return url.scheme == "https" || base::is_loopback_host(url.host) || url.host == "169.254.170.2" ||
         url.host == "169.254.170.23" || url.host == "fd00:ec2::23";
}

}  // namespace

Credentials parse_credentials_document(const std::string& body, const char* token, const std::string& where) {
  base::json::value value = base::parse_json(body);
  const base::json::object* object = value.if_object();
  auto text = [&](const char* name) {
    auto found = object ? base::find_string(*object, name) : std::nullopt;
    return std::string(found.value_or(""));
  };
  Credentials credentials{text("AccessKeyId"), text("SecretAccessKey"), text(token),
                          base::parse_iso8601(text("Expiration"))};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
    throw base::CorruptError(where + " answered without AccessKeyId or SecretAccessKey");
  return credentials;
}

std::optional<Credentials> from_container(const Environment& environment, http::Client& client) {
  std::string url = value_of(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!url.empty())
    url = "http://169.254.170.2" + url;
  else
    url = value_of(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (url.empty()) return std::nullopt;
  if (!may_ask(base::parse_url(url)))
    throw base::UsageError("AWS_CONTAINER_CREDENTIALS_FULL_URI is plain http to another machine: " + url);
  http::ClientRequest request;
  request.url = url;
  request.direct = true;
  request.connect_timeout = request.stall_timeout = kContainerTimeout;
  std::string token_file = value_of(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  std::string token = value_of(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (!token_file.empty()) {
    auto content = read_text_file(token_file);  // anew each time: it is rotated
    if (!content)
      throw base::NotFoundError("cannot read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE " + token_file);
    token = base::trim(*content);
  }
  if (!token.empty()) request.headers.add("Authorization", token);
  for (int attempt = 1;; ++attempt) {
    try {
      http::ClientResponse response = client.send(request);
      if (response.status == 200)
        return parse_credentials_document(response.body, "Token", "the container credentials endpoint");
      throw base::TransientError("the container credentials endpoint answered " +
                                 std::to_string(response.status));
    } catch (const base::TransientError&) {
      if (attempt == kContainerTries) throw;
    }
  }
}

std::optional<Credentials> from_instance(const Environment& environment, http::Client& client) {
  if (base::equals_ignore_case(value_of(environment, "AWS_EC2_METADATA_DISABLED"), "true"))
    return std::nullopt;
  std::string base_url = value_of(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base_url.empty()) base_url = "http://169.254.169.254";
  while (base_url.ends_with('/')) base_url.pop_back();
  auto ask = [&](const std::string& method, const std::string& path, const http::Headers::Field& header) {
    http::ClientRequest request;
    request.method = method;
    request.url = base_url + path;
    request.direct = true;
    request.connect_timeout = request.stall_timeout = kInstanceTimeout;
    request.headers.add(header.first, header.second);
    return client.send(std::move(request));
  };
  constexpr char kRoles[] = "/latest/meta-data/iam/security-credentials/";
  std::string token, role;
  // A token may have expired between two requests: once more with a new one.
  for (int attempt = 1;; ++attempt) {
    try {
      http::ClientResponse answer =
          ask("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds", "21600"});
      if (answer.status != 200) return std::nullopt;
      token = base::trim(answer.body);
      answer = ask("GET", kRoles, {"x-aws-ec2-metadata-token", token});
      if (answer.status == 404) return std::nullopt;  // a machine without a role
      if (answer.status == 200) {
        role = base::trim(answer.body.substr(0, answer.body.find('\n')));
        break;
      }
      if (answer.status != 401 || attempt > 1) return std::nullopt;
    } catch (const base::TransientError&) {
      return std::nullopt;  // no machine of EC2, or too many hops away from its metadata
    }
  }
  http::ClientResponse answer =
      ask("GET", kRoles + base::percent_encode(role), {"x-aws-ec2-metadata-token", token});
  if (answer.status != 200)
    throw base::TransientError("the instance metadata answered " + std::to_string(answer.status) +
                               " for the role " + role);
  return parse_credentials_document(answer.body, "Token", "the instance metadata");
}

}  // namespace millrace::aws
