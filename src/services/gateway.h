// The front of every API: who calls, whom, is it allowed, is it well-formed; then the service.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/model.h"
#include "aws/sigv4.h"
#include "base/time.h"
#include "base/worker_pool.h"
#include "http/server.h"
#include "services/authorizer.h"
#include "services/batch.h"
#include "services/caller.h"
#include "services/cloudtrail.h"
#include "services/events.h"
#include "services/events_admin.h"
#include "services/iam.h"
#include "services/identities.h"
#include "services/job_credentials.h"
#include "services/logs.h"
#include "services/s3.h"
#include "services/scheduler.h"
#include "services/secretsmanager.h"
#include "services/ssm.h"
#include "services/sts.h"

namespace millrace::services {

struct GatewayOptions {
  bool verify_signatures = true;  // false: `--auth none`
  std::string region = "us-east-1";
  std::string account = "123456789012";
  unsigned workers = 4;  // threads for log queries
};

// Who answers.
struct GatewayServices {
  BatchService& batch;
  S3Service& s3;
  LogsService& logs;
  EventsService& events;
  SchedulerService& scheduler;
  EventsAdmin& events_admin;
  SecretsManagerService& secrets_manager;
  SsmService& ssm;
  IamService& iam;
  StsService& sts;
  JobCredentials& job_credentials;
  CloudTrailService& cloudtrail;
};

// Thread-safe. Everything passed in outlives it.
class Gateway final : public http::RequestHandler {
 public:
  Gateway(GatewayOptions options, const Identities& identities, const Authorizer& authorizer,
          const base::Clock& clock, const GatewayServices& services);

  std::unique_ptr<http::BodySink> open(const http::RequestHead& head) override;
  void handle(http::Request request, http::Respond respond) override;
  http::Response failed(const http::RequestHead& head, std::exception_ptr error) override;

  // True when this version answers the operation.
  static bool implements(const aws::Operation& operation);

 private:
  struct Signed {
    aws::Claim claim;
    Caller caller;
  };
  const aws::ServiceModel* service_of(const http::RequestHead& head) const;
  // Throws ApiError unless the request is signed by a known key. `body` is null when it is yet to come.
  Signed authenticate(const http::RequestHead& head, const aws::ServiceModel* service,
                      const std::string* body);
  // The same for a POST form, whose policy is signed (S3 API reference, "Browser-based uploads using POST").
  SigningContext authenticate_form(const http::RequestHead& head, const FormFields& fields);
  // Throws AccessDenied unless the caller may; `operation` outlives the context.
  SigningContext authorized(const Signed& by, const aws::Operation& operation, const http::RequestHead& head,
                            const std::string& body);
  template <typename Check>
  auto recorded(const Signed& by, const aws::Operation& operation, const http::RequestHead& head,
                const Check& check);
  void call(const aws::ServiceModel& service, http::Request request, http::Respond respond);
  void answer_metrics(const http::Request& request, http::Respond respond);
  // What Millrace's own commands ask: POST /events/OPERATION, /jobs/why or /iam/explain, signed for the
  // service "millrace".
  void call_own(const http::Request& request, http::Respond respond);

  GatewayOptions options_;
  const Identities& identities_;
  const Authorizer& authorizer_;
  const base::Clock& clock_;
  GatewayServices to_;
  aws::Verifier verifier_;
  base::WorkerPool workers_;
};

}  // namespace millrace::services
