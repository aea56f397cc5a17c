#include "services/identities.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace millrace::services {
namespace {

namespace json = base::json;

constexpr std::string_view kSessionKeyPrefix = "ASIA";
constexpr size_t kKeyIdSize = 20;
constexpr size_t kMacSize = 32;

// Upper-case letters and digits 2-7, as AWS's key ids have.
std::string key_id(std::string_view prefix, std::string_view bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string id(prefix);
  for (size_t i = 0; id.size() < kKeyIdSize; ++i) id += kLetters[static_cast<unsigned char>(bytes[i]) & 31];
  return id;
}

// What the token carries; only the engine reads it.
std::string claims_of(const Session& session) {
  json::object claims{{"i", session.issued}, {"e", session.expires}};
  auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) claims[name] = text;
  };
  add("r", session.role);
  add("u", session.user);
  add("d", session.id);
  add("n", session.name);
  add("p", session.policy);
  if (session.unrestricted) claims["f"] = true;
  if (session.attempt != 0) claims["a"] = session.attempt;
  if (!session.policy_arns.empty()) {
    json::array arns;
    for (const std::string& arn : session.policy_arns) arns.emplace_back(arn);
    claims["m"] = std::move(arns);
  }
  return json::serialize(claims);
}

Session session_of(const std::string& claims) {
  json::value value = base::parse_json(claims);
  const json::object& object = value.as_object();
  auto text = [&](const char* name) { return std::string(base::find_string(object, name).value_or("")); };
  Session session;
  session.role = text("r");
  session.user = text("u");
  session.id = text("d");
  session.unrestricted = base::find_bool(object, "f").value_or(false);
  session.name = text("n");
  session.policy = text("p");
  session.attempt = static_cast<uint64_t>(base::find_int(object, "a").value_or(0));
  if (const json::array* arns = base::find_array(object, "m"))
    for (const json::value& arn : *arns) session.policy_arns.emplace_back(base::view(arn.as_string()));
  session.issued = base::find_int(object, "i").value_or(0);
  session.expires = base::find_int(object, "e").value_or(0);
  return session;
}

void write_durably(const std::string& path, const std::string& text) {
  std::string temporary = path + ".new";
  base::UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(fd.get()) != 0 || rename(temporary.c_str(), path.c_str()) != 0)
    throw base::TransientError(base::system_message("cannot write the key file " + path, errno));
}

}  // namespace

aws::Credentials read_root_key(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    throw base::NotFoundError("no keys in " + path +
                              ": has `millrace serve` been started with this --data folder?");
  std::stringstream text;
  text << file.rdbuf();
  json::value value = base::parse_json(text.str());
  const json::object* object = value.if_object();
  aws::Credentials root;
  if (object) {
    root.access_key_id = base::find_string(*object, "access_key_id").value_or("");
    root.secret_access_key = base::find_string(*object, "secret_access_key").value_or("");
  }
  if (root.access_key_id.empty() || root.secret_access_key.empty())
    throw base::CorruptError(path + " holds no key; remove it to have a new one made");
  return root;
}

std::string new_key_id(std::string_view prefix) { return key_id(prefix, base::random_bytes(kKeyIdSize)); }

Identities Identities::load_or_create(const std::string& path, const iam::Directory* directory) {
  if (access(path.c_str(), F_OK) == 0) return Identities(read_root_key(path), directory);
  aws::Credentials root;
  root.access_key_id = new_key_id("AKIA");
  root.secret_access_key = base::random_alphanumeric(40);
  json::object object{{"access_key_id", root.access_key_id}, {"secret_access_key", root.secret_access_key}};
  write_durably(path, json::serialize(object) + "\n");
  return Identities(root, directory);
}

std::string Identities::derive(std::string_view purpose, std::string_view data) const {
  return base::hmac_sha256(root_.secret_access_key, std::string(purpose) + ":" + std::string(data));
}

std::string Identities::seal(std::string_view purpose, std::string_view text) const {
  return base::hex(text) + base::hex(derive(purpose, text));
}

std::optional<std::string> Identities::unseal(std::string_view purpose, std::string_view sealed) const {
  std::optional<std::string> bytes = base::unhex(sealed);
  if (!bytes || bytes->size() < kMacSize) return std::nullopt;
  std::string text = bytes->substr(0, bytes->size() - kMacSize);
  if (!base::equal_in_constant_time(bytes->substr(text.size()), derive(purpose, text))) return std::nullopt;
  return text;
}

aws::Credentials Identities::issue(const Session& session) const {
  std::string claims = claims_of(session);
  aws::Credentials keys;
  keys.access_key_id = key_id(kSessionKeyPrefix, derive("key", claims));
  keys.secret_access_key = base::base64(derive("secret", keys.access_key_id)).substr(0, 40);
  keys.session_token =
      base::hex(claims) + "." + base::hex(derive("token", keys.access_key_id + " " + claims));
  keys.expires_at = session.expires;
  return keys;
}

void Identities::attempt_lives(uint64_t attempt) {
  std::lock_guard lock(living_->mutex);
  living_->attempts.insert(attempt);
}

void Identities::attempt_ended(uint64_t attempt) {
  std::lock_guard lock(living_->mutex);
  living_->attempts.erase(attempt);
}

bool Identities::lives(uint64_t attempt) const {
  std::lock_guard lock(living_->mutex);
  return living_->attempts.contains(attempt);
}

std::optional<Caller> Identities::find(std::string_view access_key, std::string_view session_token,
                                       base::TimeMs now, aws::Dialect dialect) const {
  if (access_key == root_.access_key_id) return Caller{root_.access_key_id, root_.secret_access_key, "", {}};
  if (!access_key.starts_with(kSessionKeyPrefix)) {
    if (!directory_) return std::nullopt;
    std::shared_ptr<const iam::State> state = directory_->state();
    auto [user, key] = state->key(access_key);
    if (!user || !key->active) return std::nullopt;
    return Caller{key->id, key->secret, user->name, {}};
  }
  if (session_token.empty()) return std::nullopt;
  size_t dot = session_token.find('.');
  std::optional<std::string> claims = base::unhex(session_token.substr(0, dot));
  std::optional<std::string> mac =
      dot == std::string_view::npos ? std::nullopt : base::unhex(session_token.substr(dot + 1));
  if (!claims || !mac ||
      !base::equal_in_constant_time(*mac, derive("token", std::string(access_key) + " " + *claims)))
    throw aws::auth_error(aws::AuthProblem::kTokenInvalid, dialect);
  Session session = session_of(*claims);
  if (session.expires < now || (session.of_job() && !lives(session.attempt)))
    throw aws::auth_error(aws::AuthProblem::kTokenExpired, dialect);
  Caller caller{
      std::string(access_key), base::base64(derive("secret", access_key)).substr(0, 40), session.user, {}};
  caller.session = std::move(session);
  return caller;
}

}  // namespace millrace::services
