#include "objects/s3_client.h"

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <mutex>

#include "base/hash.h"
#include "http/server.h"
#include "tests/objects/temporary_folder.h"

namespace millrace::objects {
namespace {

// Answers from a script, in order, and remembers what it was asked.
class ScriptedServer : public http::RequestHandler {
 public:
  struct Answer {
    int status;
    std::string body;
    http::Headers::Field header = {"x-none", ""};
  };
  ScriptedServer() {
    http::ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<http::Server>(options, *this);
  }
  ~ScriptedServer() override { server_.reset(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void script(std::deque<Answer> answers) { answers_ = std::move(answers); }
  const std::vector<std::string>& asked() const { return asked_; }
  size_t left() const { return answers_.size(); }

  std::unique_ptr<http::BodySink> open(const http::RequestHead&) override { return nullptr; }
  void handle(http::Request request, http::Respond respond) override {
    http::Response response;
    {
      std::lock_guard lock(mutex_);
      asked_.push_back(request.head.method + " " + request.head.path + "?" + request.head.query);
      Answer answer = answers_.empty() ? Answer{500, ""} : answers_.front();
      if (!answers_.empty()) answers_.pop_front();
      response.status = answer.status;
      response.body = answer.body;
      response.headers.add(answer.header.first, answer.header.second);
    }
    if (request.head.method == "HEAD") response.content_length_of_head = 0;
    respond(std::move(response));
  }
  http::Response failed(const http::RequestHead&, std::exception_ptr) override {
    http::Response response;
    response.status = 500;
    return response;
  }

 private:
  std::mutex mutex_;
  std::deque<Answer> answers_;
  std::vector<std::string> asked_;
  std::unique_ptr<http::Server> server_;
};

std::string error_body(const std::string& code) {
  return "<?xml version=\"1.0\"?>\n<Error><Code>" + code + "</Code><Message>why</Message></Error>";
}

class S3ClientTest : public testing::Test {
 protected:
  S3Client client() {
    S3ClientOptions options;
    options.bucket = "bucket";
    options.endpoint = server_.url();
    options.credentials = std::make_shared<aws::StaticCredentials>(aws::Credentials{"key", "secret", "", {}});
    options.client = std::make_shared<http::Client>(2);
    options.retry_pause = std::chrono::milliseconds(1);
    options.attempts_max = 3;
    options.part_bytes = 100;
    return S3Client(std::move(options));
  }
  ScriptedServer server_;
};

TEST_F(S3ClientTest, TriesAgainWhatMayPass) {
  // Without this one SlowDown ends a job of a million objects.
  server_.script({{503, error_body("SlowDown")}, {429, ""}, {200, "", {"ETag", "\"abc\""}}});
  EXPECT_EQ(client().put("k", "v"), "abc");
  server_.script({{500, error_body("InternalError")}, {400, error_body("RequestTimeout")}, {500, ""}});
  EXPECT_THROW(client().put("k", "v"), base::TransientError);
  EXPECT_EQ(server_.left(), 0u) << "three attempts, no more";
}

TEST_F(S3ClientTest, DoesNotTryAgainWhatCannotPass) {
  // Without this a missing permission takes minutes to be told, and is told as something else.
  auto thrown = [&](int status, const std::string& code) {
    server_.script({{status, error_body(code)}});
    try {
      client().put("k", "v");
    } catch (const base::Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
      EXPECT_EQ(server_.left(), 0u);
      return error.kind();
    }
    return base::ErrorKind::kInternal;
  };
  EXPECT_EQ(thrown(403, "AccessDenied"), base::ErrorKind::kDenied);
  EXPECT_EQ(thrown(404, "NoSuchBucket"), base::ErrorKind::kNotFound);
  EXPECT_EQ(thrown(412, "PreconditionFailed"), base::ErrorKind::kConflict);
}

TEST_F(S3ClientTest, ListsPagesOfServersThatEncodeDifferently) {
  // Without this keys with '+' or spaces are read as other keys, and a listing stops after its first page.
  server_.script(
      {{200,
        "<?xml version=\"1.0\"?><ListBucketResult "
        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Unknown/>"
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>a+b/=</"
        "NextContinuationToken><Contents><Key>a+b%2Bc%20d</Key><LastModified>2026-11-21T14:18:25.000Z</"
        "LastModified>"
        "<ETag>&quot;e&quot;</ETag><Size>5</Size></Contents></ListBucketResult>"},
       {200,
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>x+y</Key><Size>7</Size>"
        "<LastModified>2026-11-21T14:18:25Z</LastModified><ETag>e2</ETag></Contents></ListBucketResult>"}});
  std::vector<std::string> seen;
  client().list("p/", [&](const ObjectInfo& info) {
    seen.push_back(info.key + " " + std::to_string(info.size) + " " + info.etag);
    EXPECT_EQ(info.last_modified, 1'795'270'705'000);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"a b+c d 5 e", "x+y 7 e2"}));
  EXPECT_NE(server_.asked().at(1).find("continuation-token=a%2Bb%2F%3D"), std::string::npos);
  server_.script({{200, "<html>a proxy's greeting</html>"}});
  EXPECT_THROW(client().list("", [](const ObjectInfo&) { return true; }), base::CorruptError);
}

TEST_F(S3ClientTest, ASuccessThatIsAnErrorIsTriedAgainAndALostAnswerIsLookedUp) {
  // Without this a completion that failed counts as done, or one that was done as failed.
  TemporaryFolder folder;
  std::string data(250, 'd');
  std::ofstream(folder.path() + "/f") << data;
  std::string etag = base::md5_hex(base::md5(data.substr(0, 100)) + base::md5(data.substr(0, 100)) +
                                   base::md5(data.substr(0, 50))) +
                     "-3";
  ScriptedServer::Answer created{
      200, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"};
  ScriptedServer::Answer part{200, "", {"ETag", "\"p\""}};
  server_.script({created,
                  part,
                  part,
                  part,
                  {200, error_body("InternalError")},
                  {404, error_body("NoSuchUpload")},
                  {200, "", {"ETag", '"' + etag + '"'}}});
  EXPECT_EQ(client().put_file("k", folder.path() + "/f"), etag);
  EXPECT_EQ(server_.left(), 0u);
  // Another object at the key: the upload did fail, and is aborted.
  server_.script({created,
                  part,
                  part,
                  part,
                  {404, error_body("NoSuchUpload")},
                  {200, "", {"ETag", "\"other\""}},
                  {204, ""}});
  EXPECT_THROW(client().put_file("k", folder.path() + "/f"), base::NotFoundError);
  EXPECT_TRUE(server_.asked().back().starts_with("DELETE")) << server_.asked().back();
}

TEST_F(S3ClientTest, AServerWithoutRangesIsNoticed) {
  // Without this a reader takes the beginning of an object for its middle.
  server_.script({{200, "0123456789"}});
  char out[10];
  EXPECT_THROW(client().read("k", 5, out, 10, ""), base::CorruptError);
}

}  // namespace
}  // namespace millrace::objects
