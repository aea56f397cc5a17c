#include "services/secret_values.h"

#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "services/wiped_input.h"

namespace millrace::services {
namespace {

using secrets::Plaintext;

// Colons of an ARN stand between its first seven parts; what comes after them is the reference's own.
constexpr size_t kArnParts = 7, kReferenceParts = 10;

[[noreturn]] void unable(const char* what, const std::string& why) {
  throw base::NotFoundError(
      "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
      "failed: unable to retrieve " +
          std::string(what) + ": service call has been retried 1 time(s): " + why,
      "ResourceInitializationError");
}
[[noreturn]] void no_secret(const std::string& why) { unable("secret from asm", why); }
[[noreturn]] void no_parameter(const std::string& why) { unable("secrets from ssm", why); }

// The member of a JSON object, as text: a string as it is, anything else as JSON.
Plaintext member_of(const Plaintext& document, const std::string& key) {
  base::json::value parsed;
  bool object = true;
  try {
    parsed = base::parse_json(document.view());
    object = parsed.is_object();
  } catch (const base::Error&) {
    object = false;  // the error would quote the value
  }
  if (!object)
    no_secret("retrieved secret from Secrets Manager is no JSON object, so it has no json key " + key);
  const base::json::value* member = parsed.get_object().if_contains(key);
  if (!member) {
    wipe_text(parsed);
    no_secret("retrieved secret from Secrets Manager did not contain json key " + key);
  }
  Plaintext out(member->is_string() ? std::string(base::view(member->get_string()))
                                    : base::json::serialize(*member));
  wipe_text(parsed);
  return out;
}

}  // namespace

Plaintext SecretValues::resolve(std::string_view value_from) {
  Plaintext value =
      value_from.starts_with("arn:") && value_from.find(":secretsmanager:") != std::string_view::npos
          ? secret(value_from)
          : parameter(value_from);
  if (value.view().find('\0') != std::string_view::npos)
    no_secret("the value of " + std::string(value_from) + " has a NUL character, which no variable can have");
  return value;
}

std::string SecretValues::arn_of(std::string_view id) {
  try {
    return secrets_.arn(secrets_.describe(id).first);
  } catch (const base::Error&) {
    return "";  // whoever asks for it is told so
  }
}

Plaintext SecretValues::secret(std::string_view reference) {
  std::vector<std::string_view> parts = base::split(reference, ':');
  if (parts.size() != kArnParts && parts.size() != kReferenceParts)
    no_secret("unexpected ARN format with parameters when trying to retrieve ASM secret " +
              std::string(reference));
  std::string id(parts[0]);
  for (size_t i = 1; i < kArnParts; ++i) id.append(":").append(parts[i]);
  parts.resize(kReferenceParts);
  const std::string key(parts[7]), stage(parts[8]), version(parts[9]);
  if (!stage.empty() && !version.empty())
    no_secret("version stage and version id exclude each other in " + std::string(reference));
  Plaintext found;
  try {
    auto [secret, value] = secrets_.get(id, version, stage);
    if (value.binary) no_secret("retrieved secret from Secrets Manager has no SecretString: " + id);
    found = std::move(value.bytes);
  } catch (const base::Error& error) {
    if (error.code() == "ResourceInitializationError") throw;
    no_secret("failed to fetch secret " + id +
              " from secrets manager: " + (error.code().empty() ? "" : error.code() + ": ") + error.what());
  }
  return key.empty() ? std::move(found) : member_of(found, key);
}

Plaintext SecretValues::parameter(std::string_view name) {
  try {
    return parameters_.value(parameters_.get(name));
  } catch (const base::Error& error) {
    if (error.code() == "ParameterNotFound" || error.code() == "ParameterVersionNotFound")
      no_parameter("invalid parameters: " + std::string(name));
    no_parameter((error.code().empty() ? "" : error.code() + ": ") + error.what());
  }
}

}  // namespace millrace::services
