#include "services/gateway.h"

#include <gtest/gtest.h>

#include <set>

#include "aws/protocol.h"
#include "http/client.h"
#include "secrets/secret_folder.h"
#include "services/event_outlet.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

constexpr base::TimeMs kHourMs = 3'600'000;

// Nothing is ever started here.
class Idle final : public engine::Performer {
 public:
  void perform(std::vector<engine::Effect>) override {}
};

// A whole server, as `millrace serve` makes it, but without an executor.
class GatewayTest : public ::testing::Test {
 protected:
  explicit GatewayTest(bool verify = true)
      : store_(folder_ / "state.db"),
        driver_(config(), store_, clock_),
        objects_(folder_ / "objects", clock_),
        log_store_(folder_ / "logs", clock_),
        batch_(driver_),
        s3_(objects_, {}),
        logs_(log_store_, clock_, "123456789012", "us-east-1"),
        outlet_(driver_, log_store_, objects_, clock_),
        hub_({}, folder_ / "events.db", clock_, outlet_),
        events_(hub_),
        scheduler_(hub_),
        events_admin_(hub_),
        secrets_(folder_ / "secrets", "", clock_, "us-east-1", "123456789012"),
        secrets_manager_(secrets_.secrets, "us-east-1"),
        ssm_(secrets_.parameters, secrets_.secrets),
        directory_(folder_ / "iam.db"),
        identities_(Identities::load_or_create(folder_ / "keys.json", &directory_)),
        authorizer_({{"us-east-1", "123456789012"}}, directory_, clock_),
        iam_("123456789012", directory_, authorizer_, clock_),
        sts_("123456789012", identities_, directory_, authorizer_, clock_),
        job_credentials_("us-east-1", "123456789012", identities_, authorizer_, clock_),
        audit_log_(folder_ / "audit.db", clock_),
        cloudtrail_(audit_log_, authorizer_, clock_, "123456789012", "us-east-1"),
        gateway_({verify, "us-east-1", "123456789012", 1}, identities_, authorizer_, clock_,
                 {batch_, s3_, logs_, events_, scheduler_, events_admin_, secrets_manager_, ssm_, iam_, sts_,
                  job_credentials_, cloudtrail_}) {
    driver_.start(idle_);
    hub_.start();
    objects_.create_bucket("bucket", "us-east-1");
    http::ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<http::Server>(options, gateway_);
  }
  ~GatewayTest() override {
    server_.reset();
    driver_.stop();
  }

  static engine::Config config() {
    engine::Config config;
    config.id_seed = "0123456789abcdef";
    return config;
  }

  // One operation of each protocol that every key may call, and how to reach none.
  struct Service {
    const char *name, *method, *path, *body;
    const char* target;  // X-Amz-Target
  };
  static constexpr Service kBatch{"batch", "POST", "/v1/describejobqueues", "{}", ""};
  static constexpr Service kLogs{"logs", "POST", "/", "{}", "Logs_20140328.DescribeLogGroups"};
  static constexpr Service kSts{"sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", ""};
  static constexpr Service kS3{"s3", "GET", "/bucket", "", ""};
  static constexpr Service kS3Upload{"s3", "PUT", "/bucket/key", "content", ""};
  static constexpr Service kAll[] = {kBatch, kLogs, kSts, kS3, kS3Upload};

  http::ClientRequest request(const Service& service) const {
    http::ClientRequest request;
    request.method = service.method;
    request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + service.path;
    request.body = service.body;
    if (*service.target) request.headers.add("X-Amz-Target", service.target);
    return request;
  }
  http::ClientResponse send(http::ClientRequest request) {
    http::ClientResponse response = client_.send(std::move(request));
    check_request_id(response);
    return response;
  }
  http::ClientResponse call(const Service& service, const aws::Credentials& keys,
                            const std::string& region = "us-east-1") {
    http::ClientRequest made = request(service);
    aws::sign(made, keys, region, service.name, clock_.now_ms());
    return send(std::move(made));
  }

  // Every answer names itself in a header, and never as another did.
  void check_request_id(const http::ClientResponse& response) {
    std::string_view id = response.headers.get("x-amzn-requestid");
    if (id.empty()) id = response.headers.get("x-amz-request-id");
    EXPECT_EQ(id.size(), 36u) << response.status << " " << response.body;
    EXPECT_TRUE(request_ids_.insert(std::string(id)).second) << id << " twice";
    if (response.body.find("RequestId>") != std::string::npos) {
      EXPECT_NE(response.body.find("<RequestId>" + std::string(id)), std::string::npos) << response.body;
    }
  }

  // "403 SignatureDoesNotMatch", wherever the protocol has the code; "200" when it is none.
  static std::string outcome(const http::ClientResponse& response) {
    std::string status = std::to_string(response.status);
    if (response.status < 300) return status;
    if (std::string_view type = response.headers.get("x-amzn-errortype"); !type.empty())
      return status + " " + std::string(type.substr(0, type.find(':')));
    for (auto [before, after] : {std::pair{"<Code>", "</Code>"}, {"\"__type\":\"", "\""}}) {
      size_t from = response.body.find(before);
      if (from == std::string::npos) continue;
      from += std::string_view(before).size();
      return status + " " + response.body.substr(from, response.body.find(after, from) - from);
    }
    return status + " without a code: " + response.body;
  }

  millrace::testing::TemporaryFolder folder_;
  base::SystemClock clock_;
  Idle idle_;
  engine::Store store_;
  engine::Driver driver_;
  objects::DirectoryStore objects_;
  logs::LogStore log_store_;
  BatchService batch_;
  S3Service s3_;
  LogsService logs_;
  EventOutlet outlet_;
  events::Hub hub_;
  EventsService events_;
  SchedulerService scheduler_;
  EventsAdmin events_admin_;
  secrets::SecretFolder secrets_;
  SecretsManagerService secrets_manager_;
  SsmService ssm_;
  iam::Directory directory_;
  Identities identities_;
  Authorizer authorizer_;
  IamService iam_;
  StsService sts_;
  JobCredentials job_credentials_;
  audit::AuditLog audit_log_;
  CloudTrailService cloudtrail_;
  Gateway gateway_;
  std::unique_ptr<http::Server> server_;
  http::Client client_{4};
  std::set<std::string> request_ids_;
};

class OpenGatewayTest : public GatewayTest {
 protected:
  OpenGatewayTest() : GatewayTest(false) {}
};

// Without this: a client cannot tell a wrong key from a broken server, in one protocol or the other.
TEST_F(GatewayTest, OnlyKnownKeysAreAnswered) {
  aws::Credentials unknown{"AKIAIOSFODNN7EXAMPLE", identities_.root().secret_access_key, "", {}};
  aws::Credentials wrong = identities_.root();
  wrong.secret_access_key.back() = wrong.secret_access_key.back() == 'a' ? 'b' : 'a';
  struct {
    Service service;
    const char *unknown, *wrong, *nobody, *region;
  } table[] = {
      {kBatch, "403 UnrecognizedClientException", "403 InvalidSignatureException",
       "403 MissingAuthenticationTokenException", "403 InvalidSignatureException"},
      {kLogs, "400 UnrecognizedClientException", "400 InvalidSignatureException",
       "400 MissingAuthenticationTokenException", "400 InvalidSignatureException"},
      {kSts, "403 InvalidClientTokenId", "403 SignatureDoesNotMatch", "403 MissingAuthenticationToken",
       "403 SignatureDoesNotMatch"},
      {kS3, "403 InvalidAccessKeyId", "403 SignatureDoesNotMatch", "403 AccessDenied",
       "400 AuthorizationHeaderMalformed"},
      {kS3Upload, "403 InvalidAccessKeyId", "403 SignatureDoesNotMatch", "403 AccessDenied",
       "400 AuthorizationHeaderMalformed"},
  };
  for (const auto& each : table) {
    SCOPED_TRACE(std::string(each.service.name) + " " + each.service.method);
    EXPECT_EQ(outcome(call(each.service, identities_.root())), "200");
    EXPECT_EQ(outcome(call(each.service, unknown)), each.unknown);
    EXPECT_EQ(outcome(call(each.service, wrong)), each.wrong);
    EXPECT_EQ(outcome(call(each.service, identities_.root(), "eu-west-1")), each.region);
    EXPECT_EQ(outcome(send(request(each.service))), each.nobody);
  }
}

// Without this: a body that was not signed is taken, in the protocols whose digest is in no header.
TEST_F(GatewayTest, TheBodyIsPartOfWhatWasSigned) {
  for (const Service& service : {kBatch, kLogs, kSts, kS3Upload}) {
    http::ClientRequest made = request(service);
    aws::sign(made, identities_.root(), "us-east-1", service.name, clock_.now_ms());
    made.body += " ";
    std::string got = outcome(send(std::move(made)));
    EXPECT_TRUE(got == "403 InvalidSignatureException" || got == "400 InvalidSignatureException" ||
                got == "403 SignatureDoesNotMatch" || got == "400 XAmzContentSHA256Mismatch")
        << service.name << " " << got;
  }
  EXPECT_EQ(outcome(call({"s3", "GET", "/bucket/key", "", ""}, identities_.root())), "404 NoSuchKey");
}

// Without this: a job cannot use the APIs of its engine, or goes on using them when its time is over.
TEST_F(GatewayTest, JobsCallWithKeysOfTheirOwn) {
  const std::string job = "11111111-2222-4333-8444-555555555555";
  auto keys_of = [&](const std::string& name, base::TimeMs expires) {
    Session session;
    session.name = name;
    session.attempt = 7;
    session.unrestricted = true;
    session.expires = expires;
    return identities_.issue(session);
  };
  identities_.attempt_lives(7);
  aws::Credentials keys = keys_of(job, clock_.now_ms() + kHourMs);
  aws::Credentials expired = keys_of(job, clock_.now_ms() - 1);
  aws::Credentials borrowed = keys;
  borrowed.session_token = keys_of("another", clock_.now_ms() + kHourMs).session_token;
  aws::Credentials without = keys;
  without.session_token.clear();
  struct {
    Service service;
    const char *expired, *borrowed, *without;
  } table[] = {
      {kBatch, "403 ExpiredTokenException", "403 UnrecognizedClientException",
       "403 UnrecognizedClientException"},
      {kLogs, "400 ExpiredTokenException", "400 UnrecognizedClientException",
       "400 UnrecognizedClientException"},
      {kSts, "403 ExpiredToken", "403 InvalidClientTokenId", "403 InvalidClientTokenId"},
      {kS3, "400 ExpiredToken", "400 InvalidToken", "403 InvalidAccessKeyId"},
      {kS3Upload, "400 ExpiredToken", "400 InvalidToken", "403 InvalidAccessKeyId"},
  };
  for (const auto& each : table) {
    SCOPED_TRACE(std::string(each.service.name) + " " + each.service.method);
    EXPECT_EQ(outcome(call(each.service, keys)), "200");
    EXPECT_EQ(outcome(call(each.service, expired)), each.expired);
    EXPECT_EQ(outcome(call(each.service, borrowed)), each.borrowed);
    EXPECT_EQ(outcome(call(each.service, without)), each.without);
  }
  std::string body = call(kSts, keys).body;
  EXPECT_NE(body.find("assumed-role/millrace-job/" + job + "</Arn>"), std::string::npos) << body;
  body = call(kSts, identities_.root()).body;
  EXPECT_NE(body.find("arn:aws:iam::123456789012:root</Arn>"), std::string::npos) << body;

  http::ClientRequest presigned;
  presigned.url = aws::presign("GET", request({"s3", "GET", "/bucket/key", "", ""}).url, keys, "us-east-1",
                               "s3", clock_.now_ms(), 60);
  EXPECT_EQ(send(presigned).body, "content") << "the token may stand in the query";
}

// Without this: an operation that does not exist, or not yet, looks like a success or like a broken server.
TEST_F(GatewayTest, UnknownOperationsAndServices) {
  struct {
    Service service;
    const char* expected;
  } table[] = {
      {{"batch", "POST", "/v1/nonsense", "{}", ""}, "404 UnknownOperationException"},
      {{"batch", "GET", "/v1/submitjob", "", ""}, "404 UnknownOperationException"},
      {{"logs", "POST", "/", "{}", "Logs_20140328.Nonsense"}, "400 UnknownOperationException"},
      {{"logs", "POST", "/", "{}", "Other_20140328.DescribeLogGroups"}, "400 UnknownOperationException"},
      {{"logs", "POST", "/", "{}", ""}, "400 UnknownOperationException"},
      {{"sts", "POST", "/", "Action=Nonsense&Version=2011-06-15", ""}, "400 InvalidAction"},
      {{"sts", "POST", "/", "Version=2011-06-15", ""}, "400 MissingAction"},
      {{"s3", "PATCH", "/bucket/key", "", ""}, "405 MethodNotAllowed"},
      {{"teapot", "POST", "/", "{}", ""}, "404 UnknownOperationException"},
  };
  for (const auto& each : table) {
    SCOPED_TRACE(std::string(each.service.name) + " " + each.service.method + " " + each.service.path + " " +
                 each.service.body + each.service.target);
    EXPECT_EQ(outcome(call(each.service, identities_.root())), each.expected);
    std::string unsigned_outcome = outcome(send(request(each.service)));
    EXPECT_TRUE(unsigned_outcome.find("MissingAuthenticationToken") != std::string::npos ||
                unsigned_outcome == "403 AccessDenied")
        << "strangers learn nothing: " << unsigned_outcome;
  }
}

// Without this: an operation of the tables that is not written yet crashes, or answers nothing.
TEST_F(GatewayTest, WhatIsNotImplementedIsSaidSo) {
  int refused = 0;
  for (const aws::Operation& operation : aws::find_service("logs")->operations) {
    if (Gateway::implements(operation)) continue;
    std::string target = "Logs_20140328." + std::string(operation.name);
    EXPECT_EQ(outcome(call({"logs", "POST", "/", "{}", target.c_str()}, identities_.root())),
              "501 NotImplemented")
        << operation.name;
    ++refused;
  }
  EXPECT_GT(refused, 0);
}

// Without this: a load balancer's probe needs keys.
TEST_F(GatewayTest, HealthIsAnsweredToAnybody) {
  http::ClientResponse response = client_.send(request({"", "GET", "/healthz", "", ""}));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ok\n");
}

// Without this: with --auth none any web page that somebody on this machine opens could submit jobs.
TEST_F(OpenGatewayTest, WithoutSignaturesNoWebPageIsAnswered) {
  std::string port = std::to_string(server_->port());
  auto with = [&](const Service& service, const char* name, const std::string& value) {
    http::ClientRequest made = request(service);
    made.headers.set(name, value);
    return outcome(send(std::move(made)));
  };
  for (const Service& service : kAll) {
    SCOPED_TRACE(std::string(service.name) + " " + service.method);
    for (const std::string& host :
         {"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port, std::string("localhost")})
      EXPECT_EQ(with(service, "Host", host), "200") << host;
    for (const std::string& origin :
         {"http://localhost:" + port, "http://127.0.0.1:" + port, std::string("https://[::1]")})
      EXPECT_EQ(with(service, "Origin", origin), "200") << origin;
    for (const char* host :
         {"evil.example", "evil.example:4600", "127.0.0.1.evil.example", "localhost.evil.example",
          "192.168.1.7:4600", "[::2]:4600", "evil.example:127.0.0.1"})
      EXPECT_EQ(with(service, "Host", host).substr(0, 16), "403 AccessDenied") << host;
    for (const char* origin :
         {"https://evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "null",
          "file://", "localhost", "http://evil.example:80#://localhost"})
      EXPECT_EQ(with(service, "Origin", origin).substr(0, 16), "403 AccessDenied") << origin;
  }
}

// Without this: --auth none still needs keys, or a signature by a forgotten key is refused.
TEST_F(OpenGatewayTest, WithoutSignaturesAnyKeyWillDo) {
  aws::Credentials any{"test", "test", "token", {}};
  for (const Service& service : kAll) {
    SCOPED_TRACE(std::string(service.name) + " " + service.method);
    EXPECT_EQ(outcome(send(request(service))), "200");
    EXPECT_EQ(outcome(call(service, any)), "200");
    EXPECT_EQ(outcome(call(service, any, "eu-west-1")), "200");
  }
  EXPECT_EQ(send(request({"s3", "GET", "/bucket/key", "", ""})).body, "content");
  EXPECT_EQ(outcome(call({"teapot", "POST", "/", "{}", ""}, any)), "404 UnknownOperationException");
}

}  // namespace
}  // namespace millrace::services
