// What a request needs to be allowed: AWS's action and resource names for each operation (Service
// Authorization Reference).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/model.h"
#include "base/json.h"
#include "http/message.h"
#include "iam/decision.h"
#include "iam/directory.h"

namespace millrace::services {

struct AccessNames {
  std::string region, account;
  // The whole ARN of a secret that is named in any way; empty when there is none such. May be null.
  std::function<std::string(std::string_view id)> secret_arn = {};
  std::shared_ptr<const iam::State> state =
      {};                 // for ARNs of users, roles and groups, which have paths; may be null
  std::string user = {};  // of the caller, when it is one
};

// All of them must be allowed. `input` as decoded. Without context, which access_context() adds. Empty:
// anybody who is known may (sts:GetCallerIdentity, sts:GetSessionToken).
std::vector<iam::Access> accesses_of(const aws::Operation& operation, const base::json::object& input,
                                     const http::RequestHead& head, const AccessNames& names);

// The same for S3; DeleteObjects needs nothing here, its keys are asked for one by one.
std::vector<iam::Access> s3_accesses_of(const aws::Operation& operation, const base::json::object& input,
                                        const http::RequestHead& head);
iam::Access s3_access(std::string_view action, std::string_view bucket, std::string_view key);

// What conditions may look at, beside who calls: the request's headers and members, the time is not in it.
void add_request_context(const aws::Operation& operation, const base::json::object& input,
                         const http::RequestHead& head, iam::Context& context);

}  // namespace millrace::services
