// AWS's shared config and credentials files ("Configuration and credential file settings", AWS SDKs and Tools
// reference guide).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "aws/credentials.h"

namespace millrace::aws {

// Settings of one section by lower-case name; a nested block's are "block.name".
using Settings = std::map<std::string, std::string>;
// By title as it stands in the brackets ("default", "profile x", "services y"), blanks collapsed.
using Sections = std::map<std::string, Settings>;

// Lines that are not understood are passed over, as the SDKs do.
Sections parse_config(std::string_view text);

// The whole text of a file; nothing when it cannot be read.
std::optional<std::string> read_text_file(const std::string& path);

// One profile of both files: `credentials` from [name] of the credentials file, `config` from [profile name]
// of the config file ([default] for the default one).
struct Profile {
  std::string name;
  std::string credentials_path, config_path;
  std::optional<Settings> credentials, config;
  std::string value(const std::string& setting) const;  // of the credentials file first; empty when not set
};

// The name that is in force: `wanted`, AWS_PROFILE, "default".
std::string profile_name(const Environment& environment, const std::string& wanted);
Profile read_profile(const Environment& environment, const std::string& name);

struct ProfileSettings {
  std::string region, s3_endpoint_url, sts_endpoint_url, ca_bundle;
};
// What the profile in force says, also by its `services` section. Throws NotFoundError when a profile was
// named (not merely defaulted to) and is in neither file.
ProfileSettings profile_settings(const Environment& environment, const std::string& wanted = "");

}  // namespace millrace::aws
