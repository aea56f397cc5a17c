#include "aws/credentials.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/url.h"
#include "http/client.h"

namespace millrace::aws {
namespace {

constexpr base::TimeMs kAdvisoryMs = 15 * 60 * 1000;
constexpr base::TimeMs kMandatoryMs = 10 * 60 * 1000;
constexpr base::TimeMs kAdvisoryPauseMs = 60 * 1000;  // between attempts while the old ones are still good
constexpr int kContainerTries = 3;
constexpr std::chrono::milliseconds kContainerTimeout{2'000};

std::string value_of(const Environment& environment, const char* name) {
  return environment(name).value_or("");
}

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

using Section = std::map<std::string, std::string>;

// One section of an AWS configuration file; nothing when the file or the section is not there. Indented lines
// belong to nested settings, which hold no credentials.
std::optional<Section> read_section(const std::string& path, const std::string& name) {
  std::optional<std::string> text = read_file(path);
  if (!text) return std::nullopt;
  std::optional<Section> section;
  bool inside = false;
  for (std::string_view line : base::split(*text, '\n')) {
    if (line.empty() || line.front() == ' ' || line.front() == '\t') continue;
    line = base::trim(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      size_t close = line.find(']');
      std::string_view title =
          base::trim(line.substr(1, close == std::string_view::npos ? close : close - 1));
      inside = title == name;
      if (inside && !section) section.emplace();
      continue;
    }
    size_t equals = line.find('=');
    if (inside && equals != std::string_view::npos)
      (*section)[base::to_lower(base::trim(line.substr(0, equals)))] = base::trim(line.substr(equals + 1));
  }
  return section;
}

std::optional<Credentials> credentials_of(const std::optional<Section>& section, const std::string& where) {
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

// "~/.aws/credentials" unless the variable says otherwise.
std::string file_path(const Environment& environment, const char* variable, const char* name) {
  std::string path = value_of(environment, variable);
  std::string home = value_of(environment, "HOME");
  if (path.empty()) return home + "/.aws/" + name;
  return path.starts_with("~/") ? home + path.substr(1) : path;
}

std::optional<Credentials> from_environment(const Environment& environment) {
  Credentials credentials{value_of(environment, "AWS_ACCESS_KEY_ID"),
                          value_of(environment, "AWS_SECRET_ACCESS_KEY"),
                          value_of(environment, "AWS_SESSION_TOKEN"),
                          {}};
  if (credentials.access_key_id.empty()) return std::nullopt;
  if (credentials.secret_access_key.empty())
    throw base::CorruptError("AWS_SECRET_ACCESS_KEY is missing beside AWS_ACCESS_KEY_ID in the environment");
  return credentials;
}

// Over plain http the answer, and the token asked with, may only go where no wire is (the rule of the AWS
// SDKs).
bool may_ask(const base::Url& url) {
  if (url.scheme == "https") return true;
  return url.host == "localhost" || url.host.starts_with("127.") || url.host == "::1" ||
         url.host == "169.254.170.2" || url.host == "169.254.170.23" || url.host == "fd00:ec2::23";
}

Credentials parse_container_answer(const std::string& body) {
  base::json::value value = base::parse_json(body);
  const base::json::object* object = value.if_object();
  auto text = [&](const char* name) {
    auto found = object ? base::find_string(*object, name) : std::nullopt;
    return std::string(found.value_or(""));
  };
  Credentials credentials{text("AccessKeyId"), text("SecretAccessKey"), text("Token"),
                          base::parse_iso8601(text("Expiration"))};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
    throw base::CorruptError(
        "the container credentials endpoint answered without AccessKeyId or SecretAccessKey");
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
  request.connect_timeout = request.stall_timeout = kContainerTimeout;
  std::string token_file = value_of(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  std::string token = value_of(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (!token_file.empty()) {
    auto content = read_file(token_file);  // anew each time: it is rotated
    if (!content)
      throw base::NotFoundError("cannot read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE " + token_file);
    token = base::trim(*content);
  }
  if (!token.empty()) request.headers.add("Authorization", token);
  for (int attempt = 1;; ++attempt) {
    try {
      http::ClientResponse response = client.send(request);
      if (response.status == 200) return parse_container_answer(response.body);
      throw base::TransientError("the container credentials endpoint answered " +
                                 std::to_string(response.status));
    } catch (const base::TransientError&) {
      if (attempt == kContainerTries) throw;
    }
  }
}

}  // namespace

CredentialsChain::CredentialsChain(std::vector<CredentialsSource> sources, const base::Clock& clock)
    : sources_(std::move(sources)), clock_(clock) {}

std::optional<Credentials> CredentialsChain::load() {
  if (chosen_) return sources_[*chosen_].load();
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (auto credentials = sources_[i].load()) {
      chosen_ = i;
      return credentials;
    }
  }
  return std::nullopt;
}

Credentials CredentialsChain::get() {
  std::lock_guard lock(mutex_);
  base::TimeMs now = clock_.now_ms();
  if (current_) {
    if (!current_->expires_at) return *current_;
    base::TimeMs left = *current_->expires_at - now;
    if (left > kAdvisoryMs) return *current_;
    if (left > kMandatoryMs) {
      if (now < next_advisory_try_) return *current_;
      next_advisory_try_ = now + kAdvisoryPauseMs;
      try {
        if (auto fresh = load()) current_ = std::move(fresh);
      } catch (const base::Error&) {
        // The old ones are still good; the next attempt is due in a minute.
      }
      return *current_;
    }
  }
  auto fresh = load();
  if (!fresh) {
    std::string asked;
    for (const CredentialsSource& source : sources_) asked += (asked.empty() ? "" : ", ") + source.name;
    throw base::DeniedError("no AWS credentials found (looked in: " + asked +
                            "); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE");
  }
  if (fresh->expires_at && *fresh->expires_at <= now)
    throw base::TransientError("the AWS credentials from the " + sources_[*chosen_].name + " have expired");
  current_ = std::move(fresh);
  return *current_;
}

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

std::unique_ptr<CredentialsProvider> default_credentials(const Environment& environment,
                                                         const base::Clock& clock,
                                                         std::shared_ptr<http::Client> client,
                                                         const std::string& profile) {
  std::string name = profile.empty() ? value_of(environment, "AWS_PROFILE") : profile;
  if (name.empty()) name = "default";
  std::vector<CredentialsSource> sources;
  if (profile.empty())
    sources.push_back({"environment", [environment] { return from_environment(environment); }});
  std::string shared = file_path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  std::string config = file_path(environment, "AWS_CONFIG_FILE", "config");
  sources.push_back({"shared credentials file " + shared,
                     [shared, name] { return credentials_of(read_section(shared, name), shared); }});
  sources.push_back({"config file " + config, [config, name] {
                       std::string section = name == "default" ? name : "profile " + name;
                       return credentials_of(read_section(config, section), config);
                     }});
  sources.push_back({"container credentials endpoint",
                     [environment, client] { return from_container(environment, *client); }});
  return std::make_unique<CredentialsChain>(std::move(sources), clock);
}

}  // namespace millrace::aws
