#include "iam/decision.h"

#include <algorithm>

namespace millrace::iam {
namespace {

bool any_matches(const std::vector<std::string>& patterns, std::string_view text, const Variables* variables,
                 bool ignore_case) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return wildcard_match(pattern, text, variables, ignore_case);
  });
}

// An account stands for everybody in it where access is denied; where it is granted, it only lets the
// account's own policies decide (`by_account`).
bool names(const Principals& principals, const Subject& subject, bool by_account) {
  if (principals.anybody) return true;
  if (!subject.service.empty())
    return std::find(principals.services.begin(), principals.services.end(), subject.service) !=
           principals.services.end();
  if (subject.anonymous) return false;
  const std::string root = "arn:aws:iam::" + subject.account + ":root";
  return std::any_of(principals.aws.begin(), principals.aws.end(), [&](const std::string& name) {
    return (by_account && (name == subject.account || name == root)) || name == subject.arn ||
           (!subject.role_arn.empty() && name == subject.role_arn);
  });
}

std::string mismatch_of(const Statement& statement, bool with_variables, const Subject& subject,
                        const Access& access, bool by_account) {
  Variables lookup = access.context.variables();
  const Variables* variables = with_variables ? &lookup : nullptr;
  if (statement.has_principals && names(statement.principals, subject, by_account) == statement.not_principal)
    return "its principals are others";
  if (any_matches(statement.actions, access.action, nullptr, true) == statement.not_action)
    return "its actions do not name " + access.action;
  auto named = [&](const std::string& arn) {
    return any_matches(statement.resources, arn, variables, false);
  };
  if (!statement.resources.empty() &&
      (named(access.resource) || std::any_of(access.aliases.begin(), access.aliases.end(), named)) ==
          statement.not_resource)
    return "its resources do not name " + access.resource;
  for (const Condition& condition : statement.conditions)
    if (!holds(condition, access.context, with_variables))
      return "its condition " + condition.shown + " does not hold";
  return "";
}

struct Match {
  const NamedPolicy* policy = nullptr;
  const Statement* statement = nullptr;
  explicit operator bool() const { return statement != nullptr; }
};

// The first statement with that effect that speaks of the request.
Match find(const NamedPolicy& policy, bool deny, const Subject& subject, const Access& access) {
  for (const Statement& statement : policy.policy->statements())
    if (statement.deny == deny &&
        mismatch(statement, policy.policy->has_variables(), subject, access).empty())
      return {&policy, &statement};
  return {};
}

Match find(const std::vector<NamedPolicy>& policies, bool deny, const Subject& subject,
           const Access& access) {
  for (const NamedPolicy& policy : policies)
    if (Match match = find(policy, deny, subject, access)) return match;
  return {};
}

Decision decided(Verdict verdict, Layer layer, const Match& by) {
  Decision out{verdict, layer, {}, {}};
  if (!by) return out;
  out.policy = by.policy->name;
  size_t number = static_cast<size_t>(by.statement - by.policy->policy->statements().data()) + 1;
  out.statement = by.statement->sid.empty() ? "statement " + std::to_string(number) : by.statement->sid;
  return out;
}

// A resource policy that names the role rather than anybody or the account speaks of its sessions, which
// session policies still bound. One that names the session itself is not bound.
bool names_exactly(const Statement& statement, const std::string& arn) {
  return std::find(statement.principals.aws.begin(), statement.principals.aws.end(), arn) !=
         statement.principals.aws.end();
}

std::string_view layer_name(Layer layer) {
  switch (layer) {
    case Layer::kIdentity:
      return "identity-based policy";
    case Layer::kResource:
      return "resource-based policy";
    case Layer::kSession:
      return "session policy";
    case Layer::kBoundary:
      return "permissions boundary";
  }
  return "policy";
}

}  // namespace

std::string mismatch(const Statement& statement, bool with_variables, const Subject& subject,
                     const Access& access) {
  return mismatch_of(statement, with_variables, subject, access, statement.deny);
}

Trust trust(const Policy& policy, const Subject& subject, const Access& access) {
  Trust out = Trust::kNone;
  for (const Statement& statement : policy.statements()) {
    bool variables = policy.has_variables();
    if (!mismatch_of(statement, variables, subject, access, true).empty()) continue;
    if (statement.deny) return Trust::kNone;
    bool direct = mismatch_of(statement, variables, subject, access, false).empty();
    if (direct || out == Trust::kNone) out = direct ? Trust::kDirect : Trust::kThroughAccount;
  }
  return out;
}

std::string Decision::why(std::string_view action) const {
  std::string layer_text(layer_name(layer));
  if (verdict == Verdict::kDenied)
    return std::string("with an explicit deny in a") + (layer == Layer::kIdentity ? "n " : " ") + layer_text;
  return "because no " + layer_text + " allows the " + std::string(action) + " action";
}

Decision decide(const Subject& subject, const Access& access, const NamedPolicy* resource_policy) {
  if (Match deny = find(subject.identity, true, subject, access))
    return decided(Verdict::kDenied, Layer::kIdentity, deny);
  if (resource_policy)
    if (Match deny = find(*resource_policy, true, subject, access))
      return decided(Verdict::kDenied, Layer::kResource, deny);
  if (Match deny = find(subject.session, true, subject, access))
    return decided(Verdict::kDenied, Layer::kSession, deny);
  if (subject.boundary)
    if (Match deny = find(*subject.boundary, true, subject, access))
      return decided(Verdict::kDenied, Layer::kBoundary, deny);

  Match by_resource = resource_policy ? find(*resource_policy, false, subject, access) : Match{};
  if (by_resource &&
      (subject.anonymous || !subject.service.empty() || names_exactly(*by_resource.statement, subject.arn)))
    return decided(Verdict::kAllowed, Layer::kResource, by_resource);
  Match by_session = find(subject.session, false, subject, access);
  if (!subject.session.empty() && !by_session) return decided(Verdict::kNotAllowed, Layer::kSession, {});
  if (by_resource && subject.role_arn.empty())
    return decided(Verdict::kAllowed, Layer::kResource, by_resource);
  Match by_identity = find(subject.identity, false, subject, access);
  if (!by_resource && !by_identity) return decided(Verdict::kNotAllowed, Layer::kIdentity, {});
  if (subject.boundary && !find(*subject.boundary, false, subject, access))
    return decided(Verdict::kNotAllowed, Layer::kBoundary, {});
  return by_identity ? decided(Verdict::kAllowed, Layer::kIdentity, by_identity)
                     : decided(Verdict::kAllowed, Layer::kResource, by_resource);
}

}  // namespace millrace::iam
