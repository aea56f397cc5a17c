#include "iam/directory.h"

#include <array>

#include "base/strings.h"
#include "iam/aws_policies.h"
#include "sql/migration.h"

namespace millrace::iam {
namespace {

constexpr char kVersion1[] =
    "CREATE TABLE entities(kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, "
    "PRIMARY KEY(kind, name)) STRICT, WITHOUT ROWID;";
constexpr std::array<const char*, 1> kSteps = {kVersion1};

constexpr std::string_view kPolicyKind = "policy", kAliasKind = "alias";

}  // namespace

const Entity* State::find(EntityKind kind, std::string_view name) const {
  auto found = entities_.find({kind, base::to_lower(name)});
  return found == entities_.end() ? nullptr : found->second.get();
}

const ManagedPolicy* State::policy(std::string_view arn) const {
  auto found = policies_.find(arn);
  return found == policies_.end() ? aws_policy(arn) : found->second.get();
}

std::pair<const Entity*, const AccessKey*> State::key(std::string_view id) const {
  auto owner = key_owners_.find(std::string(id));
  const Entity* user = owner == key_owners_.end() ? nullptr : find(EntityKind::kUser, owner->second);
  if (user)
    for (const AccessKey& key : user->keys)
      if (key.id == id) return {user, &key};
  return {nullptr, nullptr};
}

std::vector<const Entity*> State::list(EntityKind kind, std::string_view path_prefix) const {
  std::vector<const Entity*> out;
  for (auto at = entities_.lower_bound({kind, ""}); at != entities_.end() && at->first.first == kind; ++at)
    if (at->second->path.starts_with(path_prefix)) out.push_back(at->second.get());
  return out;
}

std::vector<const ManagedPolicy*> State::policies() const {
  std::vector<const ManagedPolicy*> out;
  out.reserve(policies_.size());
  for (const auto& [arn, policy] : policies_) out.push_back(policy.get());
  return out;
}

void State::add_policies(const Entity& entity, std::vector<NamedPolicy>& to) const {
  for (const auto& [name, document] : entity.inline_policies)
    to.push_back({"inline policy " + name + " of " + entity.arn, document.policy});
  for (const std::string& arn : entity.attached)
    if (const ManagedPolicy* managed = policy(arn)) to.push_back({arn, managed->current().policy});
}

void State::add_boundary(const Entity& entity, Subject& subject) const {
  if (entity.boundary.empty()) return;
  // DeletePolicy refuses while it is one; without it nothing would be allowed.
  const ManagedPolicy* managed = policy(entity.boundary);
  subject.boundary = NamedPolicy{entity.boundary, managed ? managed->current().policy : allows_nothing()};
}

Subject State::subject_of_user(const Entity& user, const std::string& account) const {
  Subject subject;
  subject.arn = user.arn;
  subject.account = account;
  add_policies(user, subject.identity);
  for (const std::string& name : user.groups)
    if (const Entity* group = find(EntityKind::kGroup, name)) add_policies(*group, subject.identity);
  add_boundary(user, subject);
  return subject;
}

Subject State::subject_of_role(const Entity& role, const std::string& session,
                               const std::string& account) const {
  Subject subject;
  subject.arn = "arn:aws:sts::" + account + ":assumed-role/" + role.name + "/" + session;
  subject.role_arn = role.arn;
  subject.account = account;
  add_policies(role, subject.identity);
  add_boundary(role, subject);
  return subject;
}

void Edit::forget_keys(const Entity& entity) {
  for (const AccessKey& key : entity.keys) state_->key_owners_.erase(key.id);
}

void Edit::put(Entity entity) {
  std::string name = base::to_lower(entity.name);
  if (const Entity* before = state_->find(entity.kind, name)) forget_keys(*before);
  for (const AccessKey& key : entity.keys) state_->key_owners_[key.id] = name;
  rows_.push_back({std::string(to_string(entity.kind)), name, base::json::serialize(to_json(entity))});
  State::Key key{entity.kind, name};
  state_->entities_[key] = std::make_shared<const Entity>(std::move(entity));
}

void Edit::erase(EntityKind kind, std::string_view name) {
  std::string lower = base::to_lower(name);
  if (const Entity* before = state_->find(kind, lower)) forget_keys(*before);
  state_->entities_.erase({kind, lower});
  rows_.push_back({std::string(to_string(kind)), lower, std::nullopt});
}

void Edit::put(ManagedPolicy policy) {
  rows_.push_back({std::string(kPolicyKind), policy.arn, base::json::serialize(to_json(policy))});
  std::string arn = policy.arn;
  state_->policies_[arn] = std::make_shared<const ManagedPolicy>(std::move(policy));
}

void Edit::erase_policy(const std::string& arn) {
  state_->policies_.erase(arn);
  rows_.push_back({std::string(kPolicyKind), arn, std::nullopt});
}

void Edit::set_alias(std::string alias) {
  rows_.push_back({std::string(kAliasKind), "account",
                   alias.empty() ? std::nullopt : std::optional(R"({"name":")" + alias + "\"}")});
  state_->alias_ = std::move(alias);
}

Directory::Directory(const std::string& path) : db_(sql::open_sqlite(path, {.exclusive = true})) {
  sql::migrate(*db_, path, kSteps, [] {});
  Edit loading(std::make_shared<State>());
  auto rows = db_->prepare("SELECT kind, body FROM entities");
  while (rows->step()) {
    base::json::value value = base::parse_json(rows->text(1));
    const base::json::object& body = value.as_object();
    if (rows->text(0) == kPolicyKind)
      loading.put(managed_policy_from_json(body));
    else if (rows->text(0) == kAliasKind)
      loading.set_alias(std::string(base::find_string(body, "name").value_or("")));
    else
      loading.put(entity_from_json(body));
  }
  state_ = std::move(loading.state_);
}

std::shared_ptr<const State> Directory::state() const {
  std::lock_guard lock(publishing_);
  return state_;
}

void Directory::change(const std::function<void(Edit&)>& change) {
  std::lock_guard writing(writing_);
  Edit edit(std::make_shared<State>(*state()));
  change(edit);
  sql::Transaction transaction(*db_);
  for (const Edit::Row& row : edit.rows_) {
    auto statement = db_->prepare(row.body ? "INSERT INTO entities(kind, name, body) VALUES($1, $2, $3) "
                                             "ON CONFLICT(kind, name) DO UPDATE SET body = excluded.body"
                                           : "DELETE FROM entities WHERE kind = $1 AND name = $2");
    statement->bind(1, row.kind).bind(2, row.name);
    if (row.body) statement->bind(3, *row.body);
    statement->run();
  }
  transaction.commit();
  std::lock_guard lock(publishing_);
  state_ = std::move(edit.state_);
}

}  // namespace millrace::iam
