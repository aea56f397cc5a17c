// Without this the server could mix up requests, hang, or be led to read one request as two.
#include "http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "http/client.h"
#include "http/live_body.h"
#include "raw_client.h"

namespace millrace::http {
namespace {

// Counts what it is given and answers it later, from another thread.
class CountingSink final : public BodySink {
 public:
  explicit CountingSink(bool refuses) : refuses_(refuses) {}
  void write(std::string_view bytes) override {
    if (refuses_) throw base::DeniedError("enough");
    total_ += bytes.size();
  }
  void finish(Respond respond) override {
    std::thread([total = total_, respond = std::move(respond)] {
      Response response;
      response.body = "took " + std::to_string(total);
      respond(std::move(response));
    }).detach();
  }

 private:
  bool refuses_;
  uint64_t total_ = 0;
};

class Counting final : public BodySource {
 public:
  size_t read(char* out, size_t) override {
    if (left_ == 0) return 0;
    --left_;
    out[0] = 'x';
    return 1;
  }

 private:
  int left_ = 3;
};

class Handler final : public RequestHandler {
 public:
  std::unique_ptr<BodySink> open(const RequestHead& head) override {
    if (head.path == "/refused") throw base::DeniedError("not you");
    if (head.path == "/sink") return std::make_unique<CountingSink>(false);
    if (head.path == "/sink-refuses") return std::make_unique<CountingSink>(true);
    return nullptr;
  }
  void handle(Request request, Respond respond) override {
    Response response;
    const std::string& path = request.head.path;
    if (path == "/throw") throw base::NotFoundError("nothing here");
    if (path == "/drop") return;
    if (path == "/later") {
      std::lock_guard lock(mutex);
      waiting.push_back(std::move(respond));
      arrived.notify_all();
      return;
    }
    if (path == "/file") {
      char name[] = "/tmp/millrace-http-XXXXXX";
      base::UniqueFd fd(mkstemp(name));
      unlink(name);
      std::string content(300'000, 'f');
      EXPECT_EQ(::write(fd.get(), content.data(), content.size()), 300'000);
      response.file = std::make_unique<FileRegion>(FileRegion{std::move(fd), 10, 250'000});
    } else if (path == "/source") {
      response.source = std::make_unique<Counting>();
    } else if (path == "/live") {
      std::lock_guard lock(mutex);
      live = std::make_shared<LiveBody>(2);
      response.live = live;
      arrived.notify_all();
    } else if (path == "/split") {
      response.headers.add("X-Key", "a\r\nSet-Cookie: b");
    } else {
      response.body = request.head.method + " " + path + "?" + request.head.query + " [" + request.body + "]";
    }
    respond(std::move(response));
  }
  Response failed(const RequestHead&, std::exception_ptr error) override {
    Response response;
    try {
      std::rethrow_exception(error);
    } catch (const base::Error& e) {
      response.status = e.kind() == base::ErrorKind::kNotFound ? 404 : 403;
      response.body = e.what();
    }
    return response;
  }
  std::vector<Respond> take(size_t count) {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [&] { return waiting.size() >= count; });
    return std::move(waiting);
  }
  std::shared_ptr<LiveBody> take_live() {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [&] { return live != nullptr; });
    return std::exchange(live, nullptr);
  }
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<Respond> waiting;
  std::shared_ptr<LiveBody> live;
};

class ServerTest : public ::testing::Test {
 protected:
  static ServerOptions options() {
    ServerOptions options;
    options.port = 0;
    options.threads = 2;
    options.body_bytes_max = 100'000;
    options.request_timeout = std::chrono::milliseconds(600);
    return options;
  }
  Handler handler_;
  Server server_{options(), handler_};
  uint16_t port_ = server_.port();
};

constexpr char kHost[] = "Host: a\r\n";

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  RawClient client(port_);
  for (int i = 0; i < 3; ++i) {
    client.send(std::string("POST /a%20b?x=1 HTTP/1.1\r\n") + kHost + "Content-Length: 2\r\n\r\nhi");
    auto answer = client.answer();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, "POST /a%20b?x=1 [hi]");
    EXPECT_NE(answer.head.find("\r\nDate: "), std::string::npos);
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrderAtEverySplit) {
  std::string one = std::string("GET /1 HTTP/1.1\r\n") + kHost + "\r\n";
  std::string two = std::string("POST /2 HTTP/1.1\r\n") + kHost +
                    "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n";
  std::string three = std::string("POST /3 HTTP/1.1\r\n") + kHost + "Content-Length: 3\r\n\r\nend";
  std::string all = one + two + three;
  for (size_t split = 1; split < all.size(); ++split) {
    RawClient client(port_);
    client.send(all.substr(0, split));
    client.send(all.substr(split));
    EXPECT_EQ(client.answer().body, "GET /1? []") << split;
    EXPECT_EQ(client.answer().body, "POST /2? [abcd]") << split;
    EXPECT_EQ(client.answer().body, "POST /3? [end]") << split;
  }
}

TEST_F(ServerTest, RefusesWhatCouldBeFramedTwoWays) {
  const std::string start = std::string("POST / HTTP/1.1\r\n") + kHost;
  struct {
    std::string request;
    int status;
  } cases[] = {
      {start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
      {start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {start + "Content-Length: 3, 3\r\n\r\nabc", 400},
      {start + "Content-Length: +3\r\n\r\nabc", 400},
      {start + "Content-Length: -1\r\n\r\n", 400},
      {start + "Content-Length: 0x3\r\n\r\nabc", 400},
      {start + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
      {start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
      {start + "X: a\r\n b\r\n\r\n", 400},
      {start + "X: a\r\n\tb\r\n\r\n", 400},
      {start + std::string("X: a\0b\r\n\r\n", 10), 400},
      {start + "X: a\nContent-Length: 1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\n\r\n", 400},
      {start + "Host: b\r\n\r\n", 400},
      {"POST / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"POST nopath HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"POST  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {start + "Expect: miracles\r\n\r\n", 417},
      {start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {std::string("\x16\x03\x01\x02", 4), 400},
  };
  for (const auto& each : cases) {
    RawClient client(port_);
    client.send(each.request);
    auto answer = client.answer();
    EXPECT_EQ(answer.status(), each.status) << each.request;
    EXPECT_NE(answer.head.find("Connection: close"), std::string::npos) << each.request;
    EXPECT_EQ(client.rest(), "") << each.request;  // and nothing more was read as a request
    EXPECT_FALSE(client.timed_out()) << each.request;
  }
}

TEST_F(ServerTest, RefusesOversizedHeadsAndBodies) {
  RawClient head(port_);
  head.send(std::string("GET / HTTP/1.1\r\n") + kHost + "X: " + std::string(70'000, 'x'));
  EXPECT_EQ(head.answer().status(), 431);
  RawClient length(port_);
  length.send(std::string("PUT / HTTP/1.1\r\n") + kHost + "Content-Length: 100001\r\n\r\n");
  EXPECT_EQ(length.answer().status(), 413);
  RawClient chunks(port_);
  chunks.send(std::string("PUT / HTTP/1.1\r\n") + kHost + "Transfer-Encoding: chunked\r\n\r\n186a1\r\n" +
              std::string(100'001, 'x'));
  EXPECT_EQ(chunks.answer().status(), 413);
}

TEST_F(ServerTest, SaysContinueOnlyToThoseItWillListenTo) {
  RawClient welcome(port_);
  std::string rest =
      std::string("HTTP/1.1\r\n") + kHost + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
  welcome.send("PUT /e " + rest);
  EXPECT_EQ(welcome.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  welcome.send("ok");
  EXPECT_EQ(welcome.answer().body, "PUT /e? [ok]");
  RawClient refused(port_);
  refused.send("PUT /refused " + rest);
  EXPECT_EQ(refused.answer().status(), 403);
  refused.send("GET /sm HTTP/1.1\r\nHost: a\r\n\r\n");  // must not be taken for a request
  EXPECT_EQ(refused.rest(), "");
  // botocore asks for empty bodies too, and takes an answer without a 100 for the connection's last.
  std::string empty =
      std::string("HTTP/1.1\r\n") + kHost + "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n";
  RawClient nothing(port_);
  nothing.send("PUT /e " + empty);
  EXPECT_EQ(nothing.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(nothing.answer().body, "PUT /e? []");
  RawClient refused_nothing(port_);
  refused_nothing.send("PUT /refused " + empty);
  EXPECT_EQ(refused_nothing.answer().status(), 403);
  EXPECT_EQ(refused_nothing.rest(), "");
}

TEST_F(ServerTest, AfterARefusedSmallBodyTheConnectionGoesOn) {
  RawClient client(port_);
  client.send(std::string("PUT /refused HTTP/1.1\r\n") + kHost + "Content-Length: 5000\r\n\r\n");
  EXPECT_EQ(client.answer().status(), 403);
  client.send(std::string(5000, 'x') + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.answer().body, "GET /next? []");
}

TEST_F(ServerTest, StreamsBodiesIntoSinks) {
  RawClient client(port_);
  std::string big(5'000'000, 'b');
  client.send(std::string("PUT /sink HTTP/1.1\r\n") + kHost + "Content-Length: 5000000\r\n\r\n" + big);
  EXPECT_EQ(client.answer().body, "took 5000000");
  client.send(std::string("PUT /sink HTTP/1.1\r\n") + kHost + "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 10; ++i) client.send("10000\r\n" + big.substr(0, 65536) + "\r\n");
  client.send("0\r\n\r\n");
  EXPECT_EQ(client.answer().body, "took 655360");
  RawClient refused(port_);
  refused.send(std::string("PUT /sink-refuses HTTP/1.1\r\n") + kHost + "Content-Length: 5000000\r\n\r\n" +
               big);
  EXPECT_EQ(refused.answer().status(), 403);
}

TEST_F(ServerTest, SendsFilesSourcesAndHeads) {
  RawClient client(port_);
  client.send(std::string("GET /file HTTP/1.1\r\n") + kHost + "\r\n");
  auto file = client.answer();
  EXPECT_EQ(file.body, std::string(250'000, 'f'));
  client.send(std::string("HEAD /file HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_NE(client.until("\r\n\r\n").find("Content-Length: 250000"), std::string::npos);
  client.send(std::string("GET /source HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_NE(client.until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_EQ(client.until("0\r\n\r\n"), "1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n0\r\n\r\n");
  client.send("GET /source HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client.until("\r\n\r\n");
  EXPECT_EQ(client.rest(), "xxx");
}

// Without this: what is written to a live body reaches its reader late, in pieces of something else, or
// never; or the writer goes on for a reader who left.
TEST_F(ServerTest, LiveBodiesAreSentAsTheyComeAndEnd) {
  RawClient client(port_);
  client.send(std::string("GET /live HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_NE(client.until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  std::shared_ptr<LiveBody> live = handler_.take_live();
  for (const char* piece : {"one", "two"}) {
    EXPECT_TRUE(live->write(piece));
    EXPECT_EQ(client.until(std::string(piece) + "\r\n"), std::string("3\r\n") + piece + "\r\n");
  }
  EXPECT_TRUE(live->write(""));  // is not the end
  EXPECT_TRUE(live->write("last"));
  live->end();
  EXPECT_EQ(client.until("0\r\n\r\n"), "4\r\nlast\r\n0\r\n\r\n");
  EXPECT_FALSE(live->write("too late"));

  client.send(std::string("GET /live HTTP/1.1\r\n") + kHost + "\r\n");
  client.until("\r\n\r\n");
  live = handler_.take_live();
  client.close();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (live->write(std::string(1 << 20, 'x')) && std::chrono::steady_clock::now() < give_up)
    std::this_thread::yield();
  EXPECT_FALSE(live->write("x"));

  // A server that stops does not wait for it.
  RawClient another(port_);
  another.send(std::string("GET /live HTTP/1.1\r\n") + kHost + "\r\n");
  another.until("\r\n\r\n");
  live = handler_.take_live();
  const auto begin = std::chrono::steady_clock::now();
  server_.stop(std::chrono::seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_FALSE(live->write("x"));
}

// Without this: a reader who does not keep up lets the pieces that wait grow without bound.
TEST(LiveBodies, TheOldestPieceThatWaitsIsDropped) {
  LiveBody live(2);
  for (const char* piece : {"a", "b", "c"}) EXPECT_TRUE(live.write(piece));
  EXPECT_EQ(live.take(), "b");
  live.end();
  EXPECT_FALSE(live.ended());
  EXPECT_EQ(live.take(), "c");
  EXPECT_TRUE(live.ended());
  EXPECT_EQ(live.take(), std::nullopt);
}

TEST_F(ServerTest, NoValueBeginsAHeaderOfItsOwn) {
  RawClient client(port_);
  client.send(std::string("GET /split HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_EQ(client.answer().head.find("\nSet-Cookie"), std::string::npos);
}

TEST_F(ServerTest, ErrorsAndForgottenAnswers) {
  RawClient client(port_);
  client.send(std::string("GET /throw HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_EQ(client.answer().status(), 404);
  client.send(std::string("GET /drop HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_EQ(client.answer().status(), 500);
  client.send(std::string("GET /still HTTP/1.1\r\n") + kHost + "\r\n");
  EXPECT_EQ(client.answer().status(), 200);
}

TEST_F(ServerTest, ManyAnswersReleasedAtOnceByAnotherThread) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<RawClient>(port_));
    clients.back()->send(std::string("GET /later HTTP/1.1\r\n") + kHost + "\r\n");
  }
  clients[7]->close();  // one has gone: its answer goes nowhere, and nobody minds
  std::vector<Respond> waiting = handler_.take(64);
  for (size_t i = 0; i < waiting.size(); ++i) {
    Response response;
    response.body = "done";
    waiting[i](std::move(response));
    waiting[i](Response{});  // a second answer is no answer
  }
  for (int i = 0; i < 64; ++i)
    if (i != 7) {
      EXPECT_EQ(clients[static_cast<size_t>(i)]->answer().body, "done");
    }
}

TEST_F(ServerTest, SlowHeadsAndBodiesAreBrokenOff) {
  RawClient head(port_);
  head.send("GET / HT");
  EXPECT_EQ(head.answer().status(), 408);
  RawClient body(port_);
  body.send(std::string("PUT / HTTP/1.1\r\n") + kHost + "Content-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.answer().status(), 408);
}

TEST_F(ServerTest, AnswersAClientThatHasSaidAll) {
  RawClient client(port_);
  client.send(std::string("GET /half HTTP/1.1\r\n") + kHost + "\r\n");
  client.half_close();
  EXPECT_EQ(client.answer().body, "GET /half? []");
  EXPECT_EQ(client.rest(), "");
}

TEST_F(ServerTest, StopLetsRequestsInFlightFinish) {
  RawClient busy(port_), idle(port_);
  busy.send(std::string("GET /later HTTP/1.1\r\n") + kHost + "\r\n");
  std::vector<Respond> waiting = handler_.take(1);
  std::thread stopper([&] { server_.stop(std::chrono::seconds(10)); });
  EXPECT_EQ(idle.rest(), "");  // closed at once
  Response response;
  response.body = "last";
  waiting[0](std::move(response));
  auto answer = busy.answer();
  EXPECT_EQ(answer.body, "last");
  EXPECT_NE(answer.head.find("Connection: close"), std::string::npos);
  stopper.join();
}

TEST_F(ServerTest, AnAnswerAfterTheEndIsHarmless) {
  RawClient client(port_);
  client.send(std::string("GET /later HTTP/1.1\r\n") + kHost + "\r\n");
  std::vector<Respond> waiting = handler_.take(1);
  server_.stop(std::chrono::milliseconds(0));
  EXPECT_EQ(client.rest(), "");
  waiting[0](Response{});
}

TEST_F(ServerTest, APortInUseIsSaidSo) {
  ServerOptions second = options();
  second.port = port_;
  try {
    Server server(second, handler_);
    FAIL() << "two servers on one port";
  } catch (const base::ConflictError& error) {
    EXPECT_NE(std::string(error.what()).find("127.0.0.1:" + std::to_string(port_)), std::string::npos);
  }
  second.host = "192.0.2.1";
  EXPECT_THROW(Server(second, handler_), base::UsageError);
}

// Without it, a few thousand clients that keep connections open and say nothing shut everybody else out.
TEST(ServerLimits, TheConnectionThatWaitsLongestMakesRoom) {
  Handler handler;
  ServerOptions options;
  options.port = 0;
  options.connections_max = 2;
  Server server(options, handler);
  const std::string request = std::string("GET / HTTP/1.1\r\n") + kHost + "\r\n";
  const std::string later = std::string("GET /later HTTP/1.1\r\n") + kHost + "\r\n";
  RawClient a(server.port()), b(server.port());
  a.send(later);
  std::vector<Respond> first = handler.take(1);
  b.send(request);
  EXPECT_EQ(b.answer().status(), 200);
  RawClient c(server.port());
  c.send(later);
  EXPECT_EQ(b.rest(), "") << "b was idle, a was not";
  std::vector<Respond> second = handler.take(1);
  RawClient d(server.port());
  EXPECT_EQ(d.answer().status(), 503) << "all are at work";
  first.front()(Response{});
  second.front()(Response{});
  EXPECT_EQ(a.answer().status(), 200);
  EXPECT_EQ(c.answer().status(), 200);
}

TEST_F(ServerTest, TheClientTalksToTheServer) {
  Client client;
  ClientRequest request;
  request.method = "PUT";
  request.url = "http://127.0.0.1:" + std::to_string(port_) + "/a/../b//c?q=%41";
  request.body = "body";
  ClientResponse response = client.send(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "PUT /a/../b//c?q=%41 [body]");

  request.url = "http://127.0.0.1:" + std::to_string(port_) + "/sink";
  request.body.clear();
  uint64_t left = request.upload_size = 3'000'000;
  request.upload = [&left](char* out, size_t size) {
    size_t n = static_cast<size_t>(std::min<uint64_t>(size, left));
    std::fill(out, out + n, 'u');
    left -= n;
    return n;
  };
  EXPECT_EQ(client.send(request).body, "took 3000000");

  ClientRequest file;
  file.url = "http://127.0.0.1:" + std::to_string(port_) + "/file";
  size_t seen = 0;
  file.on_body = [&seen](std::string_view bytes) { return (seen += bytes.size()) < 100'000'000; };
  EXPECT_EQ(client.send(file).status, 200);
  EXPECT_EQ(seen, 250'000U);

  ClientRequest missing;
  missing.url = "http://127.0.0.1:" + std::to_string(port_) + "/throw?secret=1";
  EXPECT_EQ(client.send(missing).status, 404);
  server_.stop(std::chrono::milliseconds(0));
  try {
    client.send(missing);
    FAIL() << "an answer from nobody";
  } catch (const base::TransientError& error) {
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace millrace::http
