// What a job is given of itself while it runs: its credentials, as ECS's container credentials provider has
// them, and facts about its container (ECS task metadata endpoint version 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "engine/command.h"
#include "http/message.h"
#include "iam/directory.h"
#include "services/identities.h"

namespace millrace::services {

struct JobCredentialsOptions {
  std::string region, account;
  // A job whose role is not among the account's roles may do nothing; else it may do what a job without a
  // role may: everything.
  bool strict_roles = false;
};

// Thread-safe. What is passed in outlives it.
class JobCredentials {
 public:
  JobCredentials(JobCredentialsOptions options, Identities& identities, const iam::Directory& directory,
                 const base::Clock& clock)
      : options_(std::move(options)), identities_(identities), directory_(directory), clock_(clock) {}

  // The variables that let a job find both, below `endpoint`. The attempt lives from here on.
  std::vector<std::pair<std::string, std::string>> variables(const engine::StartAttempt& attempt,
                                                             const std::string& endpoint);

  // An attempt that lives from before this engine's start.
  void adopted(uint64_t attempt) { identities_.attempt_lives(attempt); }
  void ended(uint64_t attempt) { identities_.attempt_ended(attempt); }

  // The answer to a GET of one of their URLs; nothing when it is none. Credentials are good for an hour, and
  // not after the attempt has ended.
  std::optional<http::Response> answer(const http::RequestHead& head) const;

 private:
  http::Response credentials(const http::RequestHead& head) const;
  http::Response metadata(std::string_view path) const;

  JobCredentialsOptions options_;
  Identities& identities_;
  const iam::Directory& directory_;
  const base::Clock& clock_;
};

}  // namespace millrace::services
