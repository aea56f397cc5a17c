#include "services/gateway.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "aws/protocol.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::services {
namespace {

namespace json = base::json;

bool is_s3(const aws::ServiceModel* service) { return service && service->signing_name == "s3"; }

http::Response plain(int status, std::string text) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain");
  response.body = std::move(text);
  return response;
}

http::Response reply_of(const aws::Operation& operation, json::object output, const std::string& request_id) {
  return aws::encode(operation, std::move(output), request_id);
}
http::Response reply_of(const aws::Operation&, http::Response response, const std::string&) {
  return response;
}

aws::ApiError not_implemented(const aws::Operation& operation) {
  return {501, "NotImplemented",
          std::string(operation.name) + " of " + std::string(operation.service->service_id) +
              " is not supported by this version of Millrace."};
}

std::string_view host_of(std::string_view authority) {
  if (!authority.empty() && authority.front() == '[') return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

// Without signatures, any page in a browser on this machine could submit jobs: by a plain form post, or after
// its name was made to resolve to this machine. Browsers tell both by Origin and Host.
void refuse_web_pages(const http::RequestHead& head) {
  std::string_view origin = head.headers.get("origin");
  size_t scheme = origin.find("://");
  bool foreign = !origin.empty() && (scheme == std::string_view::npos ||
                                     !base::is_loopback_host(host_of(origin.substr(scheme + 3))));
  if (foreign || !base::is_loopback_host(host_of(head.headers.get("host"))))
    throw aws::ApiError(403, "AccessDeniedException",
                        "Without authentication only programs on this machine are answered, which name it "
                        "localhost or 127.0.0.1.");
}

}  // namespace

Gateway::Gateway(GatewayOptions options, const Identities& identities, const Authorizer& authorizer,
                 const base::Clock& clock, const GatewayServices& services)
    : options_(std::move(options)),
      identities_(identities),
      authorizer_(authorizer),
      clock_(clock),
      to_(services),
      workers_(options_.workers) {}

bool Gateway::implements(const aws::Operation& operation) {
  std::string_view service = operation.service->signing_name;
  if (service == "batch") return BatchService::implements(operation.name);
  if (service == "logs") return LogsService::implements(operation.name);
  if (service == "s3") return S3Service::is_implemented(operation);
  if (service == "events") return EventsService::implements(operation.name);
  if (service == "scheduler") return SchedulerService::implements(operation.name);
  if (service == "cloudtrail") return CloudTrailService::implements(operation.name);
  if (service == "secretsmanager") return SecretsManagerService::implements(operation.name);
  if (service == "ssm") return SsmService::implements(operation.name);
  if (service == "iam") return IamService::implements(operation.name);
  if (service == "sts") return StsService::implements(operation.name);
  return false;
}

// The credential scope names the service; what is not signed is told by its form.
const aws::ServiceModel* Gateway::service_of(const http::RequestHead& head) const {
  if (std::string scope = aws::claimed_service(head); !scope.empty()) return aws::find_service(scope);
  if (std::string_view target = head.headers.get("x-amz-target"); !target.empty())
    return aws::find_service_by_target(target);
  if (head.path.substr(0, 4) == "/v1/" && head.method == "POST") return aws::find_service("batch");
  if (head.method == "POST" && head.path == "/") return aws::find_service("sts");
  return aws::find_service("s3");
}

Gateway::Signed Gateway::authenticate(const http::RequestHead& head, const aws::ServiceModel* service,
                                      const std::string* body) {
  aws::Dialect dialect = dialect_of(service);
  Signed by;
  std::optional<aws::Claim> claim = aws::parse_claim(head, dialect);
  if (!options_.verify_signatures) {
    refuse_web_pages(head);
    if (claim) by.claim = std::move(*claim);
    // Nothing that was signed is checked, the body's digest neither; but the framing of a streamed body
    // counts.
    if (by.claim.payload_hash.substr(0, 9) != "STREAMING") by.claim.payload_hash.clear();
    by.caller.access_key = identities_.root().access_key_id;
    return by;
  }
  if (!claim) {
    // Bucket policies may speak of anybody; the rest is for those who sign.
    if (is_s3(service)) return by;
    throw aws::auth_error(aws::AuthProblem::kMissing, dialect);
  }
  aws::check_region(*claim, options_.region);
  std::optional<Caller> known =
      identities_.find(claim->access_key, claim->session_token, clock_.now_ms(), dialect);
  if (!known) throw aws::auth_error(aws::AuthProblem::kUnknownKey, dialect);
  std::string digest;
  std::optional<std::string_view> body_sha256;
  if (body && claim->signs_body()) {
    digest = base::sha256_hex(*body);
    body_sha256 = digest;
  }
  verifier_.verify(*claim, head, body_sha256, known->secret, clock_.now_ms());
  by.claim = std::move(*claim);
  by.caller = std::move(*known);
  return by;
}

SigningContext Gateway::authenticate_form(const http::RequestHead& head, const FormFields& fields) {
  SigningContext context;
  context.request_id = base::uuid4();
  context.principal = options_.account;
  static const aws::Operation* const put = aws::find_operation(*aws::find_service("s3"), "PutObject");
  if (!options_.verify_signatures) {
    refuse_web_pages(head);
    return context;
  }
  auto field = [&](std::string_view name) {
    auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; });
    return found == fields.end() ? std::string() : found->second;
  };
  std::string policy = field("policy"), signature = field("x-amz-signature");
  if (policy.empty() || signature.empty())
    throw aws::auth_error(aws::AuthProblem::kMissing, aws::Dialect::kS3);
  if (field("x-amz-algorithm") != "AWS4-HMAC-SHA256")
    throw aws::auth_error(aws::AuthProblem::kUnsupportedMechanism, aws::Dialect::kS3);
  std::string credential = field("x-amz-credential");
  std::vector<std::string_view> scope = base::split(credential, '/');
  std::string date = field("x-amz-date");
  if (scope.size() != 5 || scope[3] != "s3" || scope[4] != "aws4_request" || !date.starts_with(scope[1]))
    throw aws::auth_error(aws::AuthProblem::kMalformedQuery, aws::Dialect::kS3,
                          "Error parsing the X-Amz-Credential field of the form");
  aws::Claim claim;
  claim.access_key = scope[0];
  claim.day = scope[1];
  claim.region = scope[2];
  claim.service = scope[3];
  claim.session_token = field("x-amz-security-token");
  aws::check_region(claim, options_.region);
  std::optional<Caller> known =
      identities_.find(claim.access_key, claim.session_token, clock_.now_ms(), aws::Dialect::kS3);
  if (!known) throw aws::auth_error(aws::AuthProblem::kUnknownKey, aws::Dialect::kS3);
  std::string expected = aws::signature_of(verifier_.signing_key(claim, known->secret), policy);
  if (!base::equal_in_constant_time(expected, signature))
    throw aws::auth_error(aws::AuthProblem::kSignatureMismatch, aws::Dialect::kS3);
  context.principal = authorizer_.identity_of(*known).name;
  context.require = [this, caller = *known, head](std::string_view action, std::string_view bucket,
                                                  std::string_view key) {
    authorizer_.check_s3(caller, *put, head, action, bucket, key);
  };
  return context;
}

SigningContext Gateway::authorized(const Signed& by, const aws::Operation& operation,
                                   const http::RequestHead& head, const std::string& body) {
  const Caller& caller = by.caller;
  SigningContext context;
  context.claim = by.claim;
  if (options_.verify_signatures && !caller.anonymous())
    context.key = verifier_.signing_key(by.claim, caller.secret);
  context.principal = caller.anonymous() ? "Anonymous" : authorizer_.identity_of(caller).name;
  context.request_id = base::uuid4();
  if (caller.unrestricted()) return context;
  authorizer_.check(caller, operation, aws::decode(operation, head, body), head);
  context.require = [this, caller, &operation, head](std::string_view action, std::string_view bucket,
                                                     std::string_view key) {
    authorizer_.check_s3(caller, operation, head, action, bucket, key);
  };
  return context;
}

std::unique_ptr<http::BodySink> Gateway::open(const http::RequestHead& head) {
  const aws::ServiceModel* service = service_of(head);
  if (!is_s3(service)) return nullptr;
  if (auto form = to_.s3.open_form(
          head, clock_, [this, head](const FormFields& fields) { return authenticate_form(head, fields); }))
    return form;
  const aws::Operation* operation = aws::route(*service, head, "");
  if (!operation || !S3Service::is_streamed(*operation)) return nullptr;
  Signed by = authenticate(head, service, nullptr);
  return to_.s3.open(*operation, head, authorized(by, *operation, head, ""));
}

void Gateway::handle(http::Request request, http::Respond respond) {
  if (request.head.path == "/healthz") return respond(plain(200, "ok\n"));
  if (request.head.path == "/metrics") return answer_metrics(request, std::move(respond));
  if (auto of_job = to_.job_credentials.answer(request.head)) return respond(std::move(*of_job));
  const aws::ServiceModel* service = service_of(request.head);
  if (!service) {
    Signed by = authenticate(request.head, nullptr, &request.body);
    if (aws::claimed_service(request.head) == "millrace") {
      authorizer_.check_own(by.caller, "millrace:" + request.head.path);
      return call_own(request, std::move(respond));
    }
    throw aws::ApiError(404, "UnknownOperationException",
                        "Millrace has no service '" + aws::claimed_service(request.head) + "'.");
  }
  call(*service, std::move(request), std::move(respond));
}

// Prometheus cannot sign, so only this machine is answered.
void Gateway::answer_metrics(const http::Request& request, http::Respond respond) {
  const std::string_view peer = request.head.peer;
  refuse_web_pages(request.head);
  if (!base::is_loopback_host(host_of(peer)))
    return respond(plain(403, "Metrics are for programs on this machine.\n"));
  auto shared = std::make_shared<http::Respond>(std::move(respond));
  to_.events_admin.metrics([shared](std::string text, std::exception_ptr error) {
    http::Response response =
        plain(error ? 503 : 200, error ? "The counts cannot be read now.\n" : std::move(text));
    response.headers.set("Content-Type", "text/plain; version=0.0.4");
    (*shared)(std::move(response));
  });
}

void Gateway::call_own(const http::Request& request, http::Respond respond) {
  constexpr std::string_view kEvents = "/events/", kWhy = "/jobs/why", kExplain = "/iam/explain";
  std::string_view path = request.head.path;
  if ((!path.starts_with(kEvents) && path != kWhy && path != kExplain) || request.head.method != "POST")
    throw aws::ApiError(404, "UnknownOperationException",
                        "Millrace has nothing at " + request.head.path + ".");
  json::value input = base::parse_json(request.body.empty() ? "{}" : request.body);
  if (!input.is_object())
    throw aws::ApiError(400, "SerializationException", "The request is not a JSON object.");
  auto shared = std::make_shared<http::Respond>(std::move(respond));
  auto answer = [shared](const json::object& output, std::exception_ptr error) {
    http::Response response;
    response.headers.add("Content-Type", "application/json");
    response.headers.add("x-amzn-requestid", base::uuid4());
    if (!error) {
      response.body = json::serialize(output);
      return (*shared)(std::move(response));
    }
    try {
      std::rethrow_exception(error);
    } catch (const aws::ApiError& e) {
      response = aws::encode_error(nullptr, e, base::uuid4());
    } catch (const std::exception& e) {
      response = aws::encode_error(nullptr, {500, "InternalFailure", e.what()}, base::uuid4());
    }
    (*shared)(std::move(response));
  };
  if (path == kExplain) {
    json::object output;
    std::exception_ptr error;
    try {
      output = to_.iam.explain(input.as_object());
    } catch (...) {
      error = std::current_exception();
    }
    return answer(output, error);
  }
  if (path != kWhy)
    return to_.events_admin.call(path.substr(kEvents.size()), std::move(input.as_object()), answer);
  to_.batch.explain(
      std::move(input.as_object()), [answer](std::variant<json::object, engine::Refusal> reply) {
        if (const auto* output = std::get_if<json::object>(&reply)) return answer(*output, nullptr);
        const auto& refusal = std::get<engine::Refusal>(reply);
        answer({}, std::make_exception_ptr(aws::ApiError(refusal.status, refusal.code, refusal.message)));
      });
}

// What `check` gives; a refusal is recorded.
template <typename Check>
auto Gateway::recorded(const Signed& by, const aws::Operation& operation, const http::RequestHead& head,
                       const Check& check) {
  try {
    return check();
  } catch (const aws::ApiError& error) {
    if (CloudTrailService::is_recorded(operation))
      to_.cloudtrail.refused(operation, head, by.caller, error.code(), error.what());
    throw;
  }
}

void Gateway::call(const aws::ServiceModel& service, http::Request request, http::Respond respond) {
  Signed by = authenticate(request.head, &service, &request.body);
  const aws::Operation* operation = aws::route(service, request.head, request.body);
  if (!operation && by.caller.anonymous())
    throw aws::auth_error(aws::AuthProblem::kMissing, dialect_of(&service));
  if (!operation) throw aws::unknown_operation(service, request.head, request.body);
  if (is_s3(&service)) {
    SigningContext context = recorded(by, *operation, request.head,
                                      [&] { return authorized(by, *operation, request.head, request.body); });
    if (CloudTrailService::is_recorded(*operation))
      respond = to_.cloudtrail.watch(*operation, request.head, by.caller, {}, context.request_id,
                                     std::move(respond));
    return to_.s3.handle(*operation, std::move(request), context, std::move(respond));
  }
  if (!implements(*operation)) throw not_implemented(*operation);
  std::string request_id = base::uuid4();
  json::object input = recorded(by, *operation, request.head, [&] {
    json::object decoded = aws::decode(*operation, request.head, request.body);
    if (service.signing_name == "secretsmanager" || service.signing_name == "ssm")
      secrets::wipe(request.body);
    authorizer_.check(by.caller, *operation, decoded, request.head);
    return decoded;
  });
  if (CloudTrailService::is_recorded(*operation))
    respond =
        to_.cloudtrail.watch(*operation, request.head, by.caller, input, request_id, std::move(respond));

  // Answers with what `produce` gives, or with the error it throws.
  auto answer = [operation, request_id](http::Respond& to, const auto& produce) {
    try {
      to(reply_of(*operation, produce(), request_id));
    } catch (const aws::ApiError& error) {
      to(aws::encode_error(operation->service, error, request_id));
    } catch (const std::exception& error) {
      spdlog::error("{}: {}", operation->name, error.what());
      to(aws::encode_error(operation->service, {500, "InternalFailure", error.what()}, request_id));
    }
  };
  if (service.signing_name == "batch") {
    return to_.batch.call(
        *operation, std::move(input),
        [answer, respond = std::move(respond)](std::variant<json::object, engine::Refusal> reply) mutable {
          answer(respond, [&] {
            if (auto* refusal = std::get_if<engine::Refusal>(&reply))
              throw aws::ApiError(refusal->status, refusal->code, refusal->message);
            return std::get<json::object>(std::move(reply));
          });
        });
  }
  if (service.signing_name == "cloudtrail") {
    return workers_.post(
        [this, answer, operation, input = std::move(input), respond = std::move(respond)]() mutable {
          answer(respond, [&] { return to_.cloudtrail.call(*operation, input); });
        });
  }
  if (service.signing_name == "logs") {
    return workers_.post([this, answer, operation, request_id, input = std::move(input),
                          respond = std::move(respond)]() mutable {
      if (LogsService::is_live(operation->name))
        return answer(respond, [&] { return to_.logs.stream(*operation, input, request_id); });
      answer(respond, [&] { return to_.logs.call(*operation, input); });
    });
  }
  const bool replies_later = service.signing_name == "events" || service.signing_name == "scheduler" ||
                             service.signing_name == "secretsmanager" || service.signing_name == "ssm";
  if (replies_later) {
    auto reply = [answer, respond = std::make_shared<http::Respond>(std::move(respond))](
                     json::object output, std::exception_ptr error) {
      answer(*respond, [&] {
        if (error) std::rethrow_exception(error);
        return std::move(output);
      });
    };
    if (service.signing_name == "secretsmanager")
      return to_.secrets_manager.call(*operation, std::move(input), std::move(reply));
    if (service.signing_name == "ssm")
      return to_.ssm.call(*operation, std::move(input), authorizer_.identity_of(by.caller).name,
                          std::move(reply));
    if (service.signing_name == "events")
      return to_.events.call(*operation, std::move(input), std::move(reply));
    return to_.scheduler.call(*operation, std::move(input), std::move(reply));
  }
  // Commits to disk: not in the thread of the connections.
  if (service.signing_name == "iam")
    return workers_.post([this, answer, operation, input = std::move(input), caller = std::move(by.caller),
                          respond = std::move(respond)]() mutable {
      answer(respond, [&] { return to_.iam.call(*operation, input, caller); });
    });
  answer(respond, [&] { return to_.sts.call(*operation, input, request.head, by.caller); });
}

http::Response Gateway::failed(const http::RequestHead& head, std::exception_ptr error) {
  std::string request_id = base::uuid4();
  const aws::ServiceModel* service = service_of(head);
  if (is_s3(service)) return S3Service::failed(head, error, request_id);
  try {
    std::rethrow_exception(error);
  } catch (const aws::ApiError& e) {
    return aws::encode_error(service, e, request_id);
  } catch (const base::Error& e) {
    int status = e.kind() == base::ErrorKind::kUsage || e.kind() == base::ErrorKind::kCorrupt ? 400 : 500;
    return aws::encode_error(service, {status, status == 400 ? "BadRequest" : "InternalFailure", e.what()},
                             request_id);
  } catch (const std::exception& e) {
    spdlog::error("{} {}: {}", head.method, head.path, e.what());
    return aws::encode_error(service, {500, "InternalFailure", e.what()}, request_id);
  }
}

}  // namespace millrace::services
