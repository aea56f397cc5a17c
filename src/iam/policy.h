// A policy document, read and checked (IAM User Guide, "Grammar of the IAM JSON policy language").
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "iam/condition.h"

namespace millrace::iam {

// Who a statement of a resource policy or a trust policy speaks of.
struct Principals {
  bool anybody = false;               // "*" or {"AWS": "*"}
  std::vector<std::string> aws;       // account ids and ARNs
  std::vector<std::string> services;  // "batch.amazonaws.com"
  std::vector<std::string> others;    // federated and canonical ones, as they stand: they match nobody here
};

struct Statement {
  std::string sid;  // may be empty
  bool deny = false;
  bool not_action = false, not_resource = false, not_principal = false;
  std::vector<std::string> actions;
  std::vector<std::string> resources;  // empty in trust policies
  bool has_principals = false;         // resource and trust policies
  Principals principals;
  std::vector<Condition> conditions;
};

enum class PolicyKind {
  kIdentity,  // of users, groups and roles, managed ones, session policies: no Principal
  kResource,  // of buckets, buses, secrets
  kTrust,     // of roles: no Resource
};

class Policy {
 public:
  // Throws UsageError with code MalformedPolicyDocument (trust policies too) and AWS's words where they are
  // known. Nothing that is not understood is passed over: an unknown element or operator is an error.
  static std::shared_ptr<const Policy> parse(std::string_view text, PolicyKind kind);

  const std::vector<Statement>& statements() const { return statements_; }
  bool has_variables() const { return has_variables_; }  // version 2012-10-17
  // Whether a statement without a condition allows something to everybody.
  bool is_public() const;

 private:
  std::vector<Statement> statements_;
  bool has_variables_ = false;
};

}  // namespace millrace::iam
