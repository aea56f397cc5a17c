// What each attempt finds in its environment: where the APIs are, who it is there, and its secrets.
#pragma once

#include <string>

#include "base/time.h"
#include "exec/attempt_setup.h"
#include "services/identities.h"
#include "services/secret_values.h"

namespace millrace::services {

struct JobSetupOptions {
  std::string endpoint;  // URL of the APIs
  std::string region;
  std::string path, home;  // PATH and HOME of plain processes
};

// All objects passed in outlive it.
class JobSetup final : public exec::AttemptSetup {
 public:
  JobSetup(JobSetupOptions options, const Identities& identities, SecretValues& secrets,
           const base::Clock& clock)
      : options_(std::move(options)), identities_(identities), secrets_(secrets), clock_(clock) {}

  Variables environment(const engine::StartAttempt& attempt) override;
  Variables secrets(const engine::StartAttempt& attempt) override;

 private:
  JobSetupOptions options_;
  const Identities& identities_;
  SecretValues& secrets_;
  const base::Clock& clock_;
};

}  // namespace millrace::services
