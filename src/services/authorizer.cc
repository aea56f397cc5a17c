#include "services/authorizer.h"

#include <spdlog/spdlog.h>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/strings.h"
#include "iam/aws_policies.h"

namespace millrace::services {
namespace {

constexpr std::string_view kBucketArn = "arn:aws:s3:::";
constexpr std::string_view kJobWithoutRole = "millrace-job";

std::string last_part(std::string_view arn) { return std::string(arn.substr(arn.rfind('/') + 1)); }

void merge(iam::Context& into, const iam::Context& more) {
  for (const auto& [key, values] : more.values())
    for (const std::string& value : values) into.add(key, value);
}

// A session policy was checked when the session was made.
iam::NamedPolicy session_policy(const std::string& text) {
  return {"session policy", iam::Policy::parse(text, iam::PolicyKind::kIdentity)};
}

}  // namespace

aws::Dialect dialect_of(const aws::ServiceModel* service) {
  if (service && service->signing_name == "s3") return aws::Dialect::kS3;
  if (!service || service->protocol == aws::Protocol::kRestJson) return aws::Dialect::kRestJson;
  return service->protocol == aws::Protocol::kQuery ? aws::Dialect::kQuery : aws::Dialect::kJson;
}

Authorizer::Identity Authorizer::identity_of(const Caller& caller) const {
  const std::string& account = options_.names.account;
  const std::string iam = "arn:aws:iam::" + account + ":", sts = "arn:aws:sts::" + account + ":";
  if (caller.user.empty() && (!caller.session || caller.session->name.empty()))
    return {iam + "root", account, account};
  std::shared_ptr<const iam::State> state = directory_.state();
  if (!caller.user.empty()) {
    const iam::Entity* user = state->find(iam::EntityKind::kUser, caller.user);
    return {user ? user->arn : iam + "user/" + caller.user, user ? user->id : caller.access_key, caller.user};
  }
  const Session& session = *caller.session;
  std::string role = session.role.empty() ? std::string(kJobWithoutRole) : session.role;
  const iam::Entity* known = state->find(iam::EntityKind::kRole, role);
  return {sts + "assumed-role/" + role + "/" + session.name,
          (known ? known->id : caller.access_key) + ":" + session.name, session.name};
}

std::optional<iam::Subject> Authorizer::subject_of(const Caller& caller) const {
  if (caller.unrestricted()) return std::nullopt;
  const std::string& account = options_.names.account;
  std::shared_ptr<const iam::State> state = directory_.state();
  iam::Subject subject;
  subject.account = account;
  if (caller.anonymous()) {
    subject.anonymous = true;
    subject.arn = "anonymous";
    return subject;
  }
  if (!caller.user.empty()) {
    const iam::Entity* user = state->find(iam::EntityKind::kUser, caller.user);
    if (user && (!caller.session || caller.session->id == user->id))
      subject = state->subject_of_user(*user, account);
    else
      subject.arn = identity_of(caller).arn;  // gone: nothing is allowed
  } else {
    const Session& session = *caller.session;
    const iam::Entity* role = state->find(iam::EntityKind::kRole, session.role);
    if (role && role->id == session.id)
      subject = state->subject_of_role(*role, session.name, account);
    else
      subject.arn = identity_of(caller).arn;
  }
  if (caller.session) {
    if (!caller.session->policy.empty()) subject.session.push_back(session_policy(caller.session->policy));
    for (const std::string& arn : caller.session->policy_arns)
      if (const iam::ManagedPolicy* policy = state->policy(arn))
        subject.session.push_back({arn, policy->current().policy});
      else
        subject.session.push_back({arn + " (deleted)", iam::allows_nothing()});
  }
  return subject;
}

void Authorizer::add_caller_context(const Caller& caller, const iam::Subject& subject,
                                    iam::Context& context) const {
  base::TimeMs now = clock_.now_ms();
  context.set("aws:CurrentTime", base::iso8601(now));
  context.set("aws:EpochTime", std::to_string(now / 1000));
  context.set("aws:SecureTransport", options_.tls ? "true" : "false");
  context.set("aws:RequestedRegion", options_.names.region);
  if (subject.anonymous) {
    context.set("aws:PrincipalType", "Anonymous");
    return;
  }
  context.set("aws:PrincipalAccount", options_.names.account);
  context.set("aws:PrincipalArn", subject.role_arn.empty() ? subject.arn : subject.role_arn);
  context.set("aws:PrincipalType", subject.role_arn.empty() ? "User" : "AssumedRole");
  context.set("aws:userid", identity_of(caller).user_id);
  if (!caller.user.empty()) context.set("aws:username", caller.user);
  if (caller.session) context.set("aws:TokenIssueTime", base::iso8601(caller.session->issued));
  std::shared_ptr<const iam::State> state = directory_.state();
  const iam::Entity* entity =
      caller.user.empty() ? state->find(iam::EntityKind::kRole, caller.session ? caller.session->role : "")
                          : state->find(iam::EntityKind::kUser, caller.user);
  if (entity)
    for (const auto& [key, value] : entity->tags) context.set("aws:PrincipalTag/" + key, value);
}

std::optional<iam::NamedPolicy> Authorizer::resource_policy(const iam::Subject& subject,
                                                            const std::string& resource) const {
  if (!options_.bucket_policy || !resource.starts_with(kBucketArn)) return std::nullopt;
  std::string bucket = resource.substr(kBucketArn.size());
  bucket = bucket.substr(0, bucket.find('/'));
  std::string text = options_.bucket_policy(bucket);
  if (text.empty()) return std::nullopt;
  if (subject.anonymous && options_.is_closed_to_the_public && options_.is_closed_to_the_public(bucket))
    return std::nullopt;
  std::lock_guard lock(parsed_->mutex);
  auto& [known, policy] = parsed_->by_bucket[bucket];
  if (!policy || known != text) {
    try {
      policy = iam::Policy::parse(text, iam::PolicyKind::kResource);
    } catch (const base::Error& error) {
      // Stored before policies were checked. What it denies nobody knows, so nothing is allowed by it.
      spdlog::warn("the policy of bucket {} cannot be read and allows nothing: {}", bucket, error.what());
      policy = iam::allows_nothing();
    }
    known = std::move(text);
  }
  return iam::NamedPolicy{"policy of bucket " + bucket, policy};
}

AccessNames Authorizer::names_for(const Caller& caller) const {
  AccessNames names = options_.names;
  names.state = directory_.state();
  names.user = caller.user;
  return names;
}

iam::Decision Authorizer::decide(const iam::Subject& subject, const iam::Access& access) const {
  std::optional<iam::NamedPolicy> policy = resource_policy(subject, access.resource);
  return iam::decide(subject, access, policy ? &*policy : nullptr);
}

void Authorizer::deny(const iam::Subject& subject, const iam::Access& access, const iam::Decision& decision,
                      aws::Dialect dialect) const {
  if (subject.anonymous) throw aws::ApiError(403, "AccessDenied", "Access Denied");
  bool quotes = dialect == aws::Dialect::kS3;
  std::string text = "User: " + subject.arn + " is not authorized to perform: " + access.action +
                     " on resource: " + (quotes ? "\"" + access.resource + "\"" : access.resource) + " " +
                     decision.why(access.action);
  if (!decision.policy.empty()) text += ": " + decision.policy + ", " + decision.statement;
  bool json = dialect == aws::Dialect::kJson || dialect == aws::Dialect::kRestJson;
  throw aws::ApiError(dialect == aws::Dialect::kJson ? 400 : 403,
                      json ? "AccessDeniedException" : "AccessDenied", text);
}

void Authorizer::require(const Caller& caller, const iam::Subject& subject, iam::Access access,
                         const iam::Context& context, aws::Dialect dialect) const {
  merge(access.context, context);
  add_caller_context(caller, subject, access.context);
  iam::Decision decision = decide(subject, access);
  if (!decision.allowed()) deny(subject, access, decision, dialect);
}

void Authorizer::check(const Caller& caller, const aws::Operation& operation, const base::json::object& input,
                       const http::RequestHead& head) const {
  std::optional<iam::Subject> subject = subject_of(caller);
  if (!subject) return;
  iam::Context context;
  add_request_context(operation, input, head, context);
  for (iam::Access& access : accesses_of(operation, input, head, names_for(caller)))
    require(caller, *subject, std::move(access), context, dialect_of(operation.service));
}

void Authorizer::check_s3(const Caller& caller, const aws::Operation& operation,
                          const http::RequestHead& head, std::string_view action, std::string_view bucket,
                          std::string_view key) const {
  std::optional<iam::Subject> subject = subject_of(caller);
  if (!subject) return;
  iam::Context context;
  add_request_context(operation, {}, head, context);
  require(caller, *subject, s3_access(action, bucket, key), context, aws::Dialect::kS3);
}

void Authorizer::check_own(const Caller& caller, const std::string& action) const {
  std::optional<iam::Subject> subject = subject_of(caller);
  if (subject) require(caller, *subject, {action, "*"}, {}, aws::Dialect::kRestJson);
}

bool Authorizer::is_strict() const {
  return options_.strict_roles || !directory_.state()->list(iam::EntityKind::kUser).empty();
}

std::shared_ptr<const iam::Entity> Authorizer::job_role(std::string_view arn) const {
  if (arn.empty()) return nullptr;
  std::shared_ptr<const iam::State> state = directory_.state();
  const iam::Entity* role = state->find(iam::EntityKind::kRole, last_part(arn));
  auto refused = [&](const std::string& why) {
    return base::DeniedError(
        "ECS was unable to assume the role '" + std::string(arn) +
        "' that was provided for this task. Please verify that the role being passed has the "
        "proper trust relationship and permissions: " +
        why);
  };
  if (!role || (arn != role->arn && arn != role->name)) {
    if (is_strict()) throw refused("the account has no such role");
    return nullptr;
  }
  iam::Subject ecs;
  ecs.service = "ecs-tasks.amazonaws.com";
  ecs.account = options_.names.account;
  iam::Access assume{"sts:AssumeRole", role->arn};
  assume.context.set("aws:SourceAccount", ecs.account);
  if (iam::trust(*role->trust.policy, ecs, assume) == iam::Trust::kNone)
    throw refused("its trust policy does not let ecs-tasks.amazonaws.com in");
  return {state, role};
}

void Authorizer::check_secret(std::string_view execution_role, std::string_view value_from) const {
  std::shared_ptr<const iam::Entity> role = job_role(execution_role);
  if (!role) {
    if (!is_strict()) return;
    throw base::DeniedError(
        "ResourceInitializationError: unable to pull secrets or registry auth: the job definition has "
        "secrets and no "
        "executionRoleArn");
  }
  Caller caller;
  caller.access_key = "ecs";
  caller.session = Session{};
  caller.session->role = role->name;
  caller.session->id = role->id;
  caller.session->name = "ecs";
  // "arn:…:secret:NAME-SUFFIX[:json-key:version-stage:version-id]", the ARN of a parameter, or its name.
  constexpr size_t kPartsOfSecretArn = 7;
  iam::Access access{"ssm:GetParameters", std::string(value_from)};
  if (value_from.find(":secretsmanager:") != std::string_view::npos) {
    std::vector<std::string_view> parts = base::split(value_from, ':');
    std::string arn;
    for (size_t i = 0; i < std::min(parts.size(), kPartsOfSecretArn); ++i)
      arn += (i > 0 ? ":" : "") + std::string(parts[i]);
    std::string whole = options_.names.secret_arn ? options_.names.secret_arn(arn) : "";
    access = {"secretsmanager:GetSecretValue", whole.empty() ? arn : whole};
  } else if (!value_from.starts_with("arn:")) {
    std::string_view name = value_from.starts_with('/') ? value_from.substr(1) : value_from;
    access.resource = "arn:aws:ssm:" + options_.names.region + ":" + options_.names.account + ":parameter/" +
                      std::string(name);
  }
  iam::Subject subject = *subject_of(caller);
  add_caller_context(caller, subject, access.context);
  iam::Decision decision = decide(subject, access);
  if (decision.allowed()) return;
  throw base::DeniedError(
      "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
      "retrieval failed: unable to retrieve secret: AccessDeniedException: User: " +
      subject.arn + " is not authorized to perform: " + access.action + " on resource: " + access.resource +
      " " + decision.why(access.action));
}

Authorizer::Explanation Authorizer::explain(std::string_view who, const iam::Access& asked) const {
  std::shared_ptr<const iam::State> state = directory_.state();
  Explanation out;
  Caller caller;
  caller.access_key = who;
  const iam::Entity* role = nullptr;
  if (auto [user, key] = state->key(who); user) {
    caller.user = user->name;
    if (!key->active)
      out.notes.push_back("the key " + std::string(who) + " is inactive: every request is refused");
  } else if (const iam::Entity* named = state->find(iam::EntityKind::kUser, last_part(who));
             named && who.find(":role/") == std::string_view::npos) {
    caller.user = named->name;
  } else if (role = state->find(iam::EntityKind::kRole, last_part(who)); role) {
    caller.session = Session{};
    caller.session->role = role->name;
    caller.session->id = role->id;
    caller.session->name = "explain";
  } else {
    throw base::NotFoundError("there is no access key, user or role '" + std::string(who) +
                              "'; keys of jobs are explained by their role");
  }
  std::optional<iam::Subject> subject = subject_of(caller);
  if (!subject) throw base::InternalError("a user or role without policies to look at");
  out.arn = role ? role->arn : subject->arn;
  iam::Access access = asked;
  iam::Context given = access.context;
  add_caller_context(caller, *subject, access.context);
  for (const auto& [key, values] : given.values()) {
    access.context.set(key, values.front());
    for (size_t i = 1; i < values.size(); ++i) access.context.add(key, values[i]);
  }
  std::optional<iam::NamedPolicy> resource = resource_policy(*subject, access.resource);
  out.decision = iam::decide(*subject, access, resource ? &*resource : nullptr);
  auto consider = [&](const iam::NamedPolicy& policy) {
    if (policy.name.starts_with("arn:aws:iam::aws:policy/") && !iam::is_known_aws_policy(policy.name)) {
      out.notes.push_back(policy.name + " is not known to this version of Millrace: it allows nothing here");
      return;
    }
    size_t number = 0;
    for (const iam::Statement& statement : policy.policy->statements()) {
      ++number;
      out.considered.push_back({policy.name,
                                statement.sid.empty() ? "statement " + std::to_string(number) : statement.sid,
                                statement.deny ? "Deny" : "Allow",
                                mismatch(statement, policy.policy->has_variables(), *subject, access)});
    }
  };
  for (const iam::NamedPolicy& policy : subject->identity) consider(policy);
  if (resource) consider(*resource);
  if (subject->boundary) consider(*subject->boundary);
  if (subject->identity.empty()) out.notes.push_back(out.arn + " has no policies");
  return out;
}

}  // namespace millrace::services
