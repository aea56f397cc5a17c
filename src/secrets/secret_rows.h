// Rows of secrets and of their stages. Internal to the secret store.
#pragma once

#include <string>
#include <string_view>

#include "secrets/secret_store.h"

namespace millrace::secrets {

// Throws aws::ApiError, status 400.
[[noreturn]] void refuse(const char* code, const std::string& message);

// Columns: id, name, suffix, created, changed, accessed, delete_at, body.
Secret read_secret(const sql::Statement& row);

StagesByVersion stages_of(Session& session, int64_t secret);
// The version that a stage is on; empty: on none.
std::string version_at(Session& session, int64_t secret, std::string_view stage);

}  // namespace millrace::secrets
