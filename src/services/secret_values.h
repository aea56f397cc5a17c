// The values that job definitions name by `valueFrom` (AWS Batch API reference, "Secret").
#pragma once

#include <string>
#include <string_view>

#include "secrets/parameter_store.h"
#include "secrets/secret_store.h"

namespace millrace::services {

// Thread-safe. Both outlive it.
class SecretValues {
 public:
  SecretValues(secrets::SecretStore& secrets, secrets::ParameterStore& parameters)
      : secrets_(secrets), parameters_(parameters) {}

  // `value_from`: "arn:…:secret:NAME-SUFFIX[:json-key:version-stage:version-id]", the ARN of a parameter, or
  // its name. Waits for no disk but this one's reads. Throws NotFoundError with ECS's
  // "ResourceInitializationError: …", which never has anything of a value in it.
  secrets::Plaintext resolve(std::string_view value_from);

  // The whole ARN of the secret that `id` names in any way, empty when there is none.
  std::string arn_of(std::string_view id);

 private:
  secrets::Plaintext secret(std::string_view arn);
  secrets::Plaintext parameter(std::string_view name);

  secrets::SecretStore& secrets_;
  secrets::ParameterStore& parameters_;
};

}  // namespace millrace::services
