// The folder of a data folder that secrets are in: their key, and the file with all that is encrypted under
// it.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "secrets/database.h"
#include "secrets/parameter_store.h"
#include "secrets/secret_store.h"
#include "secrets/vault.h"

namespace millrace::secrets {

struct SecretFolder {
  // Makes the folder (mode 0700) and, unless one is given (see Vault::open), a key. Throws as Vault::open and
  // Database; never makes a new key for a file that was encrypted under another.
  SecretFolder(const std::string& path, std::string_view given_key, const base::Clock& clock,
               const std::string& region, const std::string& account);

  Vault vault;
  Database database;
  SecretStore secrets;
  ParameterStore parameters;
};

}  // namespace millrace::secrets
