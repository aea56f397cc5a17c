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
  // Python and the AWS CLI, Node.js, and what uses OpenSSL or curl.
  if (!options_.ca_bundle.empty())
    for (const char* name : {"AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "SSL_CERT_FILE"})
      out.emplace_back(name, options_.ca_bundle);
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
