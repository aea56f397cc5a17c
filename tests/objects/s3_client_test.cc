#include "objects/s3_client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/hash.h"
#include "base/unique_fd.h"
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
  const std::vector<http::Request>& requests() const { return requests_; }
  size_t left() const { return answers_.size(); }

  std::unique_ptr<http::BodySink> open(const http::RequestHead&) override { return nullptr; }
  void handle(http::Request request, http::Respond respond) override {
    http::Response response;
    {
      std::lock_guard lock(mutex_);
      asked_.push_back(request.head.method + " " + request.head.path + "?" + request.head.query);
      requests_.push_back(request);
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
  std::vector<http::Request> requests_;
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
    options.parallel = 1;  // the script is in order
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
  auto part_of = [&](size_t bytes) {
    return ScriptedServer::Answer{200, "", {"ETag", '"' + base::md5_hex(data.substr(0, bytes)) + '"'}};
  };
  ScriptedServer::Answer part = part_of(100);
  server_.script({created,
                  part,
                  part,
                  part_of(50),
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

TEST_F(S3ClientTest, WhatTheReaderThrowsIsNotTriedAgain) {
  // Without this a reader whose disk is full gets the same bytes twice, or loses some.
  server_.script({{200, "0123456789"}, {200, "0123456789"}});
  EXPECT_THROW(client().get("k", [](std::string_view) { throw base::TransientError("the reader's own"); }),
               base::TransientError);
  EXPECT_EQ(server_.left(), 1u);
}

TEST_F(S3ClientTest, AServerWithoutRangesIsNoticed) {
  // Without this a reader takes the beginning of an object for its middle.
  server_.script({{200, "0123456789"}});
  char out[10];
  EXPECT_THROW(client().read("k", 5, out, 10, ""), base::CorruptError);
  server_.script({{200, "0123456789"}});
  EXPECT_EQ(client().read("k", 0, out, 4, ""), 4u) << "the beginning is the beginning";
  EXPECT_EQ(std::string(out, 4), "0123");
}

TEST_F(S3ClientTest, RetriesEndWhenMostRequestsFail) {
  // Without this a thousand workers hammer a server that is already down.
  S3ClientOptions options = client().options();
  options.traffic = std::make_shared<S3Traffic>();
  while (options.traffic->quota.tokens() >= 2 * RetryQuota::kRetryCost)
    options.traffic->quota.take(RetryQuota::kRetryCost);
  server_.script({{503, ""}, {503, ""}, {200, "", {"ETag", "\"a\""}}});
  EXPECT_THROW(S3Client(options).put("k", "v"), base::TransientError);
  EXPECT_EQ(server_.left(), 1u) << "one retry was affordable";
  EXPECT_EQ(options.traffic->retries.load(), 1u);
  EXPECT_EQ(options.traffic->throttled.load(), 2u);
  S3Client(options).put("k", "v");
  EXPECT_EQ(options.traffic->quota.tokens(), 1);
  EXPECT_EQ(options.traffic->requests.load(), 3u);
}

TEST_F(S3ClientTest, GoesToTheBucketsRegion) {
  // Without this a bucket elsewhere cannot be used until somebody finds out where it is.
  server_.script({{301, "", {"x-amz-bucket-region", "eu-central-1"}}, {200, "", {"ETag", "\"a\""}}});
  S3Client first = client();
  first.put("k", "v");
  EXPECT_NE(server_.requests().back().head.headers.get("authorization").find("/eu-central-1/s3/"),
            std::string_view::npos);
  server_.script(
      {{400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-south-1</Region></Error>"},
       {200, "", {"ETag", "\"a\""}},
       {200, "", {"ETag", "\"a\""}}});
  S3Client second = client();
  second.put("k", "v");
  second.put("k", "v");
  EXPECT_EQ(server_.left(), 0u) << "the region is remembered";
  EXPECT_NE(server_.requests().back().head.headers.get("authorization").find("/ap-south-1/s3/"),
            std::string_view::npos);
}

TEST_F(S3ClientTest, DeletesManyAndTriesAgainWhatMayPass) {
  // Without this keys that a busy server skipped stay for ever, in a deletion that counts as done.
  server_.script(
      {{200,
        "<DeleteResult><Error><Key>a&amp;b</Key><Code>SlowDown</Code></Error>"
        "<Error><Key>c</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"},
       {200, "<DeleteResult/>"}});
  std::vector<RemoveFailure> failures = client().remove_all({"a&b", "c", "d\r"});
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].key + failures[0].code, "cAccessDenied");
  const http::Request& first = server_.requests().at(0);
  EXPECT_NE(first.body.find("<Key>d&#13;</Key>"), std::string::npos) << first.body;
  EXPECT_EQ(first.head.headers.get("content-md5"), base::base64(base::md5(first.body)));
  EXPECT_TRUE(first.head.headers.has("x-amz-checksum-crc32"));
  const http::Request& second = server_.requests().at(1);
  EXPECT_NE(second.body.find("a&amp;b"), std::string::npos);
  EXPECT_EQ(second.body.find("<Key>c</Key>"), std::string::npos);
  server_.script({{204, ""}, {200, "<html>not it</html>"}});
  EXPECT_THROW(client().remove_all({std::string("\x01"), "k"}), base::CorruptError);
  EXPECT_EQ(server_.asked().at(2), "DELETE /bucket/%01?") << "no XML can name it";
}

TEST_F(S3ClientTest, CopiesAreReadBeforeTheyAreBelieved) {
  // Without this a copy that failed after its 200 counts as copied.
  server_.script({{200, error_body("InternalError")},
                  {200, ""},
                  {200, "<CopyObjectResult><ETag>&quot;e2&quot;</ETag></CopyObjectResult>"}});
  ObjectInfo source{"a b+c", 5, "e1", 0, 0};
  EXPECT_EQ(client().copy_from("from", source, "to"), "e2");
  const http::Headers& headers = server_.requests().back().head.headers;
  EXPECT_EQ(headers.get("x-amz-copy-source"), "from/a%20b%2Bc");
  EXPECT_EQ(headers.get("x-amz-copy-source-if-match"), "\"e1\"");
}

TEST_F(S3ClientTest, BytesAreComparedWithTheirChecksum) {
  // Without this a flipped bit on the way is stored as the object.
  std::string got;
  auto sink = [&](std::string_view bytes) { got += bytes; };
  server_.script({{200, "123456789", {"x-amz-checksum-crc32", "y/Q5Jg=="}}});
  EXPECT_TRUE(client().get("k", sink).verified);
  EXPECT_EQ(got, "123456789");
  EXPECT_EQ(server_.requests().back().head.headers.get("x-amz-checksum-mode"), "ENABLED");
  server_.script({{200, "123456780", {"x-amz-checksum-crc32", "y/Q5Jg=="}}});
  EXPECT_THROW(client().get("k", sink), base::CorruptError);
  server_.script({{200, "123456780", {"ETag", "\"25f9e794323b453885f5181f1b624d0b\""}}});
  EXPECT_THROW(client().get("k", sink), base::CorruptError);
  server_.script({{200, "123456789", {"ETag", "\"25f9e794323b453885f5181f1b624d0b-1\""}}});
  EXPECT_FALSE(client().get("k", sink).verified) << "nothing to compare with";
}

// Answers each connection with the next text, byte for byte, and closes it.
class RawServer {
 public:
  explicit RawServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = base::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] {
      for (const std::string& answer : answers_) {
        base::UniqueFd peer(accept(listener_.get(), nullptr, nullptr));
        std::string head;
        char byte;
        while (!head.ends_with("\r\n\r\n") && recv(peer.get(), &byte, 1, 0) == 1) head += byte;
        heads_.push_back(head);
        send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~RawServer() { thread_.join(); }
  const std::string& url() const { return url_; }
  const std::vector<std::string>& heads() const { return heads_; }  // once all answers are given

 private:
  std::vector<std::string> answers_, heads_;
  base::UniqueFd listener_;
  std::string url_;
  std::thread thread_;
};

TEST_F(S3ClientTest, ADownloadGoesOnWhereTheConnectionBroke) {
  // Without this a large object begins anew with every hiccup, or is put together from two different ones.
  std::vector<std::string> heads;
  std::string got;
  {
    RawServer server(
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: \"25f9e794323b453885f5181f1b624d0b\"\r\n\r\n1234", "",
         "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\n56789"});
    S3ClientOptions options = client().options();
    options.endpoint = server.url();
    DownloadResult result = S3Client(options).get("k", [&](std::string_view bytes) { got += bytes; });
    EXPECT_TRUE(result.verified);
    EXPECT_EQ(result.info.size, 9u);
    heads = server.heads();
  }
  EXPECT_EQ(got, "123456789");
  ASSERT_EQ(heads.size(), 3u);
  EXPECT_NE(heads[2].find("Range: bytes=4-"), std::string::npos) << heads[2];
  EXPECT_NE(heads[2].find("If-Match: \"25f9e794323b453885f5181f1b624d0b\""), std::string::npos) << heads[2];
}

}  // namespace
}  // namespace millrace::objects
