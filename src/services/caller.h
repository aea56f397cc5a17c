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
  // What binds it: a role or a user, by name and id (another one of that name, made later, is somebody else);
  // or nothing: root's, and those of jobs that may do everything.
  std::string role, user, id;
  bool unrestricted = false;
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
  // Root, and jobs that nothing binds: what they ask for is done.
  bool unrestricted() const { return !anonymous() && (session ? session->unrestricted : user.empty()); }
};

}  // namespace millrace::services
