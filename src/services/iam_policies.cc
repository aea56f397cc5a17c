// Inline and managed policies, and their simulation.
#include <algorithm>

#include "base/strings.h"
#include "iam/aws_policies.h"
#include "services/iam_call.h"
#include "services/identities.h"

namespace millrace::services::iam_api {
namespace {

using iam::Entity;
using iam::EntityKind;
using iam::ManagedPolicy;

constexpr size_t kVersionsMax = 5;
constexpr size_t kAttachedMax = 20;
constexpr size_t kSimulatedMax = 1000;

// ---- inline ----

template <EntityKind kind>
json::object put_inline(Call& call) {
  Entity entity = required(call, kind);
  entity.inline_policies[call.text("PolicyName")] =
      document_in(call, "PolicyDocument", iam::PolicyKind::kIdentity);
  call.edit->put(std::move(entity));
  return {};
}

aws::ApiError no_inline(const Call& call, EntityKind kind) {
  return no_such_entity(fmt::format("The {} policy with name {} cannot be found.", names_of(kind).noun,
                                    call.text("PolicyName")));
}

template <EntityKind kind>
json::object get_inline(Call& call) {
  const Entity& entity = required(call, kind);
  auto found = entity.inline_policies.find(call.text("PolicyName"));
  if (found == entity.inline_policies.end()) throw no_inline(call, kind);
  return {{names_of(kind).member, entity.name},
          {"PolicyName", found->first},
          {"PolicyDocument", encoded(found->second.text)}};
}

template <EntityKind kind>
json::object list_inline(Call& call) {
  std::vector<Listed> items;
  for (const auto& [name, document] : required(call, kind).inline_policies)
    items.push_back({name, json::value(name)});
  return page(call, "PolicyNames", std::move(items));
}

template <EntityKind kind>
json::object delete_inline(Call& call) {
  Entity entity = required(call, kind);
  if (entity.inline_policies.erase(call.text("PolicyName")) == 0) throw no_inline(call, kind);
  call.edit->put(std::move(entity));
  return {};
}

// ---- attached ----

template <EntityKind kind>
json::object attach(Call& call) {
  Entity entity = required(call, kind);
  entity.attached.insert(required_policy(call, call.text("PolicyArn")).arn);
  if (entity.attached.size() > kAttachedMax)
    throw error("LimitExceeded", fmt::format("Cannot exceed quota for PoliciesPer{}: {}",
                                             names_of(kind).element, kAttachedMax));
  call.edit->put(std::move(entity));
  return {};
}

template <EntityKind kind>
json::object detach(Call& call) {
  Entity entity = required(call, kind);
  if (entity.attached.erase(call.text("PolicyArn")) == 0)
    throw no_such_entity(fmt::format("Policy {} was not found.", call.text("PolicyArn")));
  call.edit->put(std::move(entity));
  return {};
}

template <EntityKind kind>
json::object list_attached(Call& call) {
  std::string prefix = call.has("PathPrefix") ? call.text("PathPrefix") : "/";
  std::vector<Listed> items;
  for (const std::string& arn : required(call, kind).attached)
    if (const ManagedPolicy* policy = call.state.policy(arn); policy && policy->path.starts_with(prefix))
      items.push_back({arn, json::object{{"PolicyName", policy->name}, {"PolicyArn", arn}}});
  return page(call, "AttachedPolicies", std::move(items));
}

// ---- managed ----

json::object create_policy(Call& call) {
  ManagedPolicy policy;
  policy.name = call.text("PolicyName");
  policy.path = path_of(call);
  policy.arn = arn_of(call, "policy", policy.path, policy.name);
  for (const ManagedPolicy* other : call.state.policies())
    if (base::equals_ignore_case(other->name, policy.name))
      throw error(
          "EntityAlreadyExists",
          fmt::format("A policy called {} already exists. Duplicate names are not allowed.", policy.name));
  policy.id = new_key_id("ANPA");
  policy.description = call.text("Description");
  policy.created = policy.updated = call.now;
  policy.tags = tags_in(call);
  policy.versions.push_back({1, document_in(call, "PolicyDocument", iam::PolicyKind::kIdentity), call.now});
  json::object out{{"Policy", shown(call, policy)}};
  call.edit->put(std::move(policy));
  return out;
}

json::object get_policy(Call& call) {
  const ManagedPolicy* found = call.state.policy(call.text("PolicyArn"));
  if (!found) throw no_such_entity(fmt::format("Policy {} was not found.", call.text("PolicyArn")));
  return {{"Policy", shown(call, *found)}};
}

json::object list_policies(Call& call) {
  std::string scope = call.text("Scope"), prefix = call.has("PathPrefix") ? call.text("PathPrefix") : "/";
  bool only_attached = base::find_bool(call.input, "OnlyAttached").value_or(false);
  std::vector<const ManagedPolicy*> found;
  if (scope != "AWS") found = call.state.policies();
  if (scope != "Local")
    for (const ManagedPolicy* policy : iam::aws_policies()) found.push_back(policy);
  std::vector<Listed> items;
  for (const ManagedPolicy* policy : found) {
    if (!policy->path.starts_with(prefix)) continue;
    json::object entry = shown(call, *policy);
    if (only_attached && entry["AttachmentCount"] == 0) continue;
    entry.erase("Description");
    items.push_back({policy->arn, std::move(entry)});
  }
  return page(call, "Policies", std::move(items));
}

json::object delete_policy(Call& call) {
  ManagedPolicy policy = own_policy(call);
  json::object facts = shown(call, policy);
  if (facts["AttachmentCount"] != 0 || facts["PermissionsBoundaryUsageCount"] != 0)
    throw error("DeleteConflict", "Cannot delete a policy attached to entities.");
  if (policy.versions.size() > 1)
    throw error("DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy.");
  call.edit->erase_policy(policy.arn);
  return {};
}

json::object shown_version(const ManagedPolicy& policy, const iam::PolicyVersion& version,
                           bool with_document) {
  json::object out{{"VersionId", fmt::format("v{}", version.number)},
                   {"IsDefaultVersion", version.number == policy.default_version},
                   {"CreateDate", version.created}};
  if (with_document) out["Document"] = encoded(version.document.text);
  return out;
}

int64_t version_in(const Call& call, const ManagedPolicy& policy) {
  std::string id = call.text("VersionId");
  auto number =
      id.starts_with('v') ? base::parse_number<int64_t>(std::string_view(id).substr(1)) : std::nullopt;
  if (!number || !policy.version(*number))
    throw no_such_entity(
        fmt::format("Policy {} version {} does not exist or is not attachable.", policy.arn, id));
  return *number;
}

json::object create_version(Call& call) {
  ManagedPolicy policy = own_policy(call);
  if (policy.versions.size() >= kVersionsMax)
    throw error("LimitExceeded",
                "A managed policy can have up to 5 versions. Before you create a new version, you "
                "must delete an existing version.");
  iam::PolicyVersion version{++policy.last_version,
                             document_in(call, "PolicyDocument", iam::PolicyKind::kIdentity), call.now};
  if (base::find_bool(call.input, "SetAsDefault").value_or(false)) policy.default_version = version.number;
  policy.updated = call.now;
  json::object out{{"PolicyVersion", shown_version(policy, version, false)}};
  policy.versions.push_back(std::move(version));
  call.edit->put(std::move(policy));
  return out;
}

json::object get_version(Call& call) {
  const ManagedPolicy& policy = required_policy(call, call.text("PolicyArn"));
  return {{"PolicyVersion", shown_version(policy, *policy.version(version_in(call, policy)), true)}};
}

json::object list_versions(Call& call) {
  const ManagedPolicy& policy = required_policy(call, call.text("PolicyArn"));
  std::vector<Listed> items;
  for (const iam::PolicyVersion& version : policy.versions)
    items.push_back({fmt::format("v{:010}", version.number), shown_version(policy, version, false)});
  return page(call, "Versions", std::move(items));
}

json::object delete_version(Call& call) {
  ManagedPolicy policy = own_policy(call);
  int64_t number = version_in(call, policy);
  if (number == policy.default_version)
    throw error("DeleteConflict", "Cannot delete the default version of a policy.");
  std::erase_if(policy.versions, [&](const auto& version) { return version.number == number; });
  call.edit->put(std::move(policy));
  return {};
}

json::object set_default_version(Call& call) {
  ManagedPolicy policy = own_policy(call);
  policy.default_version = version_in(call, policy);
  call.edit->put(std::move(policy));
  return {};
}

json::object tag_policy(Call& call) {
  ManagedPolicy policy = own_policy(call);
  merge_tags(call, policy.tags);
  call.edit->put(std::move(policy));
  return {};
}

json::object untag_policy(Call& call) {
  ManagedPolicy policy = own_policy(call);
  remove_tags(call, policy.tags);
  call.edit->put(std::move(policy));
  return {};
}

json::object list_policy_tags(Call& call) {
  return tags_page(call, required_policy(call, call.text("PolicyArn")).tags);
}

json::object entities_of_policy(Call& call) {
  const ManagedPolicy& policy = required_policy(call, call.text("PolicyArn"));
  bool boundaries = call.text("PolicyUsageFilter") == "PermissionsBoundary";
  json::object out;
  for (EntityKind kind : {EntityKind::kGroup, EntityKind::kUser, EntityKind::kRole}) {
    const KindNames& names = names_of(kind);
    json::array found;
    std::string filter = call.text("EntityFilter");
    if (filter.empty() || filter == names.element)
      for (const Entity* entity : call.state.list(kind))
        if (boundaries ? entity->boundary == policy.arn : entity->attached.contains(policy.arn))
          found.push_back({{names.member, entity->name}, {names.id_member, entity->id}});
    out["Policy" + std::string(names.plural)] = std::move(found);
  }
  out["IsTruncated"] = false;
  return out;
}

// ---- simulation ----

json::object simulate(Call& call, iam::Subject subject, const std::vector<std::string>& more) {
  for (const std::string& text : more) {
    try {
      subject.identity.push_back({fmt::format("PolicyInputList.{}", subject.identity.size() + 1),
                                  iam::Policy::parse(text, iam::PolicyKind::kIdentity)});
    } catch (const base::UsageError& e) {
      throw error("InvalidInput", e.what());
    }
  }
  iam::Context context;
  if (const json::array* entries = base::find_array(call.input, "ContextEntries"))
    for (const json::value& one : *entries) {
      const json::object& entry = one.as_object();
      if (const json::array* values = base::find_array(entry, "ContextKeyValues"))
        for (const json::value& value : *values)
          context.add(base::find_string(entry, "ContextKeyName").value_or(""),
                      std::string(base::view(value.as_string())));
    }
  auto texts = [&](std::string_view member) {
    std::vector<std::string> out;
    if (const json::array* list = base::find_array(call.input, member))
      for (const json::value& one : *list) out.emplace_back(base::view(one.as_string()));
    return out;
  };
  std::vector<std::string> resources = texts("ResourceArns");
  if (resources.empty()) resources.emplace_back("*");
  json::array results;
  const std::vector<std::string> actions = texts("ActionNames");
  if (actions.size() * resources.size() > kSimulatedMax)
    throw error("InvalidInput",
                fmt::format("{} actions on {} resources are more than {} simulations; ask in parts.",
                            actions.size(), resources.size(), kSimulatedMax));
  for (const std::string& action : actions)
    for (const std::string& resource : resources) {
      iam::Decision decision = iam::decide(subject, {action, resource, {}, context}, nullptr);
      json::array matched;
      if (!decision.policy.empty()) matched.push_back(json::object{{"SourcePolicyId", decision.policy}});
      results.push_back({{"EvalActionName", action},
                         {"EvalResourceName", resource},
                         {"EvalDecision", eval_decision(decision)},
                         {"MatchedStatements", std::move(matched)},
                         {"MissingContextValues", json::array{}}});
    }
  return {{"EvaluationResults", std::move(results)}, {"IsTruncated", false}};
}

std::vector<std::string> policies_in(const Call& call) {
  std::vector<std::string> out;
  if (const json::array* list = base::find_array(call.input, "PolicyInputList"))
    for (const json::value& one : *list) out.emplace_back(base::view(one.as_string()));
  return out;
}

json::object simulate_custom(Call& call) {
  iam::Subject subject;
  subject.account = call.account;
  return simulate(call, std::move(subject), policies_in(call));
}

json::object simulate_principal(Call& call) {
  std::string arn = call.text("PolicySourceArn"), name = arn.substr(arn.rfind('/') + 1);
  bool role = arn.find(":role/") != std::string::npos;
  const Entity& entity = required(call, role ? EntityKind::kRole : EntityKind::kUser, name);
  return simulate(call,
                  role ? call.state.subject_of_role(entity, "simulated", call.account)
                       : call.state.subject_of_user(entity, call.account),
                  policies_in(call));
}

}  // namespace

std::vector<Entry> policy_operations() {
  constexpr EntityKind kUser = EntityKind::kUser, kGroup = EntityKind::kGroup, kRole = EntityKind::kRole;
  return {
      {"PutUserPolicy", put_inline<kUser>, true},
      {"GetUserPolicy", get_inline<kUser>, false},
      {"ListUserPolicies", list_inline<kUser>, false},
      {"DeleteUserPolicy", delete_inline<kUser>, true},
      {"PutGroupPolicy", put_inline<kGroup>, true},
      {"GetGroupPolicy", get_inline<kGroup>, false},
      {"ListGroupPolicies", list_inline<kGroup>, false},
      {"DeleteGroupPolicy", delete_inline<kGroup>, true},
      {"PutRolePolicy", put_inline<kRole>, true},
      {"GetRolePolicy", get_inline<kRole>, false},
      {"ListRolePolicies", list_inline<kRole>, false},
      {"DeleteRolePolicy", delete_inline<kRole>, true},
      {"AttachUserPolicy", attach<kUser>, true},
      {"DetachUserPolicy", detach<kUser>, true},
      {"ListAttachedUserPolicies", list_attached<kUser>, false},
      {"AttachGroupPolicy", attach<kGroup>, true},
      {"DetachGroupPolicy", detach<kGroup>, true},
      {"ListAttachedGroupPolicies", list_attached<kGroup>, false},
      {"AttachRolePolicy", attach<kRole>, true},
      {"DetachRolePolicy", detach<kRole>, true},
      {"ListAttachedRolePolicies", list_attached<kRole>, false},
      {"CreatePolicy", create_policy, true},
      {"GetPolicy", get_policy, false},
      {"ListPolicies", list_policies, false},
      {"DeletePolicy", delete_policy, true},
      {"CreatePolicyVersion", create_version, true},
      {"GetPolicyVersion", get_version, false},
      {"ListPolicyVersions", list_versions, false},
      {"DeletePolicyVersion", delete_version, true},
      {"SetDefaultPolicyVersion", set_default_version, true},
      {"TagPolicy", tag_policy, true},
      {"UntagPolicy", untag_policy, true},
      {"ListPolicyTags", list_policy_tags, false},
      {"ListEntitiesForPolicy", entities_of_policy, false},
      {"SimulateCustomPolicy", simulate_custom, false},
      {"SimulatePrincipalPolicy", simulate_principal, false},
  };
}

}  // namespace millrace::services::iam_api
