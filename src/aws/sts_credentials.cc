// Credentials from STS: roles of profiles, and web identities (EKS, GitHub Actions).
#include <pugixml.hpp>
#include <set>

#include "aws/credential_sources.h"
#include "aws/sigv4.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::aws {
namespace {

constexpr std::chrono::milliseconds kTimeout{10'000};
constexpr int kTries = 3;

std::string value_of(const Environment& environment, const char* name) {
  return environment(name).value_or("");
}

struct Sts {
  std::string url, region;
};

Sts sts_of(const Environment& environment, const std::string& profile) {
  ProfileSettings settings = profile_settings(environment, profile == "default" ? "" : profile);
  std::string region = value_of(environment, "AWS_REGION");
  if (region.empty()) region = value_of(environment, "AWS_DEFAULT_REGION");
  if (region.empty()) region = settings.region;
  if (region.empty()) region = "us-east-1";
  std::string url = value_of(environment, "AWS_ENDPOINT_URL_STS");
  if (url.empty()) url = value_of(environment, "AWS_ENDPOINT_URL");
  if (url.empty()) url = settings.sts_endpoint_url;
  if (url.empty()) url = "https://sts." + region + ".amazonaws.com";
  if (base::parse_url(url).path == "/" && !url.ends_with('/')) url += "/";
  return {url, region};
}

// One call of STS's Query protocol. `signer`: null for calls that are not signed.
Credentials call(const Sts& sts, http::Client& client, const std::string& action,
                 const std::vector<std::pair<std::string, std::string>>& parameters,
                 const Credentials* signer, const base::Clock* clock) {
  std::string body = "Action=" + action + "&Version=2011-06-15";
  for (const auto& [name, value] : parameters)
    if (!value.empty()) body += "&" + name + "=" + base::percent_encode(value);
  for (int attempt = 1;; ++attempt) {
    http::ClientRequest request;
    request.method = "POST";
    request.url = sts.url;
    request.body = body;
    request.connect_timeout = request.stall_timeout = kTimeout;
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    if (signer) sign(request, *signer, sts.region, "sts", clock->now_ms());
    std::string why;
    try {
      http::ClientResponse response = client.send(std::move(request));
      pugi::xml_document document;
      document.load_buffer(response.body.data(), response.body.size());
      pugi::xml_node root = document.document_element();
      pugi::xml_node found = root.child((action + "Result").c_str()).child("Credentials");
      if (response.status == 200 && found) {
        Credentials credentials{found.child_value("AccessKeyId"), found.child_value("SecretAccessKey"),
                                found.child_value("SessionToken"),
                                base::parse_iso8601(found.child_value("Expiration"))};
        if (!credentials.access_key_id.empty() && !credentials.secret_access_key.empty()) return credentials;
      }
      std::string code = root.child("Error").child_value("Code");
      why = action + ": " +
            (code.empty() ? "HTTP status " + std::to_string(response.status)
                          : code + ": " + root.child("Error").child_value("Message"));
      bool may_pass = response.status >= 500 || response.status == 429 || code == "IDPCommunicationError" ||
                      code == "Throttling";
      if (!may_pass) throw base::DeniedError(why, code);
    } catch (const base::TransientError& error) {
      why = error.what();
    }
    if (attempt == kTries) throw base::TransientError(why);
  }
}

Credentials credentials_of(const Environment& environment, const base::Clock& clock, http::Client& client,
                           const Profile& profile, std::set<std::string>& visited);

// The role of a profile, assumed with whatever the profile names as its source.
Credentials assume(const Environment& environment, const base::Clock& clock, http::Client& client,
                   const Profile& profile, std::set<std::string>& visited) {
  std::string what = "the profile '" + profile.name + "'";
  if (!profile.value("mfa_serial").empty())
    throw base::DeniedError(what + " asks for a code (mfa_serial), which a job cannot give");
  std::string source_profile = profile.value("source_profile");
  std::string source = profile.value("credential_source");
  std::optional<Credentials> signer;
  if (!source_profile.empty() && !source.empty())
    throw base::UsageError(what + " has both source_profile and credential_source");
  if (source_profile == profile.name) {
    signer = from_settings(profile.credentials, profile.credentials_path);
    if (!signer) signer = from_settings(profile.config, profile.config_path);
  } else if (!source_profile.empty()) {
    if (!visited.insert(source_profile).second)
      throw base::UsageError("the source_profile of " + what + " leads back to itself");
    signer = credentials_of(environment, clock, client, read_profile(environment, source_profile), visited);
  } else if (source == "Environment") {
    signer = from_environment(environment);
  } else if (source == "EcsContainer") {
    signer = from_container(environment, client);
  } else if (source == "Ec2InstanceMetadata") {
    signer = from_instance(environment, client);
  } else {
    throw base::UsageError(what + " has a role_arn, but no source_profile and no usable credential_source");
  }
  if (!signer) throw base::DeniedError("there are no credentials to assume the role of " + what + " with");
  std::string session = profile.value("role_session_name");
  if (session.empty()) session = "millrace-" + std::to_string(clock.now_ms() / 1000);
  return call(sts_of(environment, profile.name), client, "AssumeRole",
              {{"RoleArn", profile.value("role_arn")},
               {"RoleSessionName", session},
               {"ExternalId", profile.value("external_id")},
               {"DurationSeconds", profile.value("duration_seconds")}},
              &*signer, &clock);
}

Credentials credentials_of(const Environment& environment, const base::Clock& clock, http::Client& client,
                           const Profile& profile, std::set<std::string>& visited) {
  if (!profile.credentials && !profile.config)
    throw base::NotFoundError("the source_profile '" + profile.name + "' is in neither file");
  // Keys of the source's own beat a role of its own, as in botocore.
  if (auto found = from_settings(profile.credentials, profile.credentials_path)) return *found;
  if (auto found = from_settings(profile.config, profile.config_path)) return *found;
  if (!profile.value("role_arn").empty()) return assume(environment, clock, client, profile, visited);
  if (auto found = from_process(profile)) return *found;
  throw base::DeniedError("the source_profile '" + profile.name + "' has no credentials");
}

}  // namespace

std::optional<Credentials> from_role(const Environment& environment, const base::Clock& clock,
                                     http::Client& client, const std::string& name) {
  Profile profile = read_profile(environment, name);
  if (profile.value("role_arn").empty() || !profile.value("web_identity_token_file").empty())
    return std::nullopt;
  std::set<std::string> visited{name};
  return assume(environment, clock, client, profile, visited);
}

std::optional<Credentials> from_web_identity(const Environment& environment, http::Client& client,
                                             const std::string& name) {
  Profile profile = read_profile(environment, name);
  std::string file = profile.value("web_identity_token_file"), role = profile.value("role_arn"),
              session = profile.value("role_session_name");
  if (file.empty()) {
    file = value_of(environment, "AWS_WEB_IDENTITY_TOKEN_FILE");
    role = value_of(environment, "AWS_ROLE_ARN");
    session = value_of(environment, "AWS_ROLE_SESSION_NAME");
  }
  if (file.empty()) return std::nullopt;
  if (role.empty())
    throw base::UsageError("there is a web identity token, but AWS_ROLE_ARN does not say for which role");
  std::optional<std::string> token = read_text_file(file);  // anew each time: it is rotated
  if (!token) throw base::NotFoundError("cannot read the web identity token " + file);
  if (session.empty()) session = "millrace";
  return call(sts_of(environment, name), client, "AssumeRoleWithWebIdentity",
              {{"RoleArn", role},
               {"RoleSessionName", session},
               {"WebIdentityToken", std::string(base::trim(*token))}},
              nullptr, nullptr);
}

}  // namespace millrace::aws
