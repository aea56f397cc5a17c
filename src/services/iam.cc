#include "services/iam.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/url.h"
#include "services/iam_call.h"

namespace millrace::services {
namespace iam_api {
namespace {

constexpr KindNames kKinds[] = {
    {iam::EntityKind::kUser, "user", "UserName", "User", "Users", "UserId", "AIDA"},
    {iam::EntityKind::kGroup, "group", "GroupName", "Group", "Groups", "GroupId", "AGPA"},
    {iam::EntityKind::kRole, "role", "RoleName", "Role", "Roles", "RoleId", "AROA"},
    {iam::EntityKind::kInstanceProfile, "instance profile", "InstanceProfileName", "InstanceProfile",
     "InstanceProfiles", "InstanceProfileId", "AIPA"},
};

constexpr size_t kPageDefault = 100;
constexpr size_t kTagsMax = 50;

void check_tag_count(const std::map<std::string, std::string>& tags) {
  if (tags.size() > kTagsMax)
    throw error("LimitExceeded",
                fmt::format("The number of tags has reached the maximum limit of {}.", kTagsMax));
}

const std::map<std::string_view, Entry>& table() {
  static const std::map<std::string_view, Entry> made = [] {
    std::map<std::string_view, Entry> out;
    for (const auto& part : {entity_operations(), policy_operations()})
      for (const Entry& entry : part) out.emplace(entry.operation, entry);
    return out;
  }();
  return made;
}

}  // namespace

const KindNames& names_of(iam::EntityKind kind) { return kKinds[static_cast<size_t>(kind)]; }

aws::ApiError error(std::string_view code, const std::string& message) {
  struct {
    std::string_view code;
    int status;
  } constexpr kStatuses[] = {{"NoSuchEntity", 404},  {"EntityAlreadyExists", 409}, {"DeleteConflict", 409},
                             {"LimitExceeded", 409}, {"UnmodifiableEntity", 400},  {"AccessDenied", 403}};
  for (const auto& one : kStatuses)
    if (one.code == code) return {one.status, std::string(code), message};
  return {400, std::string(code), message};
}

const iam::Entity& required(const Call& call, iam::EntityKind kind, const std::string& name) {
  const iam::Entity* found = call.state.find(kind, name);
  if (found) return *found;
  const KindNames& names = names_of(kind);
  if (kind == iam::EntityKind::kInstanceProfile)
    throw no_such_entity(fmt::format("Instance Profile {} cannot be found.", name));
  throw no_such_entity(fmt::format("The {} with name {} cannot be found.", names.noun, name));
}

const iam::Entity& required(const Call& call, iam::EntityKind kind) {
  return required(call, kind, call.text(names_of(kind).member));
}

const iam::ManagedPolicy& required_policy(const Call& call, const std::string& arn) {
  const iam::ManagedPolicy* found = call.state.policy(arn);
  if (!found) throw no_such_entity(fmt::format("Policy {} does not exist or is not attachable.", arn));
  return *found;
}

iam::ManagedPolicy own_policy(const Call& call) {
  std::string arn = call.text("PolicyArn");
  const iam::ManagedPolicy& policy = required_policy(call, arn);
  if (arn.starts_with("arn:aws:iam::aws:"))
    throw error("AccessDenied", fmt::format("Cannot change {}: it is a policy of AWS.", arn));
  return policy;
}

std::string path_of(const Call& call) {
  std::string path = call.text("Path");
  return path.empty() ? "/" : path;
}

std::string arn_of(const Call& call, std::string_view kind, const std::string& path,
                   const std::string& name) {
  return fmt::format("arn:aws:iam::{}:{}{}{}", call.account, kind, path, name);
}

std::map<std::string, std::string> tags_in(const Call& call) {
  std::map<std::string, std::string> out;
  const json::array* tags = base::find_array(call.input, "Tags");
  for (size_t i = 0; tags && i < tags->size(); ++i) {
    const json::object& tag = (*tags)[i].as_object();
    std::string key(base::find_string(tag, "Key").value_or(""));
    if (!out.emplace(key, base::find_string(tag, "Value").value_or("")).second)
      throw error("InvalidInput",
                  "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
  }
  check_tag_count(out);
  return out;
}

void add_tags(json::object& output, const std::map<std::string, std::string>& tags) {
  if (tags.empty()) return;
  json::array list;
  for (const auto& [key, value] : tags) list.push_back({{"Key", key}, {"Value", value}});
  output["Tags"] = std::move(list);
}

std::string encoded(const std::string& document) { return base::percent_encode(document); }

iam::Document document_in(const Call& call, std::string_view member, iam::PolicyKind kind) {
  try {
    return {call.text(member), kind};
  } catch (const base::UsageError& e) {
    throw error("MalformedPolicyDocument", e.what());
  }
}

json::object shown(const Call& call, const iam::Entity& entity) {
  const KindNames& names = names_of(entity.kind);
  json::object out{{"Path", entity.path},
                   {names.member, entity.name},
                   {names.id_member, entity.id},
                   {"Arn", entity.arn},
                   {"CreateDate", entity.created}};
  if (entity.kind == iam::EntityKind::kRole) {
    out["AssumeRolePolicyDocument"] = encoded(entity.trust.text);
    if (!entity.description.empty()) out["Description"] = entity.description;
    out["MaxSessionDuration"] = entity.session_seconds_max;
  }
  if (entity.kind == iam::EntityKind::kInstanceProfile) {
    json::array roles;
    if (const iam::Entity* role = call.state.find(iam::EntityKind::kRole, entity.role))
      roles.push_back(shown(call, *role));
    out["Roles"] = std::move(roles);
  }
  if (!entity.boundary.empty())
    out["PermissionsBoundary"] =
        json::object{{"PermissionsBoundaryType", "Policy"}, {"PermissionsBoundaryArn", entity.boundary}};
  add_tags(out, entity.tags);
  return out;
}

json::object shown(const Call& call, const iam::ManagedPolicy& policy) {
  int64_t attached = 0, boundaries = 0;
  for (iam::EntityKind kind : {iam::EntityKind::kUser, iam::EntityKind::kGroup, iam::EntityKind::kRole})
    for (const iam::Entity* entity : call.state.list(kind)) {
      attached += entity->attached.contains(policy.arn) ? 1 : 0;
      boundaries += entity->boundary == policy.arn ? 1 : 0;
    }
  json::object out{{"PolicyName", policy.name},
                   {"PolicyId", policy.id},
                   {"Arn", policy.arn},
                   {"Path", policy.path},
                   {"DefaultVersionId", fmt::format("v{}", policy.default_version)},
                   {"AttachmentCount", attached},
                   {"PermissionsBoundaryUsageCount", boundaries},
                   {"IsAttachable", true},
                   {"CreateDate", policy.created},
                   {"UpdateDate", policy.updated}};
  if (!policy.description.empty()) out["Description"] = policy.description;
  add_tags(out, policy.tags);
  return out;
}

json::object page(const Call& call, const char* name, std::vector<Listed> items) {
  size_t most = static_cast<size_t>(
      base::find_int(call.input, "MaxItems").value_or(static_cast<int64_t>(kPageDefault)));
  std::string after = call.text("Marker");
  std::sort(items.begin(), items.end(), [](const Listed& a, const Listed& b) { return a.marker < b.marker; });
  json::object out;
  json::array list;
  bool more = false;
  std::string last;
  for (Listed& item : items) {
    if (!after.empty() && item.marker <= after) continue;
    more = list.size() == most;
    if (more) break;
    last = item.marker;
    list.push_back(std::move(item.value));
  }
  out[name] = std::move(list);
  out["IsTruncated"] = more;
  if (more) out["Marker"] = last;
  return out;
}

const char* eval_decision(const iam::Decision& decision) {
  if (decision.allowed()) return "allowed";
  return decision.verdict == iam::Verdict::kDenied ? "explicitDeny" : "implicitDeny";
}

void merge_tags(const Call& call, std::map<std::string, std::string>& tags) {
  for (auto& [key, value] : tags_in(call)) tags[key] = value;
  check_tag_count(tags);
}

void remove_tags(const Call& call, std::map<std::string, std::string>& tags) {
  if (const json::array* keys = base::find_array(call.input, "TagKeys"))
    for (const json::value& key : *keys) tags.erase(std::string(base::view(key.as_string())));
}

json::object tags_page(const Call& call, const std::map<std::string, std::string>& tags) {
  std::vector<Listed> items;
  for (const auto& [key, value] : tags) items.push_back({key, json::object{{"Key", key}, {"Value", value}}});
  return page(call, "Tags", std::move(items));
}

}  // namespace iam_api

bool IamService::implements(std::string_view operation) { return iam_api::table().contains(operation); }

base::json::object IamService::call(const aws::Operation& operation, const base::json::object& input,
                                    const Caller& caller) {
  const iam_api::Entry& entry = iam_api::table().at(operation.name);
  auto run = [&](const iam::State& state, iam::Edit* edit) {
    iam_api::Call call{operation, input, account_, caller, authorizer_, clock_.now_ms(), state, edit};
    return entry.handler(call);
  };
  if (!entry.changes) return run(*directory_.state(), nullptr);
  base::json::object output;
  directory_.change([&](iam::Edit& edit) { output = run(edit.state(), &edit); });
  return output;
}

base::json::object IamService::explain(const base::json::object& input) const {
  namespace json = base::json;
  auto text = [&](const char* name) {
    auto value = base::find_string(input, name);
    if (!value || value->empty())
      throw aws::ApiError(400, "ValidationException", fmt::format("{} is missing.", name));
    return std::string(*value);
  };
  iam::Access access{text("Action"), text("Resource")};
  if (const json::object* context = base::find_object(input, "Context"))
    for (const auto& [key, values] : *context)
      if (const json::array* list = values.if_array())
        for (const json::value& value : *list)
          if (value.is_string())
            access.context.add({key.data(), key.size()}, std::string(base::view(value.as_string())));
  Authorizer::Explanation found;
  try {
    found = authorizer_.explain(text("Principal"), access);
  } catch (const base::NotFoundError& e) {
    throw aws::ApiError(404, "NoSuchEntity", e.what());
  }
  json::array considered, notes;
  for (const auto& one : found.considered)
    considered.push_back({{"Policy", one.policy},
                          {"Statement", one.statement},
                          {"Effect", one.effect},
                          {"Mismatch", one.mismatch}});
  for (const std::string& note : found.notes) notes.emplace_back(note);
  json::object out{{"Principal", found.arn},
                   {"Allowed", found.decision.allowed()},
                   {"Decision", iam_api::eval_decision(found.decision)},
                   {"Policy", found.decision.policy},
                   {"Statement", found.decision.statement},
                   {"Considered", std::move(considered)},
                   {"Notes", std::move(notes)}};
  if (!found.decision.allowed()) out["Why"] = found.decision.why(access.action);
  return out;
}

}  // namespace millrace::services
