// Whether policies allow a request, and which statement decides (IAM User Guide, "Policy evaluation logic",
// within one account).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "iam/policy.h"

namespace millrace::iam {

// A policy with the name that people know it by: "arn:aws:iam::…:policy/x", "inline policy p of role r".
struct NamedPolicy {
  std::string name;
  std::shared_ptr<const Policy> policy;
};

// Who asks, with the policies that bind them.
struct Subject {
  std::string arn;         // of the user, or of the session of a role
  std::string role_arn;    // of a role's session; else empty
  std::string account;     // 12 digits
  std::string service;     // "events.amazonaws.com" for a service that acts by itself; else empty
  bool anonymous = false;  // nobody signed: only resource policies can allow
  std::vector<NamedPolicy> identity;
  std::optional<NamedPolicy> boundary;
  std::vector<NamedPolicy> session;  // all of them bind, when there are any: one must allow
};

struct Access {
  std::string action;    // "s3:PutObject"
  std::string resource;  // ARN, or "*" for actions that know none
  // Other ARNs that policies name the same thing by (a log group with and without its streams).
  std::vector<std::string> aliases = {};
  Context context = {};
};

enum class Verdict { kAllowed, kNotAllowed, kDenied };
enum class Layer { kIdentity, kResource, kSession, kBoundary };

struct Decision {
  Verdict verdict = Verdict::kNotAllowed;
  Layer layer = Layer::kIdentity;  // what allowed it, denied it, or should have allowed it
  std::string policy;              // name of the policy; empty when no statement decided
  std::string statement;           // its Sid, or "statement 2" counted from 1; empty as above
  bool allowed() const { return verdict == Verdict::kAllowed; }
  // "because no identity-based policy allows the s3:PutObject action", as AWS ends its denials.
  std::string why(std::string_view action) const;
};

// `resource_policy` (of a bucket, a secret, a bus, or the trust policy of a role) may be null.
Decision decide(const Subject& subject, const Access& access, const NamedPolicy* resource_policy);

// Whether a role's trust policy lets somebody in: by name, or anybody in the account whom its own policies
// allow to.
enum class Trust { kNone, kThroughAccount, kDirect };
Trust trust(const Policy& policy, const Subject& subject, const Access& access);

// Why a statement does not speak of a request: "its actions do not name s3:PutObject", "its condition
// IpAddress aws:SourceIp does not hold"; empty when it does.
std::string mismatch(const Statement& statement, bool variables, const Subject& subject,
                     const Access& access);

}  // namespace millrace::iam
