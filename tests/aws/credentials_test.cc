#include "aws/credentials.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <mutex>

#include "aws/config_files.h"
#include "base/error.h"
#include "http/client.h"
#include "http/server.h"
#include "tests/support/temporary_folder.h"

namespace millrace::aws {
namespace {

// Answers "METHOD path" (and for STS "Action") from a table, and remembers what it was asked.
class Metadata : public http::RequestHandler {
 public:
  Metadata() {
    http::ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<http::Server>(options, *this);
  }
  ~Metadata() override { server_.reset(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  std::map<std::string, std::pair<int, std::string>> answers;
  std::vector<http::Request> asked;

  std::unique_ptr<http::BodySink> open(const http::RequestHead&) override { return nullptr; }
  void handle(http::Request request, http::Respond respond) override {
    std::string name = request.head.method + " " + request.head.path;
    if (request.body.starts_with("Action=")) name = request.body.substr(7, request.body.find('&') - 7);
    http::Response response;
    std::lock_guard lock(mutex_);
    auto found = answers.find(name);
    response.status = found == answers.end() ? 404 : found->second.first;
    response.body = found == answers.end() ? "" : found->second.second;
    asked.push_back(std::move(request));
    respond(std::move(response));
  }
  http::Response failed(const http::RequestHead&, std::exception_ptr) override { return {}; }

 private:
  std::mutex mutex_;
  std::unique_ptr<http::Server> server_;
};

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() { variables_ = {{"HOME", folder_ / ""}, {"AWS_EC2_METADATA_DISABLED", "true"}}; }
  void file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    if (name == "credentials") variables_["AWS_SHARED_CREDENTIALS_FILE"] = folder_ / name;
    if (name == "config") variables_["AWS_CONFIG_FILE"] = folder_ / name;
  }
  Environment environment() {
    return [this](const char* name) -> std::optional<std::string> {
      auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
  }
  std::unique_ptr<CredentialsProvider> provider(const std::string& profile = "") {
    return default_credentials(environment(), clock_, client_, profile);
  }
  std::string key(const std::string& profile = "") { return provider(profile)->get().access_key_id; }
  std::string document(const std::string& name, const std::string& expires = "2026-11-21T20:00:00Z") {
    return R"({"AccessKeyId":")" + name + R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + expires +
           "\"}";
  }
  std::string sts(const std::string& action, const std::string& name) {
    return "<" + action + "Response><" + action + "Result><Credentials><AccessKeyId>" + name +
           "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
           "<Expiration>2026-11-21T20:00:00Z</Expiration></Credentials></" +
           action + "Result></" + action + "Response>";
  }

  testing::TemporaryFolder folder_;
  std::map<std::string, std::string> variables_;
  base::ManualClock clock_{1'795'280'400'000};  // 2026-11-21T17:00:00Z
  std::shared_ptr<http::Client> client_ = std::make_shared<http::Client>(4);
  Metadata server_;
};

TEST_F(CredentialsTest, TheFirstPlaceThatHasSomeWins) {
  // Without this a job runs as somebody else than the CLI on the same machine.
  EXPECT_THROW(key(), base::DeniedError);
  file("config",
       "[default]\naws_access_key_id = CONFIG\naws_secret_access_key=s\n"
       "[profile other]\naws_access_key_id=OTHER\naws_secret_access_key=s # why\n");
  EXPECT_EQ(key(), "CONFIG");
  file("credentials", "# mine\n[default]\naws_access_key_id=SHARED\naws_secret_access_key=s\n");
  EXPECT_EQ(key(), "SHARED");
  variables_["AWS_PROFILE"] = "other";
  EXPECT_EQ(key(), "OTHER");
  variables_["AWS_ACCESS_KEY_ID"] = "ENVIRONMENT";
  EXPECT_THROW(key(), base::CorruptError) << "half of a pair is a mistake, not a reason to go on";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(key(), "ENVIRONMENT");
  EXPECT_EQ(key("other"), "OTHER") << "a profile asked for by name beats the environment";
}

TEST_F(CredentialsTest, RolesOfProfiles) {
  // Without this profiles with role_arn, which is how companies reach their accounts, do not work.
  file("credentials", "[base]\naws_access_key_id=BASE\naws_secret_access_key=s\n");
  file("config",
       "[profile work]\nrole_arn = arn:aws:iam::1:role/work\nsource_profile = middle\nexternal_id = x&y\n"
       "[profile middle]\nrole_arn = arn:aws:iam::1:role/middle\nsource_profile = base\n"
       "[profile loop]\nrole_arn = arn:aws:iam::1:role/l\nsource_profile = loop2\n"
       "[profile loop2]\nrole_arn = arn:aws:iam::1:role/l\nsource_profile = loop\n"
       "[profile env]\nrole_arn = arn:aws:iam::1:role/e\ncredential_source = Environment\n"
       "[profile mfa]\nrole_arn = arn:aws:iam::1:role/m\nsource_profile = base\nmfa_serial = arn:x\n");
  variables_["AWS_ENDPOINT_URL_STS"] = server_.url();
  server_.answers["AssumeRole"] = {200, sts("AssumeRole", "ASSUMED")};
  Credentials got = provider("work")->get();
  EXPECT_EQ(got.access_key_id, "ASSUMED");
  EXPECT_EQ(got.session_token, "t");
  EXPECT_EQ(got.expires_at, 1'795'291'200'000);
  ASSERT_EQ(server_.asked.size(), 2u) << "the middle role first";
  EXPECT_NE(server_.asked[0].head.headers.get("authorization").find("Credential=BASE/"),
            std::string_view::npos);
  EXPECT_NE(server_.asked[1].head.headers.get("authorization").find("Credential=ASSUMED/"),
            std::string_view::npos);
  EXPECT_NE(server_.asked[1].body.find("ExternalId=x%26y"), std::string::npos);
  EXPECT_THROW(key("loop"), base::UsageError);
  EXPECT_THROW(key("mfa"), base::DeniedError);
  EXPECT_THROW(key("env"), base::DeniedError);
  variables_["AWS_ACCESS_KEY_ID"] = "ENVIRONMENT";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(key("env"), "ASSUMED");
  server_.answers["AssumeRole"] = {
      403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"};
  EXPECT_THROW(key("work"), base::DeniedError);
}

TEST_F(CredentialsTest, WebIdentityIsReadAnewAndNotSigned) {
  // Without this jobs on EKS and in GitHub Actions have no credentials, or only for the first hour.
  file("token", "TOKEN1\n");
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = folder_ / "token";
  EXPECT_THROW(key(), base::UsageError);
  variables_["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/web";
  variables_["AWS_ENDPOINT_URL_STS"] = server_.url();
  server_.answers["AssumeRoleWithWebIdentity"] = {200, sts("AssumeRoleWithWebIdentity", "WEB")};
  auto chain = provider();
  EXPECT_EQ(chain->get().access_key_id, "WEB");
  EXPECT_FALSE(server_.asked.back().head.headers.has("authorization"));
  EXPECT_NE(server_.asked.back().body.find("WebIdentityToken=TOKEN1"), std::string::npos);
  file("token", "TOKEN2");
  clock_.advance(3 * 3600 * 1000 - 60'000);
  EXPECT_EQ(chain->get().access_key_id, "WEB");
  EXPECT_NE(server_.asked.back().body.find("WebIdentityToken=TOKEN2"), std::string::npos);
}

TEST_F(CredentialsTest, ContainersAndTheirTokens) {
  // Without this jobs on Fargate, and under our own runner, have no credentials.
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server_.url() + "/creds?id=1";
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "from the variable";
  server_.answers["GET /creds"] = {200, document("CONTAINER")};
  EXPECT_EQ(key(), "CONTAINER");
  EXPECT_EQ(server_.asked.back().head.headers.get("authorization"), "from the variable");
  file("token", "from the file\n");
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = folder_ / "token";
  key();
  EXPECT_EQ(server_.asked.back().head.headers.get("authorization"), "from the file");
  server_.answers["GET /creds"] = {500, ""};
  size_t before = server_.asked.size();
  EXPECT_THROW(key(), base::TransientError);
  EXPECT_EQ(server_.asked.size(), before + 3);
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://example.com/creds";
  EXPECT_THROW(key(), base::UsageError) << "a token in clear text over somebody's network";
}

TEST_F(CredentialsTest, InstanceMetadataTwo) {
  // Without this nothing runs on EC2 without keys in files.
  variables_.erase("AWS_EC2_METADATA_DISABLED");
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server_.url() + "/";
  EXPECT_THROW(key(), base::DeniedError) << "no token, no credentials, no failure";
  server_.answers["PUT /latest/api/token"] = {200, "TOKEN"};
  server_.answers["GET /latest/meta-data/iam/security-credentials/"] = {200, "my-role\n"};
  server_.answers["GET /latest/meta-data/iam/security-credentials/my-role"] = {200, document("INSTANCE")};
  EXPECT_EQ(key(), "INSTANCE");
  EXPECT_EQ(server_.asked.back().head.headers.get("x-aws-ec2-metadata-token"), "TOKEN");
  variables_["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  EXPECT_THROW(key(), base::DeniedError);
}

TEST_F(CredentialsTest, ProcessesPrintCredentials) {
  // Without this companies that broker keys by a program are shut out.
  file("config",
       "[profile p]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"PROCESS\","
       "\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\"}'\n"
       "[profile wrong]\ncredential_process = printf '{\"Version\":2}'\n"
       "[profile failing]\ncredential_process = exit 3\n");
  EXPECT_EQ(key("p"), "PROCESS");
  EXPECT_THROW(key("wrong"), base::CorruptError);
  EXPECT_THROW(key("failing"), base::DeniedError);
}

TEST_F(CredentialsTest, RenewedBeforeTheyExpireAndWhenRefused) {
  // Without this a job of two hours dies after one.
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server_.url() + "/creds";
  server_.answers["GET /creds"] = {200, document("FIRST", "2026-11-21T18:00:00Z")};
  auto chain = provider();
  EXPECT_EQ(chain->get().access_key_id, "FIRST");
  server_.answers["GET /creds"] = {200, document("SECOND", "2026-11-21T19:00:00Z")};
  clock_.advance(44 * 60'000);
  EXPECT_EQ(chain->get().access_key_id, "FIRST");
  clock_.advance(2 * 60'000);
  EXPECT_EQ(chain->get().access_key_id, "SECOND") << "15 minutes before the end";
  server_.answers["GET /creds"] = {500, ""};
  clock_.advance(60 * 60'000);
  EXPECT_EQ(chain->get().access_key_id, "SECOND") << "still good for 14 minutes: go on with them";
  server_.answers["GET /creds"] = {200, document("THIRD", "2026-11-21T20:00:00Z")};
  chain->invalidate(Credentials{"FIRST", "s", "t", {}});
  EXPECT_EQ(chain->get().access_key_id, "SECOND") << "somebody else's old ones";
  chain->invalidate(chain->get());
  EXPECT_EQ(chain->get().access_key_id, "THIRD");
}

TEST(ConfigFiles, NestedBlocksServicesAndComments) {
  // Without this an endpoint in a services section is ignored and data goes to AWS.
  Sections sections = parse_config(
      "junk = 1\n[profile  a]\nregion = eu-west-1 ; comment\n s3 =\n   x = 1\ns3 =\n  addressing_style = "
      "path\n"
      "  max=2\nservices = local\n; full line\n[services local]\ns3 =\n  endpoint_url = http://s3.local:1\n");
  EXPECT_EQ(sections["profile a"]["region"], "eu-west-1");
  EXPECT_EQ(sections["profile a"]["s3.addressing_style"], "path");
  EXPECT_EQ(sections["services local"]["s3.endpoint_url"], "http://s3.local:1");
  testing::TemporaryFolder folder;
  std::ofstream(folder / "config") << "[profile a]\nregion=eu-west-1\nservices = local\n"
                                      "[services local]\ns3 =\n  endpoint_url = http://s3.local:1\n";
  auto environment = [&](const char* name) -> std::optional<std::string> {
    return std::string(name) == "AWS_CONFIG_FILE" ? std::optional(folder / "config") : std::nullopt;
  };
  EXPECT_EQ(profile_settings(environment, "a").s3_endpoint_url, "http://s3.local:1");
  EXPECT_EQ(profile_settings(environment, "a").region, "eu-west-1");
  EXPECT_THROW(profile_settings(environment, "nobody"), base::NotFoundError);
  EXPECT_EQ(profile_settings(environment).region, "") << "no default profile is no mistake";
}

}  // namespace
}  // namespace millrace::aws
