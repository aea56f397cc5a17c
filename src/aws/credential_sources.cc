#include "aws/credential_sources.h"

#include <cstdio>

#include "base/error.h"
#include "base/json.h"

namespace millrace::aws {

std::optional<Credentials> from_environment(const Environment& environment) {
  auto value = [&](const char* name) { return environment(name).value_or(""); };
  Credentials credentials{
      value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), value("AWS_SESSION_TOKEN"), {}};
  if (credentials.access_key_id.empty()) return std::nullopt;
  if (credentials.secret_access_key.empty())
    throw base::CorruptError("AWS_SECRET_ACCESS_KEY is missing beside AWS_ACCESS_KEY_ID in the environment");
  return credentials;
}

std::optional<Credentials> from_settings(const std::optional<Settings>& section, const std::string& where) {
  if (!section) return std::nullopt;
  auto value = [&](const char* name) {
    auto found = section->find(name);
    return found == section->end() ? std::string() : found->second;
  };
  Credentials credentials{
      value("aws_access_key_id"), value("aws_secret_access_key"), value("aws_session_token"), {}};
  if (credentials.access_key_id.empty()) return std::nullopt;
  if (credentials.secret_access_key.empty())
    throw base::CorruptError("aws_secret_access_key is missing beside aws_access_key_id in " + where);
  return credentials;
}

std::optional<Credentials> from_process(const Profile& profile) {
  std::string command = profile.value("credential_process");
  if (command.empty()) return std::nullopt;
  std::string where = "the credential_process of the profile '" + profile.name + "'";
  constexpr size_t kOutputMax = 64 * 1024;
  FILE* pipe = popen(command.c_str(), "re");
  if (!pipe) throw base::TransientError(where + " could not be started");
  std::string output(kOutputMax, '\0');
  output.resize(fread(output.data(), 1, output.size(), pipe));
  int status = pclose(pipe);
  if (status != 0) throw base::DeniedError(where + " failed (status " + std::to_string(status) + ")");
  base::json::value document = base::parse_json(output);
  const base::json::object* object = document.if_object();
  if (!object || base::find_int(*object, "Version") != 1)
    throw base::CorruptError(where + " printed another version of its document than 1");
  return parse_credentials_document(output, "SessionToken", where);
}

std::unique_ptr<CredentialsProvider> default_credentials(const Environment& environment,
                                                         const base::Clock& clock,
                                                         std::shared_ptr<http::Client> client,
                                                         const std::string& wanted) {
  std::string name = profile_name(environment, wanted);
  std::vector<CredentialsSource> sources;
  if (wanted.empty())
    sources.push_back({"environment", [environment] { return from_environment(environment); }});
  Profile profile = read_profile(environment, name);
  sources.push_back({"role of the profile '" + name + "'", [environment, &clock, client, name] {
                       return from_role(environment, clock, *client, name);
                     }});
  sources.push_back({"web identity",
                     [environment, client, name] { return from_web_identity(environment, *client, name); }});
  // Read anew each time: other programs renew what is in the files.
  sources.push_back({"shared credentials file " + profile.credentials_path, [environment, name] {
                       Profile fresh = read_profile(environment, name);
                       return from_settings(fresh.credentials, fresh.credentials_path);
                     }});
  sources.push_back(
      {"credential_process", [environment, name] { return from_process(read_profile(environment, name)); }});
  sources.push_back({"config file " + profile.config_path, [environment, name] {
                       Profile fresh = read_profile(environment, name);
                       return from_settings(fresh.config, fresh.config_path);
                     }});
  sources.push_back({"container credentials endpoint",
                     [environment, client] { return from_container(environment, *client); }});
  sources.push_back(
      {"instance metadata", [environment, client] { return from_instance(environment, *client); }});
  return std::make_unique<CredentialsChain>(std::move(sources), clock);
}

}  // namespace millrace::aws
