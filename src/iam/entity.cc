#include "iam/entity.h"

#include <array>

#include "base/error.h"

namespace millrace::iam {
namespace {

namespace json = base::json;

constexpr std::array<std::string_view, 4> kKinds = {"user", "group", "role", "instance-profile"};

json::object object_of(const std::map<std::string, std::string>& texts) {
  json::object out;
  for (const auto& [key, value] : texts) out[key] = value;
  return out;
}

json::array array_of(const std::set<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

std::string text(const json::object& body, std::string_view name) {
  return std::string(base::find_string(body, name).value_or(""));
}

int64_t number(const json::object& body, std::string_view name, int64_t otherwise = 0) {
  return base::find_int(body, name).value_or(otherwise);
}

std::map<std::string, std::string> texts(const json::object& body, std::string_view name) {
  std::map<std::string, std::string> out;
  if (const json::object* object = base::find_object(body, name))
    for (const auto& [key, value] : *object) out[std::string(key)] = base::view(value.as_string());
  return out;
}

std::set<std::string> set_of(const json::object& body, std::string_view name) {
  std::set<std::string> out;
  if (const json::array* array = base::find_array(body, name))
    for (const json::value& value : *array) out.emplace(base::view(value.as_string()));
  return out;
}

template <typename Thing>
void common_to_json(json::object& out, const Thing& thing) {
  out["name"] = thing.name;
  out["path"] = thing.path;
  out["id"] = thing.id;
  out["arn"] = thing.arn;
  out["created"] = thing.created;
  out["description"] = thing.description;
  out["tags"] = object_of(thing.tags);
}

template <typename Thing>
void common_from_json(const json::object& body, Thing& thing) {
  thing.name = text(body, "name");
  thing.path = text(body, "path");
  thing.id = text(body, "id");
  thing.arn = text(body, "arn");
  thing.created = number(body, "created");
  thing.description = text(body, "description");
  thing.tags = texts(body, "tags");
}

}  // namespace

std::string_view to_string(EntityKind kind) { return kKinds[static_cast<size_t>(kind)]; }

const PolicyVersion* ManagedPolicy::version(int64_t wanted) const {
  for (const PolicyVersion& one : versions)
    if (one.number == wanted) return &one;
  return nullptr;
}

const Document& ManagedPolicy::current() const {
  const PolicyVersion* found = version(default_version);
  if (!found) throw base::CorruptError("policy " + arn + " has lost its default version");
  return found->document;
}

json::object to_json(const Entity& entity) {
  json::object out{{"kind", to_string(entity.kind)}};
  common_to_json(out, entity);
  json::object inlines;
  for (const auto& [name, document] : entity.inline_policies) inlines[name] = document.text;
  out["inline"] = std::move(inlines);
  out["attached"] = array_of(entity.attached);
  out["boundary"] = entity.boundary;
  out["groups"] = array_of(entity.groups);
  json::array keys;
  for (const AccessKey& key : entity.keys)
    keys.push_back(
        {{"id", key.id}, {"secret", key.secret}, {"active", key.active}, {"created", key.created}});
  out["keys"] = std::move(keys);
  out["trust"] = entity.trust.text;
  out["session_seconds_max"] = entity.session_seconds_max;
  out["role"] = entity.role;
  return out;
}

Entity entity_from_json(const json::object& body) {
  Entity entity;
  std::string kind = text(body, "kind");
  size_t index = 0;
  while (index < kKinds.size() && kKinds[index] != kind) ++index;
  if (index == kKinds.size()) throw base::CorruptError("'" + kind + "' is no kind of IAM entity");
  entity.kind = static_cast<EntityKind>(index);
  common_from_json(body, entity);
  for (auto& [name, document] : texts(body, "inline"))
    entity.inline_policies[name] = Document(document, PolicyKind::kIdentity);
  entity.attached = set_of(body, "attached");
  entity.boundary = text(body, "boundary");
  entity.groups = set_of(body, "groups");
  if (const json::array* keys = base::find_array(body, "keys"))
    for (const json::value& value : *keys) {
      const json::object& key = value.as_object();
      entity.keys.push_back({text(key, "id"), text(key, "secret"),
                             base::find_bool(key, "active").value_or(false), number(key, "created")});
    }
  if (std::string trust = text(body, "trust"); !trust.empty())
    entity.trust = Document(std::move(trust), PolicyKind::kTrust);
  entity.session_seconds_max = number(body, "session_seconds_max", 3600);
  entity.role = text(body, "role");
  return entity;
}

json::object to_json(const ManagedPolicy& policy) {
  json::object out;
  common_to_json(out, policy);
  out["updated"] = policy.updated;
  json::array versions;
  for (const PolicyVersion& version : policy.versions)
    versions.push_back(
        {{"number", version.number}, {"document", version.document.text}, {"created", version.created}});
  out["versions"] = std::move(versions);
  out["default_version"] = policy.default_version;
  out["last_version"] = policy.last_version;
  return out;
}

ManagedPolicy managed_policy_from_json(const json::object& body) {
  ManagedPolicy policy;
  common_from_json(body, policy);
  policy.updated = number(body, "updated");
  if (const json::array* versions = base::find_array(body, "versions"))
    for (const json::value& value : *versions) {
      const json::object& version = value.as_object();
      policy.versions.push_back({number(version, "number"),
                                 Document(text(version, "document"), PolicyKind::kIdentity),
                                 number(version, "created")});
    }
  policy.default_version = number(body, "default_version", 1);
  policy.last_version = number(body, "last_version", 1);
  return policy;
}

}  // namespace millrace::iam
