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
#include "services/authorizer.h"
#include "services/identities.h"

namespace millrace::services {

// Thread-safe. What is passed in outlives it.
class JobCredentials {
 public:
  JobCredentials(std::string region, std::string account, Identities& identities,
                 const Authorizer& authorizer, const base::Clock& clock)
      : region_(std::move(region)),
        account_(std::move(account)),
        identities_(identities),
        authorizer_(authorizer),
        clock_(clock) {}

  // The variables that let a job find both, below `endpoint`. The attempt lives from here on, with the role
  // that it has now. Without a role there are credentials for everything, or, where Authorizer::is_strict(),
  // none. Throws as Authorizer::job_role().
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

  std::string region_, account_;
  Identities& identities_;
  const Authorizer& authorizer_;
  const base::Clock& clock_;
};

}  // namespace millrace::services
