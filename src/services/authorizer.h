// May who signed do what was asked? Decides by the account's policies, and says which statement decided.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/model.h"
#include "aws/sigv4_errors.h"
#include "base/json.h"
#include "base/time.h"
#include "http/message.h"
#include "iam/decision.h"
#include "iam/directory.h"
#include "services/access_rules.h"
#include "services/caller.h"

namespace millrace::services {

struct AuthorizerOptions {
  AccessNames names;
  bool tls = false;  // aws:SecureTransport
  // A role that the account does not have may do nothing, and jobs without one neither; see is_strict().
  bool strict_roles = false;
  // The text of a bucket's policy, empty when it has none. May be null.
  std::function<std::string(const std::string& bucket)> bucket_policy = {};
  // Whether its public access block restricts public buckets. May be null.
  std::function<bool(const std::string& bucket)> is_closed_to_the_public = {};
};

// Thread-safe. What is passed in outlives it.
class Authorizer {
 public:
  Authorizer(AuthorizerOptions options, const iam::Directory& directory, const base::Clock& clock)
      : options_(std::move(options)), directory_(directory), clock_(clock) {}

  // The ARN, user id and account-wide name of a caller: what GetCallerIdentity and events tell.
  struct Identity {
    std::string arn, user_id, name;
  };
  Identity identity_of(const Caller& caller) const;

  // Throws AccessDenied in the words of the service unless the caller may do all that the request needs.
  void check(const Caller& caller, const aws::Operation& operation, const base::json::object& input,
             const http::RequestHead& head) const;
  // The same for one action of a request ("DeleteObject" of one of many keys).
  void check_s3(const Caller& caller, const aws::Operation& operation, const http::RequestHead& head,
                std::string_view action, std::string_view bucket, std::string_view key) const;
  // For what is no AWS operation: "millrace:Why".
  void check_own(const Caller& caller, const std::string& action) const;

  // Whether what is no role of the account may do nothing: asked for, or there are users, who could else give
  // jobs more rights than they have.
  bool is_strict() const;
  // The role that a job is to have, null for none. `arn` may be a name. Throws DeniedError in ECS's words
  // when ecs-tasks.amazonaws.com may not assume it, or when it is not there and that matters.
  std::shared_ptr<const iam::Entity> job_role(std::string_view arn) const;

  // Whether a job's execution role may read what `value_from` of a secret names. A role that the account does
  // not have may. Throws DeniedError with ECS's "ResourceInitializationError: …".
  void check_secret(std::string_view execution_role, std::string_view value_from) const;

  // What binds a caller; nothing for those who may do everything.
  std::optional<iam::Subject> subject_of(const Caller& caller) const;
  void add_caller_context(const Caller& caller, const iam::Subject& subject, iam::Context& context) const;

  struct Explanation {
    iam::Decision decision;
    bool unrestricted = false;
    std::string arn;
    // Every statement that was looked at, with what kept it from deciding (empty: nothing).
    struct Considered {
      std::string policy, statement, effect, mismatch;
    };
    std::vector<Considered> considered;
    std::vector<std::string> notes;
  };
  // `who`: an access key id, the name or ARN of a user or role. Throws NotFoundError when there is none such.
  Explanation explain(std::string_view who, const iam::Access& access) const;

 private:
  iam::Decision decide(const iam::Subject& subject, const iam::Access& access) const;
  [[noreturn]] void deny(const iam::Subject& subject, const iam::Access& access,
                         const iam::Decision& decision, aws::Dialect dialect) const;
  void require(const Caller& caller, const iam::Subject& subject, iam::Access access,
               const iam::Context& context, aws::Dialect dialect) const;
  std::optional<iam::NamedPolicy> resource_policy(const iam::Subject& subject,
                                                  const std::string& resource) const;
  AccessNames names_for(const Caller& caller) const;

  // The last policy read of each bucket, to be read once.
  struct Parsed {
    std::mutex mutex;
    std::map<std::string, std::pair<std::string, std::shared_ptr<const iam::Policy>>> by_bucket;
  };
  std::shared_ptr<Parsed> parsed_ = std::make_shared<Parsed>();

  AuthorizerOptions options_;
  const iam::Directory& directory_;
  const base::Clock& clock_;
};

aws::Dialect dialect_of(const aws::ServiceModel* service);

}  // namespace millrace::services
