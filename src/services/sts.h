// AWS STS: who am I, and sessions with other rights (STS API Reference).
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/time.h"
#include "iam/directory.h"
#include "services/authorizer.h"
#include "services/caller.h"
#include "services/identities.h"

namespace millrace::services {

// Thread-safe. What is passed in outlives it.
class StsService {
 public:
  StsService(std::string account, const Identities& identities, const iam::Directory& directory,
             const Authorizer& authorizer, const base::Clock& clock)
      : account_(std::move(account)),
        identities_(identities),
        directory_(directory),
        authorizer_(authorizer),
        clock_(clock) {}

  static bool implements(std::string_view operation);
  // Throws ApiError with STS's codes.
  base::json::object call(const aws::Operation& operation, const base::json::object& input,
                          const http::RequestHead& head, const Caller& caller);

 private:
  base::json::object get_caller_identity(const Caller& caller);
  base::json::object assume_role(const aws::Operation& operation, const base::json::object& input,
                                 const http::RequestHead& head, const Caller& caller);
  base::json::object get_session_token(const base::json::object& input, const Caller& caller);
  base::json::object credentials(const Session& session) const;

  std::string account_;
  const Identities& identities_;
  const iam::Directory& directory_;
  const Authorizer& authorizer_;
  const base::Clock& clock_;
};

}  // namespace millrace::services
