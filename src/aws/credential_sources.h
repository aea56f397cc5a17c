// The places credentials come from, one function each. Nothing: this place has none. Throws CorruptError,
// TransientError or DeniedError when it has some that cannot be had. Internal to the credential chain.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/config_files.h"
#include "aws/credentials.h"
#include "http/client.h"

namespace millrace::aws {

std::optional<Credentials> from_environment(const Environment& environment);
std::optional<Credentials> from_settings(const std::optional<Settings>& section, const std::string& where);
// {"Version": 1, "AccessKeyId": …} as printed by a program (credential_process).
std::optional<Credentials> from_process(const Profile& profile);

// metadata_credentials.cc
std::optional<Credentials> from_container(const Environment& environment, http::Client& client);
std::optional<Credentials> from_instance(const Environment& environment, http::Client& client);
// {"AccessKeyId": …, "SecretAccessKey": …, `token`: …, "Expiration": …}
Credentials parse_credentials_document(const std::string& body, const char* token, const std::string& where);

// sts_credentials.cc
std::optional<Credentials> from_role(const Environment& environment, const base::Clock& clock,
                                     http::Client& client, const std::string& profile);
std::optional<Credentials> from_web_identity(const Environment& environment, http::Client& client,
                                             const std::string& profile);

}  // namespace millrace::aws
