// Everybody the account knows, durable in one SQLite file, and what binds each of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "iam/decision.h"
#include "iam/entity.h"
#include "sql/connection.h"

namespace millrace::iam {

// A state of the directory; never changes. Names are found whatever their case, as in IAM.
class State {
 public:
  // Null when there is none.
  const Entity* find(EntityKind kind, std::string_view name) const;
  // Also AWS's own policies, see aws_policy().
  const ManagedPolicy* policy(std::string_view arn) const;
  // The user who owns a key, and the key.
  std::pair<const Entity*, const AccessKey*> key(std::string_view id) const;
  // By name, those whose path begins with `path_prefix`.
  std::vector<const Entity*> list(EntityKind kind, std::string_view path_prefix = "/") const;
  std::vector<const ManagedPolicy*> policies() const;  // the account's own, by ARN
  const std::string& alias() const { return alias_; }  // of the account; empty: none

  // What binds a user (with the policies of its groups), or a session of a role.
  Subject subject_of_user(const Entity& user, const std::string& account) const;
  Subject subject_of_role(const Entity& role, const std::string& session, const std::string& account) const;

 private:
  friend class Edit;
  friend class Directory;
  void add_policies(const Entity& entity, std::vector<NamedPolicy>& to) const;
  void add_boundary(const Entity& entity, Subject& subject) const;

  using Key = std::pair<EntityKind, std::string>;  // name in lower case
  std::map<Key, std::shared_ptr<const Entity>> entities_;
  std::map<std::string, std::shared_ptr<const ManagedPolicy>, std::less<>> policies_;  // by ARN
  std::unordered_map<std::string, std::string> key_owners_;                            // user in lower case
  std::string alias_;
};

// Changes that become true together.
class Edit {
 public:
  const State& state() const { return *state_; }  // with the changes so far
  void put(Entity entity);
  void erase(EntityKind kind, std::string_view name);
  void put(ManagedPolicy policy);
  void erase_policy(const std::string& arn);
  void set_alias(std::string alias);

 private:
  friend class Directory;
  struct Row {
    std::string kind, name;
    std::optional<std::string> body;  // nothing: it goes
  };
  explicit Edit(std::shared_ptr<State> state) : state_(std::move(state)) {}
  void forget_keys(const Entity& entity);

  std::shared_ptr<State> state_;
  std::vector<Row> rows_;
};

// Thread-safe.
class Directory {
 public:
  // Opens or creates the file (mode 0600 is the caller's business).
  explicit Directory(const std::string& path);

  std::shared_ptr<const State> state() const;
  // Durable when it returns; what `change` throws undoes it. One change at a time.
  void change(const std::function<void(Edit&)>& change);

 private:
  std::mutex writing_;
  std::unique_ptr<sql::Connection> db_;
  mutable std::mutex publishing_;
  std::shared_ptr<const State> state_;
};

}  // namespace millrace::iam
