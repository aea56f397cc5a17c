#include "secrets/secret_folder.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"

namespace millrace::secrets {
namespace {

const std::string& made(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    throw base::TransientError(base::system_message("cannot make " + folder, errno));
  return folder;
}

std::string file_of(const std::string& folder) { return folder + "/secrets.db"; }

}  // namespace

SecretFolder::SecretFolder(const std::string& path, std::string_view given_key, const base::Clock& clock,
                           const std::string& region, const std::string& account)
    : vault(Vault::open(made(path) + "/key", given_key, !Database::is_there(file_of(path)))),
      database(file_of(path), vault),
      secrets(database, clock, region, account),
      parameters(database, clock, region, account) {}

}  // namespace millrace::secrets
