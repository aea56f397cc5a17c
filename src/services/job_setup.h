// What each attempt finds in its environment: where the APIs are, who it is there, and its secrets.
#pragma once

#include <string>

#include "exec/attempt_setup.h"
#include "services/authorizer.h"
#include "services/job_credentials.h"
#include "services/secret_values.h"

namespace millrace::services {

struct JobSetupOptions {
  std::string endpoint;  // URL of the APIs
  std::string region;
  std::string path, home;  // PATH and HOME of plain processes
  std::string ca_bundle;   // whom to trust; empty: whom they trust anyway
};

// All objects passed in outlive it.
class JobSetup final : public exec::AttemptSetup {
 public:
  JobSetup(JobSetupOptions options, JobCredentials& credentials, SecretValues& secrets,
           const Authorizer& authorizer)
      : options_(std::move(options)), credentials_(credentials), secrets_(secrets), authorizer_(authorizer) {}

  Variables environment(const engine::StartAttempt& attempt) override;
  // With the rights of the execution role, where the account has it.
  Variables secrets(const engine::StartAttempt& attempt) override;
  void ended(exec::AttemptToken token) override { credentials_.ended(token); }

 private:
  JobSetupOptions options_;
  JobCredentials& credentials_;
  SecretValues& secrets_;
  const Authorizer& authorizer_;
};

}  // namespace millrace::services
