// AWS IAM: users, groups, roles, policies and instance profiles of the account (IAM API Reference).
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/time.h"
#include "iam/directory.h"
#include "services/authorizer.h"
#include "services/caller.h"

namespace millrace::services {

// Thread-safe. What is passed in outlives it.
class IamService {
 public:
  IamService(std::string account, iam::Directory& directory, const Authorizer& authorizer,
             const base::Clock& clock)
      : account_(std::move(account)), directory_(directory), authorizer_(authorizer), clock_(clock) {}

  static bool implements(std::string_view operation);
  // Changes are durable when it returns. Throws ApiError with IAM's codes.
  base::json::object call(const aws::Operation& operation, const base::json::object& input,
                          const Caller& caller);

  // POST /iam/explain of Millrace's own: {Principal, Action, Resource, Context: {key: [value…]}}.
  base::json::object explain(const base::json::object& input) const;

 private:
  std::string account_;
  iam::Directory& directory_;
  const Authorizer& authorizer_;
  const base::Clock& clock_;
};

}  // namespace millrace::services
