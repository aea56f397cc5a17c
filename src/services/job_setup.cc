#include "services/job_setup.h"

namespace millrace::services {
JobSetup::Variables JobSetup::environment(const engine::StartAttempt& attempt) {
  Variables out = {
      {"PATH", options_.path},
      {"HOME", options_.home},
      {"LANG", "C.UTF-8"},
      {"AWS_ENDPOINT_URL", options_.endpoint},
      {"AWS_REGION", options_.region},
      {"AWS_DEFAULT_REGION", options_.region},
      {"AWS_EC2_METADATA_DISABLED", "true"},
  };
  for (auto& variable : credentials_.variables(attempt, options_.endpoint))
    out.push_back(std::move(variable));
  return out;
}

JobSetup::Variables JobSetup::secrets(const engine::StartAttempt& attempt) {
  Variables values;
  for (const auto& [name, value_from] : attempt.secrets) {
    authorizer_.check_secret(attempt.execution_role, value_from);
    const secrets::Plaintext value = secrets_.resolve(value_from);
    if (!name.empty()) values.emplace_back(name, value.view());
  }
  return values;
}

}  // namespace millrace::services
