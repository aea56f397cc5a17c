// Users with their keys, groups, roles, instance profiles; tags of each.
#include <algorithm>

#include "base/random.h"
#include "base/strings.h"
#include "services/iam_call.h"
#include "services/identities.h"

namespace millrace::services::iam_api {
namespace {

using iam::Entity;
using iam::EntityKind;

constexpr size_t kKeysMax = 2;
constexpr size_t kSecretSize = 40;

Entity changed(const Call& call, EntityKind kind) { return required(call, kind); }

void check_boundary(const Call& call, const std::string& arn) {
  if (!arn.empty() && !call.state.policy(arn))
    throw no_such_entity(fmt::format("Scope ARN: {} does not exist or is not attachable.", arn));
}

Entity make(Call& call, EntityKind kind) {
  const KindNames& names = names_of(kind);
  Entity entity;
  entity.kind = kind;
  entity.name = call.text(names.member);
  if (call.state.find(kind, entity.name))
    throw error("EntityAlreadyExists",
                kind == EntityKind::kInstanceProfile
                    ? fmt::format("Instance Profile {} already exists.", entity.name)
                    : fmt::format("{} with name {} already exists.", names.element, entity.name));
  entity.path = path_of(call);
  entity.id = new_key_id(names.id_prefix);
  entity.arn = arn_of(call, to_string(kind), entity.path, entity.name);
  entity.created = call.now;
  entity.tags = tags_in(call);
  entity.boundary = call.text("PermissionsBoundary");
  check_boundary(call, entity.boundary);
  return entity;
}

template <EntityKind kind>
json::object create(Call& call) {
  Entity entity = make(call, kind);
  if constexpr (kind == EntityKind::kRole) {
    entity.trust = document_in(call, "AssumeRolePolicyDocument", iam::PolicyKind::kTrust);
    entity.description = call.text("Description");
    entity.session_seconds_max = base::find_int(call.input, "MaxSessionDuration").value_or(3600);
  }
  json::object out{{names_of(kind).element, shown(call, entity)}};
  call.edit->put(std::move(entity));
  return out;
}

template <EntityKind kind>
json::object get(Call& call) {
  // Without a name, GetUser tells of the caller.
  if (kind == EntityKind::kUser && !call.has("UserName")) {
    if (call.caller.user.empty()) {
      Authorizer::Identity who = call.authorizer.identity_of(call.caller);
      return {
          {"User",
           json::object{{"Path", "/"}, {"UserName", who.name}, {"UserId", who.user_id}, {"Arn", who.arn}}}};
    }
    return {{"User", shown(call, required(call, kind, call.caller.user))}};
  }
  return {{names_of(kind).element, shown(call, required(call, kind))}};
}

template <EntityKind kind>
json::object list(Call& call) {
  std::string prefix = call.has("PathPrefix") ? call.text("PathPrefix") : "/";
  std::vector<Listed> items;
  for (const Entity* entity : call.state.list(kind, prefix))
    items.push_back({base::to_lower(entity->name), shown(call, *entity)});
  return page(call, names_of(kind).plural, std::move(items));
}

aws::ApiError conflict(const std::string& what) {
  return error("DeleteConflict", "Cannot delete entity, must " + what + " first.");
}

template <EntityKind kind>
json::object erase(Call& call) {
  const Entity& entity = required(call, kind);
  if (!entity.attached.empty()) throw conflict("detach all policies");
  if (!entity.inline_policies.empty()) throw conflict("delete policies");
  if (!entity.keys.empty()) throw conflict("delete access keys");
  if (!entity.groups.empty()) throw conflict("remove user from groups");
  if (kind == EntityKind::kInstanceProfile && !entity.role.empty())
    throw conflict("remove roles from instance profile");
  if (kind == EntityKind::kGroup)
    for (const Entity* user : call.state.list(EntityKind::kUser))
      if (user->groups.contains(entity.name)) throw conflict("remove users from group");
  if (kind == EntityKind::kRole)
    for (const Entity* profile : call.state.list(EntityKind::kInstanceProfile))
      if (base::equals_ignore_case(profile->role, entity.name))
        throw conflict("remove roles from instance profile");
  call.edit->erase(kind, entity.name);
  return {};
}

template <EntityKind kind>
json::object rename(Call& call) {
  const KindNames& names = names_of(kind);
  Entity entity = changed(call, kind);
  std::string name = call.text("New" + std::string(names.member)), before = entity.name;
  if (!name.empty() && !base::equals_ignore_case(name, before) && call.state.find(kind, name))
    throw error("EntityAlreadyExists", fmt::format("{} with name {} already exists.", names.element, name));
  call.edit->erase(kind, before);
  if (!name.empty()) entity.name = name;
  if (call.has("NewPath")) entity.path = call.text("NewPath");
  entity.arn = arn_of(call, to_string(kind), entity.path, entity.name);
  call.edit->put(entity);
  if (kind == EntityKind::kGroup && entity.name != before)
    for (const Entity* user : call.state.list(EntityKind::kUser))
      if (user->groups.contains(before)) {
        Entity member = *user;
        member.groups.erase(before);
        member.groups.insert(entity.name);
        call.edit->put(std::move(member));
      }
  return {};
}

template <EntityKind kind>
json::object tag(Call& call) {
  Entity entity = changed(call, kind);
  merge_tags(call, entity.tags);
  call.edit->put(std::move(entity));
  return {};
}

template <EntityKind kind>
json::object untag(Call& call) {
  Entity entity = changed(call, kind);
  remove_tags(call, entity.tags);
  call.edit->put(std::move(entity));
  return {};
}

template <EntityKind kind>
json::object list_tags(Call& call) {
  return tags_page(call, required(call, kind).tags);
}

template <EntityKind kind>
json::object put_boundary(Call& call) {
  Entity entity = changed(call, kind);
  entity.boundary = call.text("PermissionsBoundary");
  check_boundary(call, entity.boundary);
  call.edit->put(std::move(entity));
  return {};
}

template <EntityKind kind>
json::object delete_boundary(Call& call) {
  Entity entity = changed(call, kind);
  entity.boundary.clear();
  call.edit->put(std::move(entity));
  return {};
}

// ---- keys: of the user named, else of the caller ----

std::string user_of(const Call& call) {
  if (call.has("UserName")) return call.text("UserName");
  if (call.caller.user.empty())
    throw error("ValidationError", "Must specify userName when calling with non-User credentials");
  return call.caller.user;
}

json::object create_key(Call& call) {
  Entity user = required(call, EntityKind::kUser, user_of(call));
  if (user.keys.size() >= kKeysMax)
    throw error("LimitExceeded", fmt::format("Cannot exceed quota for AccessKeysPerUser: {}", kKeysMax));
  iam::AccessKey key{new_key_id("AKIA"), base::random_alphanumeric(kSecretSize), true, call.now};
  json::object out{{"AccessKey", json::object{{"UserName", user.name},
                                              {"AccessKeyId", key.id},
                                              {"Status", "Active"},
                                              {"SecretAccessKey", key.secret},
                                              {"CreateDate", key.created}}}};
  user.keys.push_back(std::move(key));
  call.edit->put(std::move(user));
  return out;
}

std::vector<iam::AccessKey>::iterator key_in(const Call& call, Entity& user) {
  std::string id = call.text("AccessKeyId");
  auto found =
      std::find_if(user.keys.begin(), user.keys.end(), [&](const auto& key) { return key.id == id; });
  if (found == user.keys.end())
    throw no_such_entity(fmt::format("The Access Key with id {} cannot be found.", id));
  return found;
}

json::object update_key(Call& call) {
  Entity user = required(call, EntityKind::kUser, user_of(call));
  key_in(call, user)->active = call.text("Status") == "Active";
  call.edit->put(std::move(user));
  return {};
}

json::object delete_key(Call& call) {
  Entity user = required(call, EntityKind::kUser, user_of(call));
  user.keys.erase(key_in(call, user));
  call.edit->put(std::move(user));
  return {};
}

json::object list_keys(Call& call) {
  const Entity& user = required(call, EntityKind::kUser, user_of(call));
  std::vector<Listed> items;
  for (const iam::AccessKey& key : user.keys)
    items.push_back({key.id, json::object{{"UserName", user.name},
                                          {"AccessKeyId", key.id},
                                          {"Status", key.active ? "Active" : "Inactive"},
                                          {"CreateDate", key.created}}});
  return page(call, "AccessKeyMetadata", std::move(items));
}

// ---- groups ----

json::object add_to_group(Call& call) {
  Entity user = changed(call, EntityKind::kUser);
  user.groups.insert(required(call, EntityKind::kGroup).name);
  call.edit->put(std::move(user));
  return {};
}

json::object remove_from_group(Call& call) {
  Entity user = changed(call, EntityKind::kUser);
  user.groups.erase(required(call, EntityKind::kGroup).name);
  call.edit->put(std::move(user));
  return {};
}

json::object get_group(Call& call) {
  const Entity& group = required(call, EntityKind::kGroup);
  std::vector<Listed> users;
  for (const Entity* user : call.state.list(EntityKind::kUser))
    if (user->groups.contains(group.name)) users.push_back({base::to_lower(user->name), shown(call, *user)});
  json::object out = page(call, "Users", std::move(users));
  out["Group"] = shown(call, group);
  return out;
}

json::object groups_of_user(Call& call) {
  std::vector<Listed> items;
  for (const std::string& name : required(call, EntityKind::kUser).groups)
    if (const Entity* group = call.state.find(EntityKind::kGroup, name))
      items.push_back({base::to_lower(name), shown(call, *group)});
  return page(call, "Groups", std::move(items));
}

// ---- roles ----

json::object update_role(Call& call) {
  Entity role = changed(call, EntityKind::kRole);
  if (call.has("Description")) role.description = call.text("Description");
  if (auto seconds = base::find_int(call.input, "MaxSessionDuration")) role.session_seconds_max = *seconds;
  json::object out;
  if (call.operation.name == "UpdateRoleDescription") out["Role"] = shown(call, role);
  call.edit->put(std::move(role));
  return out;
}

json::object update_trust(Call& call) {
  Entity role = changed(call, EntityKind::kRole);
  role.trust = document_in(call, "PolicyDocument", iam::PolicyKind::kTrust);
  call.edit->put(std::move(role));
  return {};
}

// "batch.amazonaws.com" -> AWSServiceRoleForBatch, below a path of its own.
json::object create_service_linked_role(Call& call) {
  std::string service = call.text("AWSServiceName"), suffix = call.text("CustomSuffix");
  std::string name = service.substr(0, service.find('.'));
  if (!name.empty()) name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  Entity role;
  role.kind = EntityKind::kRole;
  role.name = "AWSServiceRoleFor" + name + (suffix.empty() ? "" : "_" + suffix);
  if (call.state.find(EntityKind::kRole, role.name))
    throw error("InvalidInput",
                fmt::format("Service role name {} has been taken in this account, please try a "
                            "different suffix.",
                            role.name));
  role.path = "/aws-service-role/" + service + "/";
  role.id = new_key_id("AROA");
  role.arn = arn_of(call, "role", role.path, role.name);
  role.created = call.now;
  role.description = call.text("Description");
  role.trust =
      iam::Document(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":")" +
                        service + R"("},"Action":"sts:AssumeRole"}]})",
                    iam::PolicyKind::kTrust);
  json::object out{{"Role", shown(call, role)}};
  call.edit->put(std::move(role));
  return out;
}

json::object delete_service_linked_role(Call& call) {
  Entity role = changed(call, EntityKind::kRole);
  if (!role.path.starts_with("/aws-service-role/"))
    throw error("InvalidInput", fmt::format("The role {} is not a service-linked role.", role.name));
  call.edit->erase(EntityKind::kRole, role.name);
  return {{"DeletionTaskId", "task" + role.path + role.name + "/" + base::uuid4()}};
}

json::object deletion_status(Call&) { return {{"Status", "SUCCEEDED"}}; }

// ---- instance profiles ----

json::object add_role_to_profile(Call& call) {
  Entity profile = changed(call, EntityKind::kInstanceProfile);
  const Entity& role = required(call, EntityKind::kRole);
  if (!profile.role.empty())
    throw error("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
  profile.role = role.name;
  call.edit->put(std::move(profile));
  return {};
}

json::object remove_role_from_profile(Call& call) {
  Entity profile = changed(call, EntityKind::kInstanceProfile);
  if (!base::equals_ignore_case(profile.role, call.text("RoleName")))
    throw no_such_entity(
        fmt::format("Role {} cannot be found in instance profile {}.", call.text("RoleName"), profile.name));
  profile.role.clear();
  call.edit->put(std::move(profile));
  return {};
}

json::object profiles_of_role(Call& call) {
  const Entity& role = required(call, EntityKind::kRole);
  std::vector<Listed> items;
  for (const Entity* profile : call.state.list(EntityKind::kInstanceProfile))
    if (base::equals_ignore_case(profile->role, role.name))
      items.push_back({base::to_lower(profile->name), shown(call, *profile)});
  return page(call, "InstanceProfiles", std::move(items));
}

// ---- what users have none of here ----

template <const char* name>
json::object list_none(Call& call) {
  if (call.has("UserName")) required(call, EntityKind::kUser);
  return page(call, name, {});
}
constexpr char kMfaDevices[] = "MFADevices", kVirtualMfa[] = "VirtualMFADevices",
               kSshKeys[] = "SSHPublicKeys", kCertificates[] = "Certificates";

json::object no_service_credentials(Call& call) {
  if (call.has("UserName")) required(call, EntityKind::kUser);
  return {{"ServiceSpecificCredentials", json::array{}}};
}

json::object no_login_profile(Call& call) {
  throw no_such_entity(fmt::format("Login Profile for User {} cannot be found.", call.text("UserName")));
}

// ---- the account ----

json::object list_aliases(Call& call) {
  json::array aliases;
  if (!call.state.alias().empty()) aliases.emplace_back(call.state.alias());
  return {{"AccountAliases", std::move(aliases)}, {"IsTruncated", false}};
}

json::object create_alias(Call& call) {
  call.edit->set_alias(call.text("AccountAlias"));
  return {};
}

json::object delete_alias(Call& call) {
  if (call.state.alias() != call.text("AccountAlias"))
    throw no_such_entity(fmt::format("The account alias {} cannot be found.", call.text("AccountAlias")));
  call.edit->set_alias("");
  return {};
}

json::object account_summary(Call& call) {
  auto count = [&](EntityKind kind) { return static_cast<int64_t>(call.state.list(kind).size()); };
  return {{"SummaryMap", json::object{{"Users", count(EntityKind::kUser)},
                                      {"Groups", count(EntityKind::kGroup)},
                                      {"Roles", count(EntityKind::kRole)},
                                      {"InstanceProfiles", count(EntityKind::kInstanceProfile)},
                                      {"Policies", static_cast<int64_t>(call.state.policies().size())},
                                      {"AccessKeysPerUserQuota", static_cast<int64_t>(kKeysMax)},
                                      {"AccountMFAEnabled", int64_t{0}}}}};
}

}  // namespace

std::vector<Entry> entity_operations() {
  constexpr EntityKind kUser = EntityKind::kUser, kGroup = EntityKind::kGroup, kRole = EntityKind::kRole,
                       kProfile = EntityKind::kInstanceProfile;
  return {
      {"CreateUser", create<kUser>, true},
      {"GetUser", get<kUser>, false},
      {"ListUsers", list<kUser>, false},
      {"UpdateUser", rename<kUser>, true},
      {"DeleteUser", erase<kUser>, true},
      {"TagUser", tag<kUser>, true},
      {"UntagUser", untag<kUser>, true},
      {"ListUserTags", list_tags<kUser>, false},
      {"PutUserPermissionsBoundary", put_boundary<kUser>, true},
      {"DeleteUserPermissionsBoundary", delete_boundary<kUser>, true},
      {"CreateAccessKey", create_key, true},
      {"UpdateAccessKey", update_key, true},
      {"DeleteAccessKey", delete_key, true},
      {"ListAccessKeys", list_keys, false},
      {"CreateGroup", create<kGroup>, true},
      {"GetGroup", get_group, false},
      {"ListGroups", list<kGroup>, false},
      {"UpdateGroup", rename<kGroup>, true},
      {"DeleteGroup", erase<kGroup>, true},
      {"AddUserToGroup", add_to_group, true},
      {"RemoveUserFromGroup", remove_from_group, true},
      {"ListGroupsForUser", groups_of_user, false},
      {"CreateRole", create<kRole>, true},
      {"GetRole", get<kRole>, false},
      {"ListRoles", list<kRole>, false},
      {"UpdateRole", update_role, true},
      {"UpdateRoleDescription", update_role, true},
      {"UpdateAssumeRolePolicy", update_trust, true},
      {"DeleteRole", erase<kRole>, true},
      {"TagRole", tag<kRole>, true},
      {"UntagRole", untag<kRole>, true},
      {"ListRoleTags", list_tags<kRole>, false},
      {"PutRolePermissionsBoundary", put_boundary<kRole>, true},
      {"DeleteRolePermissionsBoundary", delete_boundary<kRole>, true},
      {"CreateServiceLinkedRole", create_service_linked_role, true},
      {"DeleteServiceLinkedRole", delete_service_linked_role, true},
      {"GetServiceLinkedRoleDeletionStatus", deletion_status, false},
      {"CreateInstanceProfile", create<kProfile>, true},
      {"GetInstanceProfile", get<kProfile>, false},
      {"ListInstanceProfiles", list<kProfile>, false},
      {"DeleteInstanceProfile", erase<kProfile>, true},
      {"TagInstanceProfile", tag<kProfile>, true},
      {"UntagInstanceProfile", untag<kProfile>, true},
      {"ListInstanceProfileTags", list_tags<kProfile>, false},
      {"AddRoleToInstanceProfile", add_role_to_profile, true},
      {"RemoveRoleFromInstanceProfile", remove_role_from_profile, true},
      {"ListInstanceProfilesForRole", profiles_of_role, false},
      {"ListMFADevices", list_none<kMfaDevices>, false},
      {"ListVirtualMFADevices", list_none<kVirtualMfa>, false},
      {"ListSSHPublicKeys", list_none<kSshKeys>, false},
      {"ListSigningCertificates", list_none<kCertificates>, false},
      {"ListServiceSpecificCredentials", no_service_credentials, false},
      {"GetLoginProfile", no_login_profile, false},
      {"DeleteLoginProfile", no_login_profile, false},
      {"ListAccountAliases", list_aliases, false},
      {"CreateAccountAlias", create_alias, true},
      {"DeleteAccountAlias", delete_alias, true},
      {"GetAccountSummary", account_summary, false},
  };
}

}  // namespace millrace::services::iam_api
