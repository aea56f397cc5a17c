#include "services/job_setup.h"

namespace millrace::services {
namespace {

constexpr base::TimeMs kJobKeysLiveMs = base::TimeMs{36} * 3600 * 1000;

}  // namespace

JobSetup::Variables JobSetup::environment(const engine::StartAttempt& attempt) {
  aws::Credentials keys = identities_.for_job(attempt.job_id, clock_.now_ms() + kJobKeysLiveMs);
  return {
      {"PATH", options_.path},
      {"HOME", options_.home},
      {"LANG", "C.UTF-8"},
      {"AWS_ENDPOINT_URL", options_.endpoint},
      {"AWS_REGION", options_.region},
      {"AWS_DEFAULT_REGION", options_.region},
      {"AWS_ACCESS_KEY_ID", keys.access_key_id},
      {"AWS_SECRET_ACCESS_KEY", keys.secret_access_key},
      {"AWS_SESSION_TOKEN", keys.session_token},
      {"AWS_EC2_METADATA_DISABLED", "true"},
  };
}

JobSetup::Variables JobSetup::secrets(const engine::StartAttempt& attempt) {
  Variables values;
  for (const auto& [name, value_from] : attempt.secrets) {
    const secrets::Plaintext value = secrets_.resolve(value_from);
    if (!name.empty()) values.emplace_back(name, value.view());
  }
  return values;
}

}  // namespace millrace::services
