// What each attempt finds in its environment: where the APIs are, and who it is there.
#pragma once

#include <string>

#include "base/time.h"
#include "exec/attempt_setup.h"
#include "services/identities.h"

namespace millrace::services {

struct JobSetupOptions {
  std::string endpoint;  // URL of the APIs
  std::string region;
  std::string path, home;  // PATH and HOME of plain processes
};

// Both objects passed in outlive it.
class JobSetup final : public exec::AttemptSetup {
 public:
  JobSetup(JobSetupOptions options, const Identities& identities, const base::Clock& clock)
      : options_(std::move(options)), identities_(identities), clock_(clock) {}

  Variables environment(const engine::StartAttempt& attempt) override;

 private:
  JobSetupOptions options_;
  const Identities& identities_;
  const base::Clock& clock_;
};

}  // namespace millrace::services
