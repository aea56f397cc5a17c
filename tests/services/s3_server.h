// S3 alone behind a real server: unsigned requests pass, signed ones are verified.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "aws/protocol.h"
#include "http/client.h"
#include "http/server.h"
#include "objects/s3_client.h"
#include "services/s3.h"
#include "tests/objects/temporary_folder.h"

namespace millrace::services {

inline constexpr const char* kKey = "AKIDEXAMPLE";
inline constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

class S3Server : public testing::Test, public http::RequestHandler {
 protected:
  S3Server() : store_(folder_.path() + "/objects", clock_, options()), s3_(store_, {}), client_(4) {
    http::ServerOptions server;
    server.port = 0;
    server_ = std::make_unique<http::Server>(server, *this);
    store_.create_bucket("bucket", "us-east-1");
  }
  ~S3Server() override { server_.reset(); }

  static objects::DirectoryStoreOptions options() {
    objects::DirectoryStoreOptions options;
    options.inline_bytes_max = 1000;
    return options;
  }

  SigningContext authenticate(const http::RequestHead& head) {
    SigningContext context;
    context.request_id = "REQUEST1";
    if (std::optional<aws::Claim> claim = aws::parse_claim(head, aws::Dialect::kS3)) {
      verifier_.verify(*claim, head, std::nullopt, kSecret, clock_.now_ms());
      context.claim = *claim;
      context.key = verifier_.signing_key(*claim, kSecret);
    }
    return context;
  }
  const aws::Operation& route(const http::RequestHead& head) {
    const aws::ServiceModel* s3 = aws::find_service("s3");
    const aws::Operation* operation = aws::route(*s3, head, "");
    if (!operation) throw aws::unknown_operation(*s3, head, "");
    return *operation;
  }
  std::unique_ptr<http::BodySink> open(const http::RequestHead& head) override {
    if (auto form = s3_.open_form(head, clock_, [](const FormFields&) {
          SigningContext context;
          context.request_id = "REQUEST1";
          return context;
        }))
      return form;
    SigningContext context = authenticate(head);
    return s3_.open(route(head), head, context);
  }
  void handle(http::Request request, http::Respond respond) override {
    SigningContext context = authenticate(request.head);
    const aws::Operation& operation = route(request.head);
    s3_.handle(operation, std::move(request), context, std::move(respond));
  }
  http::Response failed(const http::RequestHead& head, std::exception_ptr error) override {
    return S3Service::failed(head, error, "REQUEST1");
  }

  using Fields = std::vector<http::Headers::Field>;
  http::ClientResponse send(const std::string& method, const std::string& target,
                            const std::string& body = "", const Fields& fields = {}) {
    http::ClientRequest request;
    request.method = method;
    request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + target;
    request.body = body;
    for (const auto& [name, value] : fields) request.headers.add(name, value);
    return client_.send(std::move(request));
  }
  // The text of the first element of that name.
  static std::string element(const std::string& xml, const std::string& name) {
    size_t from = xml.find("<" + name + ">");
    size_t to = xml.find("</" + name + ">");
    if (from == std::string::npos || to == std::string::npos) return "";
    from += name.size() + 2;
    return xml.substr(from, to - from);
  }
  void expect_error(const http::ClientResponse& response, int status, const std::string& code) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(element(response.body, "Code"), code) << response.body;
  }
  objects::S3Client s3_client() {
    objects::S3ClientOptions options;
    options.bucket = "bucket";
    options.endpoint = "http://127.0.0.1:" + std::to_string(server_->port());
    options.credentials = std::make_shared<aws::StaticCredentials>(aws::Credentials{kKey, kSecret, "", {}});
    options.client = std::make_shared<http::Client>(4);
    options.retry_pause = std::chrono::milliseconds(1);
    options.part_bytes = 5 << 20;
    return objects::S3Client(std::move(options));
  }

  objects::TemporaryFolder folder_;
  base::SystemClock clock_;
  objects::DirectoryStore store_;
  S3Service s3_;
  aws::Verifier verifier_;
  http::Client client_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace millrace::services
