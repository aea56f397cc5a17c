#include "services/logs.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <map>
#include <stdexcept>

#include "aws/api_error.h"
#include "aws/protocol.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

namespace json = base::json;

constexpr base::TimeMs kNow = 1'800'000'000'000;

class Logs : public ::testing::Test {
 protected:
  // Through the tables, as a client's request goes: checks of the input, and of the output's members and
  // types.
  json::object call(const std::string& name, const json::object& input) {
    const aws::Operation* operation = aws::find_operation(*aws::find_service("logs"), name);
    if (operation == nullptr) throw std::runtime_error("no operation " + name);
    http::RequestHead head;
    head.method = "POST";
    head.path = "/";
    json::object decoded = aws::decode(*operation, head, json::serialize(input));
    http::Response response = aws::encode(*operation, service_.call(*operation, decoded), "id");
    return response.body.empty() ? json::object{} : json::parse(response.body).as_object();
  }
  // "code: message" of the error that the call ends in, or "".
  std::string error_of(const std::string& name, const json::object& input) {
    try {
      call(name, input);
    } catch (const aws::ApiError& error) {
      return error.code() + ": " + error.what();
    }
    return "";
  }

  millrace::testing::TemporaryFolder folder_;
  base::ManualClock clock_{kNow};
  logs::LogStore store_{folder_.path().string(), clock_};
  LogsService service_{store_, clock_, "123456789012", "us-east-1"};
};

json::object event(base::TimeMs timestamp, const std::string& message) {
  return {{"timestamp", timestamp}, {"message", message}};
}

// Without this: a CLI session over a group's life breaks on a missing member, a wrong type or a wrong error.
TEST_F(Logs, AGroupsWholeLife) {
  call("CreateLogGroup", {{"logGroupName", "/a/b"}, {"tags", {{"k", "v"}}}});
  EXPECT_EQ(error_of("CreateLogGroup", {{"logGroupName", "/a/b"}}),
            "ResourceAlreadyExistsException: The specified log group already exists");
  call("CreateLogStream", {{"logGroupName", "/a/b"}, {"logStreamName", "s"}});
  call("PutRetentionPolicy", {{"logGroupName", "/a/b"}, {"retentionInDays", 14}});
  EXPECT_TRUE(error_of("PutRetentionPolicy", {{"logGroupName", "/a/b"}, {"retentionInDays", 2}})
                  .starts_with("InvalidParameterException: "));

  json::object put =
      call("PutLogEvents", {{"logGroupName", "/a/b"},
                            {"logStreamName", "s"},
                            {"logEvents", json::array{event(kNow, "one"), event(kNow + 1, "two")}}});
  EXPECT_TRUE(put.contains("nextSequenceToken"));
  EXPECT_FALSE(put.contains("rejectedLogEventsInfo"));

  json::object groups = call("DescribeLogGroups", {{"logGroupNamePrefix", "/a"}});
  const json::object& group = groups.at("logGroups").as_array().at(0).as_object();
  EXPECT_EQ(group.at("arn"), "arn:aws:logs:us-east-1:123456789012:log-group:/a/b:*");
  EXPECT_EQ(group.at("retentionInDays"), 14);
  EXPECT_EQ(group.at("storedBytes"), 2 * 26 + 6);

  json::object streams = call("DescribeLogStreams", {{"logGroupIdentifier", group.at("logGroupArn")}});
  const json::object& stream = streams.at("logStreams").as_array().at(0).as_object();
  EXPECT_EQ(stream.at("firstEventTimestamp"), kNow);
  EXPECT_EQ(stream.at("lastEventTimestamp"), kNow + 1);

  json::object got = call("GetLogEvents", {{"logGroupName", "/a/b"}, {"logStreamName", "s"}});
  ASSERT_EQ(got.at("events").as_array().size(), 2u);
  json::object end = call("GetLogEvents", {{"logGroupName", "/a/b"},
                                           {"logStreamName", "s"},
                                           {"startFromHead", true},
                                           {"nextToken", got.at("nextForwardToken")}});
  EXPECT_EQ(end.at("nextForwardToken"), got.at("nextForwardToken"));

  json::object filtered = call("FilterLogEvents", {{"logGroupName", "/a/b"}, {"filterPattern", "two"}});
  ASSERT_EQ(filtered.at("events").as_array().size(), 1u);
  const json::object& found = filtered.at("events").as_array().at(0).as_object();
  EXPECT_EQ(found.at("logStreamName"), "s");
  EXPECT_EQ(found.at("eventId").as_string().size(), 56u);
  EXPECT_EQ(found.at("ingestionTime"), kNow);
  EXPECT_TRUE(filtered.at("searchedLogStreams").as_array().empty());
  EXPECT_FALSE(filtered.contains("nextToken"));

  const json::value arn = group.at("logGroupArn");
  call("TagResource", {{"resourceArn", arn}, {"tags", {{"x", "y"}}}});
  call("UntagResource", {{"resourceArn", arn}, {"tagKeys", json::array{"k"}}});
  EXPECT_EQ(call("ListTagsForResource", {{"resourceArn", arn}}).at("tags"), (json::value{{"x", "y"}}));

  call("DeleteLogStream", {{"logGroupName", "/a/b"}, {"logStreamName", "s"}});
  EXPECT_EQ(error_of("GetLogEvents", {{"logGroupName", "/a/b"}, {"logStreamName", "s"}}),
            "ResourceNotFoundException: The specified log stream does not exist.");
  call("DeleteLogGroup", {{"logGroupName", "/a/b"}});
  EXPECT_EQ(error_of("DescribeLogStreams", {{"logGroupName", "/a/b"}}),
            "ResourceNotFoundException: The specified log group does not exist.");
}

// Without this: a batch that AWS refuses is stored, in whole or in part.
TEST_F(Logs, PutRefusesWhatAwsRefuses) {
  call("CreateLogGroup", {{"logGroupName", "g"}});
  call("CreateLogStream", {{"logGroupName", "g"}, {"logStreamName", "s"}});
  auto put = [&](json::array events) {
    return error_of("PutLogEvents",
                    {{"logGroupName", "g"}, {"logStreamName", "s"}, {"logEvents", std::move(events)}});
  };
  EXPECT_EQ(put({event(kNow, "a"), event(kNow - 1, "b")}),
            "InvalidParameterException: Log events in a single PutLogEvents request must be in chronological "
            "order.");
  EXPECT_EQ(
      put({event(kNow - 86'400'001, "a"), event(kNow, "b")}),
      "InvalidParameterException: The batch of log events in a single PutLogEvents request cannot span more "
      "than 24 hours.");
  EXPECT_EQ(put({event(kNow, std::string(600'000, 'x')), event(kNow, std::string(600'000, 'x'))}),
            "InvalidParameterException: Upload too large: 1200052 bytes exceeds limit of 1048576");
  EXPECT_TRUE(
      call("GetLogEvents", {{"logGroupName", "g"}, {"logStreamName", "s"}}).at("events").as_array().empty());
  EXPECT_EQ(put({event(kNow, std::string(1'048'550, 'x'))}), "");
  json::object rejected =
      call("PutLogEvents", {{"logGroupName", "g"},
                            {"logStreamName", "s"},
                            {"logEvents", json::array{event(kNow, "a"), event(kNow + 7'200'001, "b")}}});
  EXPECT_EQ(rejected.at("rejectedLogEventsInfo").as_object().at("tooNewLogEventStartIndex"), 1);
  EXPECT_EQ(
      error_of("GetLogEvents", {{"logGroupName", "g"}, {"logStreamName", "s"}, {"nextToken", "nonsense"}}),
      "InvalidParameterException: The specified nextToken is invalid.");
}

// Without this: pages of groups repeat or skip some.
TEST_F(Logs, GroupsComeInPages) {
  for (int i = 0; i < 120; ++i) store_.create_group("g" + std::to_string(i));
  std::map<std::string, int> seen;
  json::object input{{"limit", 7}};
  for (;;) {
    json::object page = call("DescribeLogGroups", input);
    for (const json::value& group : page.at("logGroups").as_array())
      ++seen[std::string(base::view(group.as_object().at("logGroupName").as_string()))];
    if (!page.contains("nextToken")) break;
    input["nextToken"] = page.at("nextToken");
  }
  EXPECT_EQ(seen.size(), 120u);
  for (const auto& [name, count] : seen) EXPECT_EQ(count, 1) << name;
}

// Without this: bytes that are not UTF-8 in a job's output make the whole reply unreadable.
TEST_F(Logs, MessagesAreAlwaysUtf8) {
  store_.create_group("g");
  store_.create_stream("g", "s");
  store_.put_events("g", "s", {{kNow, "caf\xe9 \xc3\xa9 \xf0\x9f"}});
  json::object got = call("GetLogEvents", {{"logGroupName", "g"}, {"logStreamName", "s"}});
  EXPECT_EQ(got.at("events").as_array().at(0).as_object().at("message"),
            "caf\xef\xbf\xbd \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace millrace::services
