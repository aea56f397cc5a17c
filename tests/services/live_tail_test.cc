#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <condition_variable>
#include <mutex>

#include "aws/api_error.h"
#include "aws/event_stream.h"
#include "aws/protocol.h"
#include "http/live_body.h"
#include "services/logs.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

namespace json = base::json;

constexpr base::TimeMs kNow = 1'800'000'000'000;
constexpr char kArn[] = "arn:aws:logs:us-east-1:123456789012:log-group:jobs";

// Reads a live body frame by frame, as a connection and a client would.
class Reader {
 public:
  explicit Reader(std::shared_ptr<http::LiveBody> body) : body_(std::move(body)) {
    body_->attach([this] {
      std::scoped_lock lock(mutex_);
      woken_ = true;
      wake_.notify_all();
    });
  }
  ~Reader() { body_->abandon(); }
  // The next frame: its ":event-type" or ":exception-type", and payload. "end" at the end.
  std::pair<std::string, json::object> next() {
    for (;;) {
      aws::EventStreamMessage message;
      size_t used = 0;
      if (aws::decode_event_stream(bytes_, message, used) == aws::EventStreamState::kWhole) {
        bytes_.erase(0, used);
        return {message.headers.at(0).value, json::parse(message.payload).as_object()};
      }
      std::unique_lock lock(mutex_);
      if (auto piece = body_->take()) {
        bytes_ += *piece;
        continue;
      }
      if (body_->ended()) return {"end", {}};
      if (!wake_.wait_for(lock, std::chrono::seconds(30), [this] { return std::exchange(woken_, false); }))
        return {"nothing came", {}};
    }
  }

 private:
  std::shared_ptr<http::LiveBody> body_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  std::string bytes_;
};

class LiveTail : public ::testing::Test {
 protected:
  LiveTail() {
    store_.create_group("jobs");
    store_.create_stream("jobs", "a/1");
  }
  http::Response start(const json::object& input, LiveTailOptions options = {}) {
    using std::chrono::milliseconds;
    if (options.update_every == LiveTailOptions().update_every) options.update_every = milliseconds(20);
    service_ = std::make_unique<LogsService>(store_, clock_, "123456789012", "us-east-1", options);
    return again(input);
  }
  http::Response again(const json::object& input) {
    const aws::Operation* operation = aws::find_operation(*aws::find_service("logs"), "StartLiveTail");
    http::RequestHead head;
    head.method = "POST";
    head.path = "/";
    return service_->stream(*operation, aws::decode(*operation, head, json::serialize(input)), "request-1");
  }
  std::string error_of(const json::object& input) {
    try {
      start(input);
    } catch (const aws::ApiError& error) {
      return error.code() + ": " + error.what();
    }
    return "";
  }

  millrace::testing::TemporaryFolder folder_;
  base::ManualClock clock_{kNow};
  logs::LogStore store_{folder_.path().string(), clock_};
  std::unique_ptr<LogsService> service_;
};

// Without this: the newest SDKs' StartLiveTail gets no first event that they accept, no updates while nothing
// happens, or no lines.
TEST_F(LiveTail, BeginsUpdatesAndShowsLines) {
  http::Response response = start({{"logGroupIdentifiers", json::array{kArn}},
                                   {"logEventFilterPattern", "ERROR"},
                                   {"logStreamNames", {"a/1"}}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("content-type"), "application/vnd.amazon.eventstream");
  EXPECT_TRUE(response.body.empty());
  Reader reader(response.live);
  EXPECT_EQ(reader.next().first, "initial-response");
  auto [first, begin] = reader.next();
  EXPECT_EQ(first, "sessionStart");
  EXPECT_EQ(begin.at("requestId"), "request-1");
  EXPECT_EQ(begin.at("sessionId").as_string().size(), 36u);
  EXPECT_EQ(begin.at("logGroupIdentifiers"), json::array{kArn});
  EXPECT_EQ(begin.at("logStreamNames"), json::array{"a/1"});
  EXPECT_EQ(begin.at("logEventFilterPattern"), "ERROR");
  EXPECT_FALSE(begin.contains("logStreamNamePrefixes"));
  auto [second, empty] = reader.next();
  EXPECT_EQ(second, "sessionUpdate");
  EXPECT_EQ(json::serialize(empty), R"({"sessionMetadata":{"sampled":false},"sessionResults":[]})");

  store_.put_events("jobs", "a/1", {{kNow - 5, "ERROR caf\xe9"}, {kNow, "fine"}});
  json::object update;
  while (update.empty() || update.at("sessionResults").as_array().empty()) update = reader.next().second;
  const json::array& results = update.at("sessionResults").as_array();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results.at(0), (json::object{{"logStreamName", "a/1"},
                                         {"logGroupIdentifier", kArn},
                                         {"message", "ERROR caf\xef\xbf\xbd"},
                                         {"timestamp", kNow - 5},
                                         {"ingestionTime", kNow}}));
}

// Without this: sessions live for ever, or end without a word.
TEST_F(LiveTail, EndsAfterItsTime) {
  LiveTailOptions options;
  options.session_time_max = std::chrono::milliseconds(50);
  Reader reader(start({{"logGroupIdentifiers", {"jobs"}}}, options).live);
  std::string type, last;
  for (type = reader.next().first; type != "end" && type != "nothing came"; type = reader.next().first)
    last = type;
  EXPECT_EQ(type, "end");
  EXPECT_EQ(last, "SessionTimeoutException");
}

// Without this: sessions whose clients have gone add up, or as many as anybody likes are kept.
TEST_F(LiveTail, SessionsAreCountedAndForgotten) {
  LiveTailOptions options;
  options.sessions_max = 2;
  const json::object input{{"logGroupIdentifiers", {"jobs"}}};
  std::shared_ptr<http::LiveBody> one = start(input, options).live;
  Reader two(again(input).live);
  EXPECT_THROW(again(input), aws::ApiError);
  one->abandon();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (bool taken = false; !taken;) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    two.next();  // some time passes
    try {
      again(input);
      taken = true;
    } catch (const aws::ApiError& error) {
      ASSERT_EQ(error.code(), "LimitExceededException");
    }
  }
}

// Without this: what AWS refuses is followed.
TEST_F(LiveTail, RefusesWhatAwsRefuses) {
  EXPECT_TRUE(
      error_of({{"logGroupIdentifiers", json::array(11, kArn)}}).starts_with("InvalidParameterException"));
  EXPECT_TRUE(error_of({{"logGroupIdentifiers", json::array()}}).starts_with("InvalidParameterException"));
  EXPECT_EQ(error_of({{"logGroupIdentifiers", {"none"}}}),
            "ResourceNotFoundException: The specified log group does not exist.");
  EXPECT_TRUE(
      error_of(
          {{"logGroupIdentifiers", {"jobs"}}, {"logStreamNames", {"a"}}, {"logStreamNamePrefixes", {"a"}}})
          .starts_with("InvalidParameterException"));
  EXPECT_TRUE(error_of({{"logGroupIdentifiers", {"jobs", "jobs"}}, {"logStreamNames", {"a"}}})
                  .starts_with("InvalidParameterException"));
  EXPECT_EQ(error_of({{"logGroupIdentifiers", {"jobs"}}, {"logEventFilterPattern", "a(b"}}),
            "InvalidParameterException: Invalid filter pattern: Invalid character(s) in term '('");
}

}  // namespace
}  // namespace millrace::services
