// Users, groups, roles, instance profiles and managed policies of the account.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "iam/policy.h"

namespace millrace::iam {

// A policy's text with what was read from it.
struct Document {
  std::string text;  // as it was given
  std::shared_ptr<const Policy> policy;

  Document() = default;
  // Throws as Policy::parse().
  Document(std::string given, PolicyKind kind) : text(std::move(given)), policy(Policy::parse(text, kind)) {}
};

enum class EntityKind { kUser, kGroup, kRole, kInstanceProfile };
std::string_view to_string(EntityKind kind);  // "user", as in ARNs

struct AccessKey {
  std::string id, secret;
  bool active = true;
  base::TimeMs created = 0;
};

// Fields that a kind does not have stay empty.
struct Entity {
  EntityKind kind = EntityKind::kUser;
  std::string name, path, id, arn;
  base::TimeMs created = 0;
  std::map<std::string, std::string> tags;
  std::map<std::string, Document> inline_policies;  // by name
  std::set<std::string> attached;                   // ARNs of managed policies
  std::string boundary;                             // ARN of a managed policy
  // users
  std::set<std::string> groups;  // names
  std::vector<AccessKey> keys;
  // roles
  Document trust;
  std::string description;
  int64_t session_seconds_max = 3600;
  // instance profiles
  std::string role;
};

struct PolicyVersion {
  int64_t number = 1;
  Document document;
  base::TimeMs created = 0;
};

struct ManagedPolicy {
  std::string name, path, id, arn, description;
  base::TimeMs created = 0, updated = 0;
  std::map<std::string, std::string> tags;
  std::vector<PolicyVersion> versions;  // oldest first
  int64_t default_version = 1, last_version = 1;

  const PolicyVersion* version(int64_t number) const;
  const Document& current() const;
};

// As stored in a row, and back. Throw CorruptError.
base::json::object to_json(const Entity& entity);
Entity entity_from_json(const base::json::object& body);
base::json::object to_json(const ManagedPolicy& policy);
ManagedPolicy managed_policy_from_json(const base::json::object& body);

}  // namespace millrace::iam
