#include "services/sts.h"

#include "aws/api_error.h"
#include "base/error.h"

namespace millrace::services {
namespace {

namespace json = base::json;

constexpr int64_t kChainedSecondsMax = 3600;  // a role assumed by a role
constexpr int64_t kRoleSecondsDefault = 3600;
constexpr int64_t kTokenSecondsDefault = 43'200;
constexpr int64_t kTokenSecondsOfRootMax = 3600;

aws::ApiError validation(const std::string& text) { return {400, "ValidationError", text}; }

}  // namespace

bool StsService::implements(std::string_view operation) {
  return operation == "GetCallerIdentity" || operation == "AssumeRole" || operation == "GetSessionToken" ||
         operation == "GetAccessKeyInfo";
}

json::object StsService::call(const aws::Operation& operation, const json::object& input,
                              const http::RequestHead& head, const Caller& caller) {
  if (operation.name == "AssumeRole") return assume_role(operation, input, head, caller);
  if (operation.name == "GetSessionToken") return get_session_token(input, caller);
  if (operation.name == "GetAccessKeyInfo") return {{"Account", account_}};
  return get_caller_identity(caller);
}

json::object StsService::get_caller_identity(const Caller& caller) {
  Authorizer::Identity identity = authorizer_.identity_of(caller);
  return {{"Account", account_}, {"UserId", identity.user_id}, {"Arn", identity.arn}};
}

json::object StsService::credentials(const Session& session) const {
  aws::Credentials keys = identities_.issue(session);
  return {{"AccessKeyId", keys.access_key_id},
          {"SecretAccessKey", keys.secret_access_key},
          {"SessionToken", keys.session_token},
          {"Expiration", session.expires}};
}

json::object StsService::assume_role(const aws::Operation& operation, const json::object& input,
                                     const http::RequestHead& head, const Caller& caller) {
  std::string arn(base::find_string(input, "RoleArn").value_or(""));
  std::shared_ptr<const iam::State> state = directory_.state();
  const iam::Entity* role = state->find(iam::EntityKind::kRole, arn.substr(arn.rfind('/') + 1));
  Authorizer::Identity who = authorizer_.identity_of(caller);
  auto denied = [&](const std::string& why) {
    return aws::ApiError(
        403, "AccessDenied",
        "User: " + who.arn + " is not authorized to perform: sts:AssumeRole on resource: " + arn + why);
  };
  // AWS does not tell whether the role exists.
  if (!role || role->arn != arn) throw denied("");
  iam::Subject subject = authorizer_.subject_of(caller).value_or(iam::Subject{});
  if (subject.arn.empty()) {
    subject.arn = who.arn;
    subject.account = account_;
  }
  iam::Access access{"sts:AssumeRole", arn};
  add_request_context(operation, input, head, access.context);
  authorizer_.add_caller_context(caller, subject, access.context);
  // The trust policy is the role's resource policy: it must speak of the caller, by name or by its account;
  // what bounds the caller still does.
  iam::NamedPolicy trust{"trust policy of role " + role->name, role->trust.policy};
  bool root = caller.unrestricted();
  if (!root && iam::trust(*trust.policy, subject, access) == iam::Trust::kNone)
    throw denied(" because the role's trust policy does not let it in");
  iam::Decision decision = iam::decide(subject, access, &trust);
  if (!root && !decision.allowed()) throw denied(" " + decision.why(access.action));

  int64_t most =
      caller.session && !caller.session->role.empty() ? kChainedSecondsMax : role->session_seconds_max;
  int64_t seconds = base::find_int(input, "DurationSeconds").value_or(std::min(kRoleSecondsDefault, most));
  if (seconds > most)
    throw validation("The requested DurationSeconds exceeds the " +
                     std::string(most == kChainedSecondsMax && most != role->session_seconds_max
                                     ? "1 hour session limit for roles assumed by role chaining"
                                     : "MaxSessionDuration set for this role."));
  Session session;
  session.role = role->name;
  session.id = role->id;
  session.name = base::find_string(input, "RoleSessionName").value_or("");
  session.issued = clock_.now_ms();
  session.expires = session.issued + seconds * 1000;
  if (auto policy = base::find_string(input, "Policy")) {
    try {
      iam::Policy::parse(*policy, iam::PolicyKind::kIdentity);
    } catch (const base::UsageError& error) {
      throw aws::ApiError(400, "MalformedPolicyDocument", error.what());
    }
    session.policy = *policy;
  }
  if (const json::array* arns = base::find_array(input, "PolicyArns"))
    for (const json::value& one : *arns)
      if (const json::object* descriptor = one.if_object()) {
        session.policy_arns.emplace_back(base::find_string(*descriptor, "arn").value_or(""));
        if (!state->policy(session.policy_arns.back()))
          throw validation("The policy " + session.policy_arns.back() + " does not exist.");
      }
  // A job that assumes a role has it no longer than it lives.
  if (caller.session && caller.session->of_job()) session.attempt = caller.session->attempt;
  return {{"Credentials", credentials(session)},
          {"AssumedRoleUser", json::object{{"AssumedRoleId", role->id + ":" + session.name},
                                           {"Arn", "arn:aws:sts::" + account_ + ":assumed-role/" +
                                                       role->name + "/" + session.name}}}};
}

json::object StsService::get_session_token(const json::object& input, const Caller& caller) {
  if (caller.session)
    throw aws::ApiError(403, "AccessDenied", "Cannot call GetSessionToken with session credentials");
  int64_t seconds = base::find_int(input, "DurationSeconds").value_or(kTokenSecondsDefault);
  if (caller.user.empty()) seconds = std::min(seconds, kTokenSecondsOfRootMax);
  Session session;
  session.user = caller.user;
  session.unrestricted = caller.user.empty();
  if (const iam::Entity* user = directory_.state()->find(iam::EntityKind::kUser, caller.user))
    session.id = user->id;
  session.issued = clock_.now_ms();
  session.expires = session.issued + seconds * 1000;
  return {{"Credentials", credentials(session)}};
}

}  // namespace millrace::services
