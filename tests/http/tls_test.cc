// Without these, a certificate could be made that clients refuse, or a session could hang on what it has
// already.
#include "http/tls.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "http/client.h"
#include "http/server.h"
#include "tests/support/temporary_folder.h"

namespace millrace::http {
namespace {

// Answers with the body that it got.
class Echo final : public RequestHandler {
 public:
  std::unique_ptr<BodySink> open(const RequestHead&) override { return nullptr; }
  void handle(Request request, Respond respond) override {
    Response response;
    response.body = std::move(request.body);
    respond(std::move(response));
  }
  Response failed(const RequestHead&, std::exception_ptr) override { return {}; }
};

class TlsTest : public ::testing::Test {
 protected:
  std::string read(const std::string& path) const {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  millrace::testing::TemporaryFolder folder_;
  std::string certificate_ = folder_ / "certificate.pem", key_ = folder_ / "key.pem";
};

// Every start would make a certificate that clients do not know, or keep one for another name.
TEST_F(TlsTest, TheCertificateStaysWhileItIsGood) {
  keep_self_signed(certificate_, key_, {"localhost", "127.0.0.1", "::1"});
  const std::string first = read(certificate_);
  EXPECT_NE(first.find("BEGIN CERTIFICATE"), std::string::npos);
  struct stat info{};
  ASSERT_EQ(stat(key_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  keep_self_signed(certificate_, key_, {"localhost"});
  EXPECT_EQ(read(certificate_), first);
  keep_self_signed(certificate_, key_, {"localhost", "build.example"});
  EXPECT_NE(read(certificate_), first);
  std::filesystem::remove(key_);
  keep_self_signed(certificate_, key_, {"localhost"});
  TlsContext(certificate_, key_);
}

TEST_F(TlsTest, FilesThatDoNotFitAreRefused) {
  // Breaks when a server starts that no client can talk to.
  keep_self_signed(certificate_, key_, {"localhost"});
  keep_self_signed(folder_ / "c2.pem", folder_ / "k2.pem", {"localhost"});
  EXPECT_THROW(TlsContext(certificate_, folder_ / "k2.pem"), base::UsageError);
  EXPECT_THROW(TlsContext(key_, key_), base::UsageError);
  EXPECT_THROW(TlsContext(folder_ / "none", key_), base::UsageError);
}

TEST_F(TlsTest, BodiesOfEverySizeComeBack) {
  // Breaks when bytes are stuck in a session while its socket is silent, or are sent twice.
  keep_self_signed(certificate_, key_, {"127.0.0.1"});
  Echo echo;
  ServerOptions options;
  options.port = 0;
  options.certificate_file = certificate_;
  options.key_file = key_;
  Server server(options, echo);
  Client client(4);
  for (size_t size : {size_t{0}, size_t{1}, size_t{16'383}, size_t{16'384}, size_t{16'385}, size_t{65'536},
                      size_t{65'537}, size_t{300'000}, size_t{5'000'000}}) {
    ClientRequest request;
    request.method = "POST";
    request.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/";
    request.ca_file = certificate_;
    request.body.resize(size);
    for (size_t i = 0; i < size; ++i) request.body[i] = static_cast<char>(i * 7919 >> 3);
    const std::string sent = request.body;
    const ClientResponse response = client.send(std::move(request));
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.body == sent) << size;
  }
  ClientRequest untrusting;
  untrusting.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/";
  EXPECT_THROW(client.send(std::move(untrusting)), base::TransientError);
}

}  // namespace
}  // namespace millrace::http
