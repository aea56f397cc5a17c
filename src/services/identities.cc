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

constexpr std::string_view kJobKeyPrefix = "ASIA";
constexpr size_t kKeyIdSize = 20;

// Upper-case letters and digits 2-7, as AWS's key ids have.
std::string key_id(std::string_view prefix, std::string_view bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string id(prefix);
  for (size_t i = 0; id.size() < kKeyIdSize; ++i) id += kLetters[static_cast<unsigned char>(bytes[i]) & 31];
  return id;
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

Identities Identities::load_or_create(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return Identities(read_root_key(path));
  aws::Credentials root;
  root.access_key_id = key_id("AKIA", base::random_bytes(kKeyIdSize));
  root.secret_access_key = base::random_alphanumeric(40);
  json::object object{{"access_key_id", root.access_key_id}, {"secret_access_key", root.secret_access_key}};
  write_durably(path, json::serialize(object) + "\n");
  return Identities(root);
}

std::string Identities::derive(std::string_view purpose, std::string_view data) const {
  return base::hmac_sha256(root_.secret_access_key, std::string(purpose) + ":" + std::string(data));
}

// The token is "JOB EXPIRES" in hex, a dot, and a MAC over it and the key id.
aws::Credentials Identities::for_job(std::string_view job_id, base::TimeMs expires) const {
  aws::Credentials job;
  std::string claims = std::string(job_id) + " " + std::to_string(expires);
  job.access_key_id = key_id(kJobKeyPrefix, derive("key", claims));
  job.secret_access_key = base::base64(derive("secret", job.access_key_id)).substr(0, 40);
  job.session_token = base::hex(claims) + "." + base::hex(derive("token", job.access_key_id + " " + claims));
  job.expires_at = expires;
  return job;
}

std::optional<Identities::Caller> Identities::find(std::string_view access_key,
                                                   std::string_view session_token, base::TimeMs now,
                                                   aws::Dialect dialect) const {
  if (access_key == root_.access_key_id) return Caller{root_.secret_access_key, ""};
  if (access_key.substr(0, kJobKeyPrefix.size()) != kJobKeyPrefix || session_token.empty())
    return std::nullopt;
  size_t dot = session_token.find('.');
  std::optional<std::string> claims = base::unhex(session_token.substr(0, dot));
  std::optional<std::string> mac =
      dot == std::string_view::npos ? std::nullopt : base::unhex(session_token.substr(dot + 1));
  if (!claims || !mac ||
      !base::equal_in_constant_time(*mac, derive("token", std::string(access_key) + " " + *claims)))
    throw aws::auth_error(aws::AuthProblem::kTokenInvalid, dialect);
  size_t space = claims->find(' ');
  auto expires = base::parse_number<base::TimeMs>(std::string_view(*claims).substr(space + 1));
  if (!expires || *expires < now) throw aws::auth_error(aws::AuthProblem::kTokenExpired, dialect);
  return Caller{base::base64(derive("secret", access_key)).substr(0, 40), claims->substr(0, space)};
}

}  // namespace millrace::services
