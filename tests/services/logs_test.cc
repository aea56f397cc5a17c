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

// Without this: what somebody tries out before making a filter, or makes by Terraform, is answered wrongly.
TEST_F(Logs, MetricFiltersAreTestedAndKept) {
  const json::array messages{
      "127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] \"GET /a.gif HTTP/1.0\" 200 1534",
      "127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] \"GET /a.gif HTTP/1.0\" 500 5324"};
  const json::object tested =
      call("TestMetricFilter", {{"filterPattern", "[ip, id, user, time, request, status = 5*, size]"},
                                {"logEventMessages", messages}});
  const json::array& matches = tested.at("matches").as_array();
  ASSERT_EQ(matches.size(), 1u);
  EXPECT_EQ(matches.at(0).at("eventNumber"), 1);
  EXPECT_EQ(matches.at(0).at("eventMessage"), messages.at(1));
  EXPECT_EQ(matches.at(0).at("extractedValues").at("$request"), "GET /a.gif HTTP/1.0");
  EXPECT_EQ(error_of("TestMetricFilter", {{"filterPattern", "{ $.a > x }"}, {"logEventMessages", {"m"}}}),
            "InvalidParameterException: Invalid metric filter pattern");
  EXPECT_EQ(error_of("FilterLogEvents", {{"logGroupName", "g"}, {"filterPattern", "{ $.a > x }"}}),
            "InvalidParameterException: Invalid filter pattern");

  call("CreateLogGroup", {{"logGroupName", "g"}});
  auto filter = [](const std::string& name) {
    return json::object{
        {"logGroupName", "g"},
        {"filterName", name},
        {"filterPattern", "ERROR"},
        {"metricTransformations", {{{"metricName", "m"}, {"metricNamespace", "n"}, {"metricValue", "1"}}}}};
  };
  for (const char* name : {"b", "a", "c"}) call("PutMetricFilter", filter(name));
  call("PutMetricFilter", filter("a"));
  EXPECT_TRUE(
      error_of("PutMetricFilter",
               json::object{{"logGroupName", "none"},
                            {"filterName", "x"},
                            {"filterPattern", ""},
                            {"metricTransformations",
                             {{{"metricName", "m"}, {"metricNamespace", "n"}, {"metricValue", "1"}}}}})
          .starts_with("ResourceNotFoundException"));
  json::object page = call("DescribeMetricFilters", {{"logGroupName", "g"}, {"limit", 2}});
  ASSERT_EQ(page.at("metricFilters").as_array().size(), 2u);
  EXPECT_EQ(page.at("metricFilters").at(0).at("filterName"), "a");
  EXPECT_EQ(page.at("metricFilters").at(0).at("creationTime"), kNow);
  page = call("DescribeMetricFilters", {{"logGroupName", "g"}, {"nextToken", page.at("nextToken")}});
  ASSERT_EQ(page.at("metricFilters").as_array().size(), 1u);
  EXPECT_FALSE(page.contains("nextToken"));
  EXPECT_EQ(call("DescribeMetricFilters", {{"metricName", "m"}, {"metricNamespace", "other"}})
                .at("metricFilters")
                .as_array()
                .size(),
            0u);
  EXPECT_EQ(call("DescribeLogGroups", {}).at("logGroups").at(0).at("metricFilterCount"), 3);
  call("DeleteMetricFilter", {{"logGroupName", "g"}, {"filterName", "b"}});
  EXPECT_TRUE(error_of("DeleteMetricFilter", {{"logGroupName", "g"}, {"filterName", "b"}})
                  .starts_with("ResourceNotFoundException"));
  EXPECT_TRUE(call("DescribeSubscriptionFilters", {{"logGroupName", "g"}})
                  .at("subscriptionFilters")
                  .as_array()
                  .empty());
  call("DeleteLogGroup", {{"logGroupName", "g"}});
  EXPECT_TRUE(call("DescribeMetricFilters", {}).at("metricFilters").as_array().empty());
}

// Without this: `terraform apply` of a log group's surroundings fails, or its next plan shows changes.
TEST_F(Logs, PoliciesKeysAndListsAreKept) {
  call("CreateLogGroup", {{"logGroupName", "/aws/g"}});
  call("CreateLogGroup", {{"logGroupName", "other/aws"}, {"logGroupClass", "INFREQUENT_ACCESS"}});
  call("PutResourcePolicy", {{"policyName", "p"}, {"policyDocument", "{\"Version\": \"2012-10-17\"}"}});
  const json::object policies = call("DescribeResourcePolicies", {});
  ASSERT_EQ(policies.at("resourcePolicies").as_array().size(), 1u);
  EXPECT_EQ(policies.at("resourcePolicies").at(0).at("policyDocument"), "{\"Version\": \"2012-10-17\"}");
  EXPECT_EQ(policies.at("resourcePolicies").at(0).at("lastUpdatedTime"), kNow);
  EXPECT_TRUE(error_of("PutResourcePolicy", {{"policyName", "p"}, {"policyDocument", "no JSON"}})
                  .starts_with("InvalidParameterException"));
  for (int i = 0; i < 9; ++i)
    call("PutResourcePolicy", {{"policyName", "p" + std::to_string(i)}, {"policyDocument", "{}"}});
  EXPECT_EQ(error_of("PutResourcePolicy", {{"policyName", "more"}, {"policyDocument", "{}"}}),
            "LimitExceededException: Resource limit exceeded.");
  call("DeleteResourcePolicy", {{"policyName", "p"}});
  EXPECT_EQ(error_of("DeleteResourcePolicy", {{"policyName", "p"}}),
            "ResourceNotFoundException: Policy with name [p] does not exist.");

  call("AssociateKmsKey", {{"logGroupName", "/aws/g"}, {"kmsKeyId", "arn:aws:kms:us-east-1:1:key/k"}});
  EXPECT_EQ(call("DescribeLogGroups", {}).at("logGroups").at(0).at("kmsKeyId"),
            "arn:aws:kms:us-east-1:1:key/k");
  call("DisassociateKmsKey",
       {{"resourceIdentifier", "arn:aws:logs:us-east-1:123456789012:log-group:/aws/g"}});
  EXPECT_FALSE(call("DescribeLogGroups", {}).at("logGroups").at(0).as_object().contains("kmsKeyId"));

  auto listed = [&](const json::object& input) {
    std::vector<std::string> names;
    const json::object page = call("ListLogGroups", input);
    for (const json::value& group : page.at("logGroups").as_array())
      names.emplace_back(base::view(group.at("logGroupName").as_string()));
    return names;
  };
  const std::string too_long =
      "InvalidParameterException: Invalid LogGroup or LogStream, both must have length less "
      "than or equal to 512.";
  EXPECT_EQ(error_of("CreateLogGroup", {{"logGroupName", std::string(513, 'x')}}), too_long);
  EXPECT_EQ(error_of("CreateLogStream", {{"logGroupName", "g"}, {"logStreamName", std::string(513, 'x')}}),
            too_long);
  const json::object two = call(
      "DescribeLogGroups", {{"logGroupIdentifiers",
                             {"other/aws", "none", "arn:aws:logs:us-east-1:123456789012:log-group:/aws/g"}}});
  ASSERT_EQ(two.at("logGroups").as_array().size(), 2u);
  EXPECT_EQ(two.at("logGroups").at(0).at("logGroupName"), "other/aws");
  EXPECT_EQ(listed({}), (std::vector<std::string>{"/aws/g", "other/aws"}));
  EXPECT_EQ(listed({{"logGroupNamePattern", "^/aws"}}), std::vector<std::string>{"/aws/g"});
  EXPECT_EQ(listed({{"logGroupNamePattern", "aws"}}), (std::vector<std::string>{"/aws/g", "other/aws"}));
  EXPECT_EQ(listed({{"logGroupClass", "INFREQUENT_ACCESS"}}), std::vector<std::string>{"other/aws"});
  EXPECT_EQ(listed({{"limit", 1}}), std::vector<std::string>{"/aws/g"});
  EXPECT_EQ(listed({{"limit", 1}, {"nextToken", "/aws/g"}}), std::vector<std::string>{"other/aws"});
  EXPECT_EQ(error_of("DescribeLogStreams", {{"logGroupName", "/aws/g"}, {"logGroupIdentifier", "/aws/g"}}),
            "ValidationException: LogGroup name and LogGroup ARN are mutually exclusive parameters.");
}

}  // namespace
}  // namespace millrace::services
