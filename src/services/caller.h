// Who signed a request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace millrace::services {

// What the token of temporary credentials says.
struct Session {
  std::string role;      // name; empty: of a user, of root, or of a job without a role
  std::string user;      // name; sessions of a user (GetSessionToken)
  std::string name;      // of the session; of a job: its id
  uint64_t attempt = 0;  // of a job: the attempt that it lives as long as
  std::string policy;    // session policy, its text; may be empty
  std::vector<std::string> policy_arns;
  base::TimeMs issued = 0, expires = 0;

  bool of_job() const { return attempt != 0; }
};

struct Caller {
  std::string access_key;  // empty: nobody signed
  std::string secret;
  std::string user;  // name; empty: root, a role or a job
  std::optional<Session> session;

  bool anonymous() const { return access_key.empty(); }
  // Root, and jobs without a role: what they ask for is done.
  bool unrestricted() const {
    return !anonymous() && user.empty() && (!session || (session->role.empty() && session->user.empty()));
  }
};

}  // namespace millrace::services
