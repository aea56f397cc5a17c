#include "secrets/secret_store.h"

#include <algorithm>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/strings.h"
#include "secrets/secret_rows.h"

namespace millrace::secrets {
namespace {

constexpr TimeMs kDayMs = TimeMs{24} * 3600 * 1000;
constexpr size_t kSuffixSize = 6;
constexpr size_t kAccessesMax = 10'000;  // noted in memory; more are forgotten
// Versions that no stage is on: of those older than a day the newest are kept, younger ones up to a bound.
constexpr int64_t kDeprecatedMax = 100, kYoungDeprecatedMax = 10'000;

constexpr char kMarked[] =
    "You can't perform this operation on the secret because it was marked for deletion.";

std::string value_place(std::string_view name, std::string_view version) {
  std::string place("secret");
  place += '\0';
  place += name;
  place += '\0';
  place += version;
  return place;
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

void refuse(const char* code, const std::string& message) { throw aws::ApiError(400, code, message); }

bool is_secret_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("/_+=.@-!").find(c) != std::string_view::npos;
  });
}

StagesByVersion stages_of(Session& session, int64_t secret) {
  StagesByVersion stages;
  Query rows(session, "SELECT version, stage FROM stages WHERE secret = $1 ORDER BY stage");
  rows->bind(1, secret);
  while (rows->step()) stages[std::string(rows->text(0))].emplace_back(rows->text(1));
  return stages;
}

std::string version_at(Session& session, int64_t secret, std::string_view stage) {
  Query row(session, "SELECT version FROM stages WHERE secret = $1 AND stage = $2");
  row->bind(1, secret).bind(2, stage);
  return row->step() ? std::string(row->text(0)) : std::string();
}

void set_stage(Session& session, int64_t secret, std::string_view stage, std::string_view version) {
  Query(session,
        "INSERT INTO stages(secret, stage, version) VALUES ($1, $2, $3) "
        "ON CONFLICT(secret, stage) DO UPDATE SET version = excluded.version")
      ->bind(1, secret)
      .bind(2, stage)
      .bind(3, version)
      .run();
}

void drop_stage(Session& session, int64_t secret, std::string_view stage) {
  Query(session, "DELETE FROM stages WHERE secret = $1 AND stage = $2")->bind(1, secret).bind(2, stage).run();
}

// AWSPREVIOUS follows to the version that AWSCURRENT leaves.
void make_current(Session& session, int64_t secret, std::string_view version) {
  const std::string old = version_at(session, secret, kCurrent);
  if (old == version) return;
  set_stage(session, secret, kCurrent, version);
  if (!old.empty()) set_stage(session, secret, kPrevious, old);
}

Secret read_secret(const sql::Statement& row) {
  Secret secret;
  secret.id = row.int64(0);
  secret.name = row.text(1);
  secret.suffix = row.text(2);
  secret.created = row.int64(3);
  secret.changed = row.int64(4);
  secret.accessed = row.int64(5);
  secret.delete_at = row.int64(6);
  secret.body = base::parse_json(row.text(7)).as_object();
  return secret;
}

SecretStore::SecretStore(Database& database, const base::Clock& clock, std::string region,
                         std::string account)
    : database_(database), clock_(clock), region_(std::move(region)), account_(std::move(account)) {}

std::string SecretStore::arn(std::string_view name, std::string_view suffix) const {
  const char* partition = region_.starts_with("cn-")       ? "aws-cn"
                          : region_.starts_with("us-gov-") ? "aws-us-gov"
                                                           : "aws";
  return std::string("arn:") + partition + ":secretsmanager:" + region_ + ":" + account_ +
         ":secret:" + std::string(name) + (suffix.empty() ? "" : "-") + std::string(suffix);
}

std::string SecretStore::arn(const Secret& secret) const { return arn(secret.name, secret.suffix); }

std::optional<Secret> SecretStore::find(Session& session, std::string_view id) const {
  std::string_view name = id, suffix;
  if (id.starts_with("arn:")) {
    const std::string prefix = arn("", "");
    if (!id.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    const size_t dash = name.size() > kSuffixSize + 1 ? name.size() - kSuffixSize - 1 : 0;
    if (dash > 0 && name[dash] == '-' &&
        std::all_of(name.begin() + static_cast<ptrdiff_t>(dash) + 1, name.end(), is_alphanumeric)) {
      suffix = name.substr(dash + 1);
      name = name.substr(0, dash);
    }
  }
  Query row(session,
            "SELECT id, name, suffix, created, changed, accessed, delete_at, body FROM secrets WHERE name = "
            "$1");
  row->bind(1, name);
  if (!row->step()) return std::nullopt;
  Secret secret = read_secret(*row);
  if (!suffix.empty() && secret.suffix != suffix) return std::nullopt;
  if (secret.delete_at != 0 && secret.delete_at <= clock_.now_ms()) return std::nullopt;
  return secret;
}

Secret SecretStore::required(Session& session, std::string_view id, bool also_deleted) const {
  std::optional<Secret> secret = find(session, id);
  if (!secret) refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
  if (secret->delete_at != 0 && !also_deleted) refuse("InvalidRequestException", kMarked);
  return std::move(*secret);
}

void SecretStore::save(Session& session, const Secret& secret) const {
  Query(session, "UPDATE secrets SET changed = $2, accessed = $3, delete_at = $4, body = $5 WHERE id = $1")
      ->bind(1, secret.id)
      .bind(2, secret.changed)
      .bind(3, secret.accessed)
      .bind(4, secret.delete_at)
      .bind(5, json::serialize(secret.body))
      .run();
}

// What was to be deleted by now goes for good; find() does not see it any more anyway.
void SecretStore::purge(Session& session) const {
  Query(session, "DELETE FROM secrets WHERE delete_at <> 0 AND delete_at <= $1")
      ->bind(1, clock_.now_ms())
      .run();
}

Plaintext SecretStore::open(const Secret& secret, std::string_view version, std::string_view sealed) const {
  return database_.vault().open(sealed, value_place(secret.name, version));
}

// Throws when that version has another value.
bool SecretStore::has_same_version(Session& session, const Secret& secret, const NewValue& value) const {
  Query row(session, "SELECT binary, value FROM versions WHERE secret = $1 AND version = $2");
  row->bind(1, secret.id).bind(2, value.version);
  if (!row->step()) return false;
  const Plaintext there = open(secret, value.version, row->text(1));
  if ((row->int64(0) != 0) == value.binary && base::equal_in_constant_time(there.view(), value.bytes.view()))
    return true;
  refuse("ResourceExistsException", "You can't use ClientRequestToken " + value.version +
                                        " because that value is already in use for a version of secret " +
                                        arn(secret) + ".");
}

void SecretStore::add_version(Session& session, Secret& secret, const NewValue& value,
                              const std::vector<std::string>& stages) const {
  Query(session,
        "INSERT INTO versions(secret, version, created, accessed, binary, value) VALUES ($1, $2, $3, 0, $4, "
        "$5)")
      ->bind(1, secret.id)
      .bind(2, value.version)
      .bind(3, clock_.now_ms())
      .bind(4, int64_t{value.binary})
      .bind_blob(5, database_.vault().seal(value.bytes.view(), value_place(secret.name, value.version)))
      .run();
  const bool first = version_at(session, secret.id, kCurrent).empty();
  for (const std::string& stage : stages)
    if (stage != kCurrent) set_stage(session, secret.id, stage, value.version);
  if (first || std::find(stages.begin(), stages.end(), kCurrent) != stages.end())
    make_current(session, secret.id, value.version);
  secret.changed = clock_.now_ms();
  prune_versions(session, secret);
}

void SecretStore::prune_versions(Session& session, const Secret& secret) const {
  Query(session,
        "DELETE FROM versions WHERE secret = $1 AND version IN (SELECT v.version FROM versions v WHERE "
        "v.secret = $1 AND NOT EXISTS (SELECT 1 FROM stages s WHERE s.secret = $1 AND s.version = v.version) "
        "AND v.created < $2 ORDER BY v.created DESC LIMIT -1 OFFSET $3)")
      ->bind(1, secret.id)
      .bind(2, clock_.now_ms() - kDayMs)
      .bind(3, kDeprecatedMax)
      .run();
  Query count(session, "SELECT count(*) FROM versions WHERE secret = $1");
  count->bind(1, secret.id);
  count->step();
  if (count->int64(0) > kYoungDeprecatedMax)
    refuse("LimitExceededException",
           "The secret has too many versions: " + std::to_string(kYoungDeprecatedMax) +
               " of the last 24 hours are kept. Update it less often.");
}

Secret SecretStore::create(const std::string& name, json::object body, const NewValue* value) {
  return database_.write([&](Session& session) {
    purge(session);
    if (std::optional<Secret> there = find(session, name)) {
      if (there->delete_at != 0)
        refuse("InvalidRequestException",
               "You can't create this secret because a secret with this name is already scheduled for "
               "deletion.");
      if (value && has_same_version(session, *there, *value)) return std::move(*there);
      refuse("ResourceExistsException",
             "The operation failed because the secret " + name + " already exists.");
    }
    Secret secret;
    secret.name = name;
    secret.suffix = base::random_alphanumeric(kSuffixSize);
    secret.created = secret.changed = clock_.now_ms();
    secret.body = std::move(body);
    Query row(session,
              "INSERT INTO secrets(name, suffix, created, changed, accessed, delete_at, body) "
              "VALUES ($1, $2, $3, $3, 0, 0, $4) RETURNING id");
    row->bind(1, name).bind(2, secret.suffix).bind(3, secret.created).bind(4, json::serialize(secret.body));
    row->step();
    secret.id = row->int64(0);
    if (value) add_version(session, secret, *value, {kCurrent});
    return secret;
  });
}

std::pair<Secret, std::vector<std::string>> SecretStore::put(std::string_view id, const NewValue& value,
                                                             std::vector<std::string> stages) {
  return database_.write([&](Session& session) {
    purge(session);
    Secret secret = required(session, id);
    if (!has_same_version(session, secret, value)) {
      if (stages.empty()) stages.emplace_back(kCurrent);
      add_version(session, secret, value, stages);
      save(session, secret);
    }
    return std::pair(std::move(secret), stages_of(session, secret.id)[value.version]);
  });
}

Secret SecretStore::update(std::string_view id, const json::object& changes, const NewValue* value) {
  return database_.write([&](Session& session) {
    purge(session);
    Secret secret = required(session, id);
    for (const auto& [key, changed] : changes) {
      if (changed.is_string() && changed.get_string().empty())
        secret.body.erase(key);
      else
        secret.body[key] = changed;
    }
    secret.changed = clock_.now_ms();
    if (value && !has_same_version(session, secret, *value)) add_version(session, secret, *value, {kCurrent});
    save(session, secret);
    return secret;
  });
}

Secret SecretStore::edit(std::string_view id, const std::function<void(Secret&)>& change) {
  return database_.write([&](Session& session) {
    Secret secret = required(session, id);
    change(secret);
    secret.changed = clock_.now_ms();
    save(session, secret);
    return secret;
  });
}

Secret SecretStore::move_stage(std::string_view id, const std::string& stage, const std::string& remove_from,
                               const std::string& move_to) {
  return database_.write([&](Session& session) {
    Secret secret = required(session, id);
    auto check_version = [&](const std::string& version) {
      Query row(session, "SELECT 1 FROM versions WHERE secret = $1 AND version = $2");
      row->bind(1, secret.id).bind(2, version);
      if (!row->step())
        refuse("ResourceNotFoundException",
               "Secrets Manager can't find the specified secret value for VersionId: " + version);
    };
    if (remove_from.empty() && move_to.empty())
      refuse("InvalidParameterException",
             "You must provide a value for RemoveFromVersionId, MoveToVersionId, or both.");
    const std::string on = version_at(session, secret.id, stage);
    if (!remove_from.empty() && on != remove_from) {
      check_version(remove_from);
      refuse("InvalidParameterException", "The staging label " + stage + " is not attached to version " +
                                              remove_from + " of secret " + arn(secret) + ".");
    }
    if (move_to.empty()) {
      if (stage == kCurrent)
        refuse("InvalidParameterException",
               "You can only move staging label AWSCURRENT to a different secret version. It can't be "
               "completely removed.");
      drop_stage(session, secret.id, stage);
    } else {
      check_version(move_to);
      if (!on.empty() && on != move_to && remove_from.empty())
        refuse("InvalidParameterException",
               "The parameter RemoveFromVersionId can't be empty. Staging label " + stage +
                   " is currently attached to version " + on +
                   ", so you must explicitly reference that version in RemoveFromVersionId.");
      if (stage == kCurrent)
        make_current(session, secret.id, move_to);
      else
        set_stage(session, secret.id, stage, move_to);
    }
    secret.changed = clock_.now_ms();
    save(session, secret);
    return secret;
  });
}

Secret SecretStore::schedule_deletion(std::string_view id, int64_t days) {
  return database_.write([&](Session& session) {
    purge(session);
    Secret secret = required(session, id);
    secret.delete_at = clock_.now_ms() + days * kDayMs;
    save(session, secret);
    return secret;
  });
}

Secret SecretStore::delete_now(std::string_view id) {
  return database_.write([&](Session& session) {
    purge(session);
    Secret secret = required(session, id, true);
    Query(session, "DELETE FROM secrets WHERE id = $1")->bind(1, secret.id).run();
    secret.delete_at = clock_.now_ms();
    return secret;
  });
}

Secret SecretStore::restore(std::string_view id) {
  return database_.write([&](Session& session) {
    Secret secret = required(session, id, true);
    secret.delete_at = 0;
    save(session, secret);
    return secret;
  });
}

void SecretStore::check_no_rotation_under_way(std::string_view id, std::string_view token) {
  database_.read([&](Session& session) {
    const Secret secret = required(session, id);
    const std::string pending = version_at(session, secret.id, kPending);
    if (!pending.empty() && pending != token && pending != version_at(session, secret.id, kCurrent))
      refuse("InvalidRequestException",
             "A previous rotation isn't complete. That rotation will be reattempted.");
  });
}

std::pair<Secret, Value> SecretStore::get(std::string_view id, std::string_view version,
                                          std::string_view stage) {
  return database_.read([&](Session& session) {
    Secret secret = required(session, id);
    Value value;
    value.version = version;
    if (version.empty()) {
      const std::string wanted(stage.empty() ? kCurrent : stage);
      value.version = version_at(session, secret.id, wanted);
      if (value.version.empty())
        refuse("ResourceNotFoundException",
               "Secrets Manager can't find the specified secret value for staging label: " + wanted);
    }
    Query row(session, "SELECT created, binary, value FROM versions WHERE secret = $1 AND version = $2");
    row->bind(1, secret.id).bind(2, value.version);
    if (!row->step())
      refuse("ResourceNotFoundException",
             "Secrets Manager can't find the specified secret value for VersionId: " + value.version);
    value.stages = stages_of(session, secret.id)[value.version];
    if (!version.empty() && !stage.empty() &&
        std::find(value.stages.begin(), value.stages.end(), stage) == value.stages.end())
      refuse("InvalidRequestException",
             "You provided a VersionStage that is not associated to the provided VersionId.");
    value.created = row->int64(0);
    value.binary = row->int64(1) != 0;
    value.bytes = open(secret, value.version, row->text(2));
    const TimeMs today = clock_.now_ms() / kDayMs * kDayMs;
    if (secret.accessed != today) {
      const std::lock_guard lock(accesses_mutex_);
      if (accesses_.size() < kAccessesMax) accesses_[{secret.id, value.version}] = today;
    }
    return std::pair(std::move(secret), std::move(value));
  });
}

void SecretStore::flush_accesses() {
  std::map<std::pair<int64_t, std::string>, TimeMs> accesses;
  {
    const std::lock_guard lock(accesses_mutex_);
    accesses.swap(accesses_);
  }
  if (accesses.empty()) return;
  database_.write([&](Session& session) {
    purge(session);
    for (const auto& [of, day] : accesses) {
      Query(session, "UPDATE secrets SET accessed = $2 WHERE id = $1")->bind(1, of.first).bind(2, day).run();
      Query(session, "UPDATE versions SET accessed = $3 WHERE secret = $1 AND version = $2")
          ->bind(1, of.first)
          .bind(2, of.second)
          .bind(3, day)
          .run();
    }
  });
}

std::pair<Secret, StagesByVersion> SecretStore::describe(std::string_view id) {
  return database_.read([&](Session& session) {
    Secret secret = required(session, id, true);
    StagesByVersion stages = stages_of(session, secret.id);
    return std::pair(std::move(secret), std::move(stages));
  });
}

std::pair<Secret, std::vector<VersionInfo>> SecretStore::versions(std::string_view id) {
  return database_.read([&](Session& session) {
    Secret secret = required(session, id, true);
    StagesByVersion stages = stages_of(session, secret.id);
    std::vector<VersionInfo> versions;
    Query rows(session,
               "SELECT version, created, accessed FROM versions WHERE secret = $1 ORDER BY created DESC, "
               "version");
    rows->bind(1, secret.id);
    while (rows->step()) {
      VersionInfo info{std::string(rows->text(0)), rows->int64(1), rows->int64(2), {}};
      if (auto found = stages.find(info.version); found != stages.end()) info.stages = found->second;
      versions.push_back(std::move(info));
    }
    return std::pair(std::move(secret), std::move(versions));
  });
}

}  // namespace millrace::secrets
