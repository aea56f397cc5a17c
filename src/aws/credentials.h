// AWS credentials and where they come from.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace millrace::http {
class Client;
}

namespace millrace::aws {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;               // empty: long-term keys
  std::optional<base::TimeMs> expires_at;  // nothing: never
};

// Gives credentials that are valid now. Thread-safe; may block on the network when they must be renewed.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // Throws DeniedError when there are none, TransientError when their source could not be asked.
  virtual Credentials get() = 0;
  // A service says that these, which get() gave, are good no longer: the next get() asks for new ones.
  virtual void invalidate(const Credentials& /*refused*/) {}
};

// Always the same ones.
class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Credentials get() override { return credentials_; }

 private:
  Credentials credentials_;
};

// One place credentials may be in. `load` returns nothing when that place has none; throws CorruptError or
// TransientError when it has some that cannot be had.
struct CredentialsSource {
  std::string name;  // for messages: "environment", "shared credentials file"
  std::function<std::optional<Credentials>()> load;
};

// Asks its sources in order, stays with the first that answers, and renews before expiry: from 15 minutes
// before it tries (and goes on with the old ones when that fails), from 10 minutes before it must. One thread
// renews at a time.
class CredentialsChain final : public CredentialsProvider {
 public:
  CredentialsChain(std::vector<CredentialsSource> sources, const base::Clock& clock);
  Credentials get() override;
  void invalidate(const Credentials& refused) override;

 private:
  std::optional<Credentials> load();
  std::vector<CredentialsSource> sources_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::optional<Credentials> current_;
  std::optional<size_t> chosen_;  // the source that answered
  base::TimeMs next_advisory_try_ = 0;
};

// What the chain reads its settings from; a parameter for the tests' sake.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

// The AWS SDKs' sources in botocore's order: environment (skipped when `profile` is given, as with the CLI's
// --profile), the profile's role, web identity, shared credentials file, the profile's process, config file,
// container endpoint, instance metadata. `clock` must outlive the provider.
std::unique_ptr<CredentialsProvider> default_credentials(const Environment& environment,
                                                         const base::Clock& clock,
                                                         std::shared_ptr<http::Client> client,
                                                         const std::string& profile = "");

}  // namespace millrace::aws
