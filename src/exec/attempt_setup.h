// What an attempt gets beside what its job definition and its submission say.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/command.h"
#include "exec/executor.h"

namespace millrace::exec {

// All calls come in the engine's thread and must not block on the network or on somebody else's fsync.
class AttemptSetup {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;

  virtual ~AttemptSetup() = default;
  // Asked once for each start of an attempt (again after a restart, when the host never heard of it). A
  // variable of the definition wins over one of these, but for `secrets`.
  // Throws base::Error: the attempt ends without having started, what() is its container's reason.
  virtual Variables environment(const engine::StartAttempt& attempt) = 0;
  // The values of StartAttempt::secrets, which win over the definition's environment. They exist only here,
  // on the way to the host and in the job. Throws like environment().
  virtual Variables secrets(const engine::StartAttempt& /*attempt*/) { return {}; }
  // The attempt is over for good; also told for one that never started. Repeated after a restart.
  virtual void ended(AttemptToken /*token*/) {}
};

}  // namespace millrace::exec
