// Secrets with their versions and stages, as AWS Secrets Manager keeps them.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "secrets/database.h"

namespace millrace::secrets {

namespace json = base::json;
using base::TimeMs;

inline constexpr char kCurrent[] = "AWSCURRENT";
inline constexpr char kPrevious[] = "AWSPREVIOUS";
inline constexpr char kPending[] = "AWSPENDING";

struct Secret {
  int64_t id = 0;  // rises with every new one
  std::string name;
  std::string suffix;  // six characters, the end of its ARN
  TimeMs created = 0, changed = 0;
  TimeMs accessed = 0;   // the day when a value was read last; 0: never
  TimeMs delete_at = 0;  // 0: not to be deleted
  // What its owner says of it and it keeps, under AWS's names: Description, KmsKeyId, Tags, Type,
  // ResourcePolicy, RotationEnabled, RotationLambdaARN, RotationRules. Never a value.
  json::object body;
};

struct NewValue {
  std::string version;  // the ClientRequestToken
  bool binary = false;
  Plaintext bytes;
};

struct Value {
  std::string version;
  TimeMs created = 0;
  bool binary = false;
  Plaintext bytes;
  std::vector<std::string> stages;
};

struct VersionInfo {
  std::string version;
  TimeMs created = 0, accessed = 0;
  std::vector<std::string> stages;  // none: deprecated
};

// Version ids and the stages on each; versions without stages are not in it.
using StagesByVersion = std::map<std::string, std::vector<std::string>>;

enum class SecretOrder { kCreated, kChanged, kAccessed, kName };

// Where a list goes on: the values of the last entry.
struct SecretPosition {
  int64_t number = 0;  // of kCreated: the id; else what it is sorted by
  std::string name;    // of kName
  int64_t id = 0;
};

// Errors are aws::ApiError with Secrets Manager's codes and sentences. A secret is named by its name, its ARN
// or its ARN without the suffix; an ARN that ends like one with a suffix is taken for one. Everything that
// changes something is durable on return. Thread-safe. All arguments outlive it.
class SecretStore {
 public:
  SecretStore(Database& database, const base::Clock& clock, std::string region, std::string account);

  std::string arn(const Secret& secret) const;
  std::string arn(std::string_view name, std::string_view suffix) const;

  // The same token with the same value again changes nothing.
  Secret create(const std::string& name, json::object body, const NewValue* value);
  // The secret and the stages that its version has now.
  std::pair<Secret, std::vector<std::string>> put(std::string_view id, const NewValue& value,
                                                  std::vector<std::string> stages);
  // Merges `changes` into its body; an empty text removes a member. With a value: that becomes AWSCURRENT.
  Secret update(std::string_view id, const json::object& changes, const NewValue* value);
  // `change` may alter the body as it likes, or throw.
  Secret edit(std::string_view id, const std::function<void(Secret&)>& change);
  Secret move_stage(std::string_view id, const std::string& stage, const std::string& remove_from,
                    const std::string& move_to);
  // When it goes is in Secret::delete_at.
  Secret schedule_deletion(std::string_view id, int64_t days);
  Secret delete_now(std::string_view id);
  Secret restore(std::string_view id);
  // RotateSecret's claim on a new version: throws when another one is AWSPENDING already.
  void check_no_rotation_under_way(std::string_view id, std::string_view token);

  // Empty: any, and of those AWSCURRENT.
  std::pair<Secret, Value> get(std::string_view id, std::string_view version, std::string_view stage);
  // Also one that is to be deleted.
  std::pair<Secret, StagesByVersion> describe(std::string_view id);
  // Newest first. Also of one that is to be deleted.
  std::pair<Secret, std::vector<VersionInfo>> versions(std::string_view id);
  // At most `limit` that `wanted` takes; `next` is where to go on, nothing at the end.
  std::vector<std::pair<Secret, StagesByVersion>> list(SecretOrder order, bool ascending,
                                                       const std::optional<SecretPosition>& after,
                                                       size_t limit,
                                                       const std::function<bool(const Secret&)>& wanted,
                                                       std::optional<SecretPosition>& next);

  // Writes down who was read since the last call. get() does not wait for a disk.
  void flush_accesses();

 private:
  std::optional<Secret> find(Session& session, std::string_view id) const;
  // Throws when there is none, or when it is to be deleted.
  Secret required(Session& session, std::string_view id, bool also_deleted = false) const;
  void save(Session& session, const Secret& secret) const;
  void purge(Session& session) const;
  bool has_same_version(Session& session, const Secret& secret, const NewValue& value) const;
  void add_version(Session& session, Secret& secret, const NewValue& value,
                   const std::vector<std::string>& stages) const;
  void prune_versions(Session& session, const Secret& secret) const;
  Plaintext open(const Secret& secret, std::string_view version, std::string_view sealed) const;

  Database& database_;
  const base::Clock& clock_;
  std::string region_, account_;
  std::mutex accesses_mutex_;
  std::map<std::pair<int64_t, std::string>, TimeMs> accesses_;  // bounded, see note_access()
};

// Letters, digits and /_+=.@-!
bool is_secret_name(std::string_view name);

}  // namespace millrace::secrets
