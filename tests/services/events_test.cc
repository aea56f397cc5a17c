#include "services/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "aws/api_error.h"
#include "aws/input_check.h"
#include "base/strings.h"
#include "services/scheduler.h"
#include "tests/events/corpora.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::text_of;
using ::testing::HasSubstr;

class Nowhere final : public events::Outlet {
 public:
  void send(const events::Delivery&, const std::string&, bool, Done done) override {
    done({true, "", "", false, 0});
  }
};

class EventsTest : public ::testing::Test {
 protected:
  EventsTest() { hub_.start(); }

  // The answer, or "Code: message".
  template <typename Service>
  std::variant<json::object, std::string> call_service(Service& service, const char* model, const char* name,
                                                       const std::string& input) {
    const aws::ServiceModel& known = *aws::find_service(model);
    const aws::Operation& operation = *aws::find_operation(known, name);
    EXPECT_TRUE(Service::implements(name)) << name;
    std::promise<std::variant<json::object, std::string>> promise;
    try {
      json::object object = base::parse_json(input).as_object();
      json::object bound;  // what comes in the path and the query
      for (const aws::Member& member : operation.input->members)
        if (const json::value* value = object.if_contains(member.name);
            value && member.location != aws::Location::kBody) {
          bound[member.name] = *value;
          object.erase(member.name);
        }
      aws::check_input(known, *operation.input, object, aws::InputForm::kWireJson, std::move(bound));
      service.call(operation, std::move(object), [&](json::object answer, std::exception_ptr error) {
        if (!error) return promise.set_value(std::move(answer));
        try {
          std::rethrow_exception(error);
        } catch (const aws::ApiError& e) {
          promise.set_value(e.code() + ": " + e.what());
        }
      });
      return promise.get_future().get();
    } catch (const aws::ApiError& e) {
      return e.code() + ": " + e.what();
    }
  }
  json::object events(const char* name, const std::string& input = "{}") {
    auto answer = call_service(events_, "events", name, input);
    if (auto* error = std::get_if<std::string>(&answer)) ADD_FAILURE() << name << ": " << *error;
    return answer.index() == 0 ? std::get<0>(answer) : json::object();
  }
  std::string events_error(const char* name, const std::string& input) {
    auto answer = call_service(events_, "events", name, input);
    return answer.index() == 1 ? std::get<1>(answer) : "no error: " + json::serialize(std::get<0>(answer));
  }
  std::string scheduler_error(const char* name, const std::string& input) {
    auto answer = call_service(scheduler_, "scheduler", name, input);
    return answer.index() == 1 ? std::get<1>(answer) : "no error";
  }

  static std::string target(const std::string& more, const std::string& id = "t") {
    return R"({"Rule":"r","Targets":[{"Id":")" + id + R"(","Arn":"arn:aws:logs:us-east-1:1:log-group:g")" +
           more + "}]}";
  }

  millrace::testing::TemporaryFolder folder_;
  base::SystemClock clock_;
  Nowhere nowhere_;
  events::Hub hub_{{}, folder_ / "events.db", clock_, nowhere_};
  EventsService events_{hub_};
  SchedulerService scheduler_{hub_};
};

// Without this: tools that look at AWS's codes and texts take a missing thing for a failure, or the other way
// round.
TEST_F(EventsTest, ErrorsAreAwss) {
  events("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[\"s\"]}"})");
  const struct {
    const char *operation, *input, *error;
  } table[] = {
      {"DescribeRule", R"({"Name":"none"})",
       "ResourceNotFoundException: Rule none does not exist on EventBus default."},
      {"DescribeEventBus", R"({"Name":"none"})", "ResourceNotFoundException: Event bus none does not exist."},
      {"PutRule", R"({"Name":"x","EventBusName":"none","EventPattern":"{\"source\":[\"s\"]}"})",
       "ResourceNotFoundException: Event bus none does not exist."},
      {"PutRule", R"({"Name":"x"})",
       "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified."},
      {"PutRule", R"x({"Name":"x","ScheduleExpression":"rate(1 minutes)"})x",
       "ValidationException: Parameter ScheduleExpression is not valid."},
      {"CreateEventBus", R"({"Name":"default"})",
       "ResourceAlreadyExistsException: Event bus default already exists."},
      {"DeleteEventBus", R"({"Name":"default"})", "ValidationException: Cannot delete event bus default."},
      {"RemovePermission", R"({"StatementId":"none"})",
       "ResourceNotFoundException: Statement with the provided id does not exist."},
      {"TagResource",
       R"({"ResourceARN":"arn:aws:events:us-east-1:123456789012:rule/none","Tags":[{"Key":"a","Value":"b"}]})",
       "ResourceNotFoundException: Rule none does not exist on EventBus default."},
      {"DescribeArchive", R"({"ArchiveName":"none"})",
       "ResourceNotFoundException: Archive none does not exist."},
      {"UpdateArchive", R"({"ArchiveName":"none"})",
       "ValidationException: At least one of EventPattern, RetentionDays or Description must be provided."},
      {"DescribeReplay", R"({"ReplayName":"none"})",
       "ResourceNotFoundException: Replay none does not exist."},
      {"DescribeConnection", R"({"Name":"none"})",
       "ResourceNotFoundException: Failed to describe the connection(s). Connection 'none' does not exist."},
      {"DescribeApiDestination", R"({"Name":"none"})",
       "ResourceNotFoundException: Failed to describe the api-destination(s). An api-destination 'none' does "
       "not "
       "exist."},
      {"TestEventPattern", R"({"EventPattern":"{\"source\":[\"s\"]}","Event":"[]"})",
       "ValidationException: Parameter Event is not valid."},
  };
  for (const auto& row : table) EXPECT_EQ(events_error(row.operation, row.input), row.error) << row.operation;
  EXPECT_THAT(
      events_error("PutRule", R"({"Name":"x","EventPattern":"{\"source\":\"s\"}"})"),
      HasSubstr("InvalidEventPatternException: Event pattern is not valid. Reason: \"source\" must be an "
                "object or an array"));
  EXPECT_EQ(events_error("PutTargets", target(R"(,"Input":"{}","InputPath":"$.a")")),
            "ValidationException: Only one of Input, InputPath, or InputTransformer must be provided for "
            "target t.");
  EXPECT_EQ(events_error("PutTargets", target(R"(,"InputTransformer":{"InputTemplate":"\"<gone>\""})")),
            "ValidationException: InputTemplate for target t contains invalid placeholder gone.");
  EXPECT_THAT(
      events_error("PutTargets",
                   R"({"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:sns:us-east-1:123456789012:topic"}]})"),
      HasSubstr("cannot be a target in this version of Millrace"));
  EXPECT_THAT(
      events_error("PutTargets", R"({"Rule":"r","Targets":[{"Id":"t","InputPath":"$.detail",)"
                                 R"("Arn":"arn:aws:events:us-east-1:123456789012:event-bus/default"}]})"),
      HasSubstr("an event bus gets the event as it is"));
  EXPECT_THAT(
      events_error("PutTargets", target(R"(,"DeadLetterConfig":{"Arn":"arn:aws:sns:us-east-1:1:topic"})")),
      HasSubstr("cannot be a dead-letter destination"));
}

// Without this: one rule fans out without bound, or the sixth target is dropped without a word.
TEST_F(EventsTest, LimitsAreAwss) {
  events("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[\"s\"]}"})");
  for (int i = 0; i < 5; ++i) events("PutTargets", target("", "t" + std::to_string(i)));
  const std::string limit =
      "LimitExceededException: The requested resource exceeds the maximum number allowed.";
  EXPECT_EQ(events_error("PutTargets", target("", "t5")), limit);
  EXPECT_EQ(events("ListTargetsByRule", R"({"Rule":"r"})").at("Targets").as_array().size(), 5u);
  EXPECT_EQ(events_error("DeleteRule", R"({"Name":"r"})"),
            "ValidationException: Rule can't be deleted since it has targets.");
  for (int i = 1; i < 300; ++i)
    events("PutRule", R"({"Name":"r)" + std::to_string(i) + R"(","EventPattern":"{\"source\":[\"s\"]}"})");
  EXPECT_EQ(events_error("PutRule", R"({"Name":"one-more","EventPattern":"{\"source\":[\"s\"]}"})"), limit);
  // All of them are there, page by page, once.
  std::set<std::string> names;
  std::string token;
  do {
    json::object page =
        events("ListRules", R"({"NamePrefix":"r","Limit":70)" +
                                (token.empty() ? "" : R"(,"NextToken":")" + token + "\"") + "}");
    EXPECT_LE(page.at("Rules").as_array().size(), 70u);
    for (const json::value& rule : page.at("Rules").as_array())
      EXPECT_TRUE(names.insert(std::string(base::view(rule.at("Name").as_string()))).second);
    token = base::find_string(page, "NextToken").value_or("");
  } while (!token.empty());
  EXPECT_EQ(names.size(), 300u);
}

// Without this: one bad entry makes the others fail, or is taken.
TEST_F(EventsTest, EntriesAreJudgedOneByOne) {
  json::object answer = events("PutEvents", R"({"Entries":[
    {"Source":"s","DetailType":"t","Detail":"{}"},
    {"DetailType":"t","Detail":"{}"},
    {"Source":"s","Detail":"{}"},
    {"Source":"s","DetailType":"t"},
    {"Source":"s","DetailType":"t","Detail":"[]"},
    {"Source":"s","DetailType":"t","Detail":"\"text\""}]})");
  EXPECT_EQ(answer.at("FailedEntryCount"), 5);
  const json::array& entries = answer.at("Entries").as_array();
  EXPECT_EQ(entries[0].at("EventId").as_string().size(), 36u);
  EXPECT_EQ(
      json::serialize(entries[1]),
      R"({"ErrorCode":"InvalidArgument","ErrorMessage":"Parameter Source is not valid. Reason: Source is a )"
      R"(required argument."})");
  EXPECT_EQ(entries[3].at("ErrorMessage"),
            "Parameter Detail is not valid. Reason: Detail is a required argument.");
  EXPECT_EQ(entries[4].at("ErrorMessage"), "Detail is malformed.");
  EXPECT_EQ(entries[5].at("ErrorCode"), "MalformedDetail");
  const std::string large(256 * 1024, 'x');
  EXPECT_EQ(events_error("PutEvents", R"({"Entries":[{"Source":"s","DetailType":"t","Detail":"{\"a\":\")" +
                                          large + "\\\"}\"}]}"),
            "ValidationException: Total size of the entries in the request is over the limit.");
}

// Without this: a replay sends to another bus than the archive's, or for no time at all.
TEST_F(EventsTest, ReplaysAreChecked) {
  const std::string bus = "arn:aws:events:us-east-1:123456789012:event-bus/default";
  const std::string archive = "arn:aws:events:us-east-1:123456789012:archive/a";
  events("CreateEventBus", R"({"Name":"other"})");
  events("CreateArchive", R"({"ArchiveName":"a","EventSourceArn":")" + bus + "\"}");
  EXPECT_EQ(events_error("CreateArchive", R"({"ArchiveName":"a","EventSourceArn":")" + bus + "\"}"),
            "ResourceAlreadyExistsException: Archive a already exists.");
  auto replay = [&](const std::string& source, const std::string& to, int from, int until) {
    return events_error("StartReplay", R"({"ReplayName":"r","EventSourceArn":")" + source +
                                           R"(","Destination":{"Arn":")" + to + R"("},"EventStartTime":)" +
                                           std::to_string(from) +
                                           ",\"EventEndTime\":" + std::to_string(until) + "}");
  };
  EXPECT_EQ(replay(archive + "x", bus, 1, 2),
            "ValidationException: Parameter EventSourceArn is not valid. Reason: Archive ax does not exist.");
  EXPECT_EQ(
      replay(archive, "arn:aws:events:us-east-1:123456789012:event-bus/other", 1, 2),
      "ValidationException: Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not "
      "permitted.");
  EXPECT_EQ(replay(archive, bus, 2, 2),
            "ValidationException: Parameter EventEndTime is not valid. Reason: EventStartTime must be before "
            "EventEndTime.");
  EXPECT_THAT(replay(archive, bus, 1, 2), HasSubstr("STARTING"));
  EXPECT_EQ(replay(archive, bus, 1, 2), "ResourceAlreadyExistsException: Replay r already exists.");
}

// Without this: who may send to a bus is forgotten, or its policy is no policy.
TEST_F(EventsTest, PermissionsAreKept) {
  events("PutPermission", R"({"Action":"events:PutEvents","Principal":"111122223333","StatementId":"one"})");
  events("PutPermission", R"({"Action":"events:PutEvents","Principal":"*","StatementId":"all","Condition":
    {"Type":"StringEquals","Key":"aws:PrincipalOrgID","Value":"o-1"}})");
  json::object bus = events("DescribeEventBus");
  json::value policy = base::parse_json(base::view(bus.at("Policy").as_string()));
  ASSERT_EQ(policy.at("Statement").as_array().size(), 2u);
  EXPECT_EQ(policy.at("Statement").at(0).at("Principal").at("AWS"), "arn:aws:iam::111122223333:root");
  EXPECT_EQ(policy.at("Statement").at(1).at("Condition").at("StringEquals").at("aws:PrincipalOrgID"), "o-1");
  events("RemovePermission", R"({"StatementId":"one"})");
  events("RemovePermission", R"({"RemoveAllPermissions":true})");
  EXPECT_FALSE(events("DescribeEventBus").contains("Policy"));
}

// Without this: tools that list what an account has stop at an error instead of finding nothing.
TEST_F(EventsTest, ThereAreNoPartnersAndNoEndpoints) {
  EXPECT_EQ(json::serialize(events("ListEndpoints")), R"({"Endpoints":[]})");
  EXPECT_EQ(json::serialize(events("ListEventSources")), R"({"EventSources":[]})");
  EXPECT_EQ(json::serialize(events("ListPartnerEventSources", R"({"NamePrefix":"aws.partner/x/y"})")),
            R"({"PartnerEventSources":[]})");
  EXPECT_EQ(events_error("DescribeEndpoint", R"({"Name":"none"})"),
            "ResourceNotFoundException: Endpoint none does not exist.");
  EXPECT_EQ(events_error("DescribeEventSource", R"({"Name":"aws.partner/x/y"})"),
            "ResourceNotFoundException: Event source aws.partner/x/y does not exist.");
}

// Without this: a schedule that cannot run is taken, and nobody hears of it before its time.
TEST_F(EventsTest, SchedulesAreChecked) {
  auto schedule = [](const std::string& expression, const std::string& target,
                     const std::string& window = "OFF") {
    return R"({"Name":"s","ScheduleExpression":")" + expression + R"(","FlexibleTimeWindow":{"Mode":")" +
           window + R"("},"Target":{"RoleArn":"arn:aws:iam::123456789012:role/r",)" + target + "}}";
  };
  const std::string submit = R"("Arn":"arn:aws:scheduler:::aws-sdk:batch:submitJob",)"
                             R"("Input":"{\"JobName\":\"n\",\"JobQueue\":\"q\",\"JobDefinition\":\"d\"}")";
  EXPECT_EQ(scheduler_error("CreateSchedule", schedule("cron(71 8 1 * ? *)", submit)),
            "ValidationException: Invalid Schedule Expression cron(71 8 1 * ? *).");
  EXPECT_THAT(scheduler_error("CreateSchedule", schedule("rate(1 hour)", submit, "FLEXIBLE")),
              HasSubstr("MaximumWindowInMinutes"));
  EXPECT_THAT(scheduler_error("CreateSchedule",
                              schedule("rate(1 hour)", R"("Arn":"arn:aws:lambda:us-east-1:1:function:f")")),
              HasSubstr("cannot be a target in this version of Millrace"));
  EXPECT_EQ(scheduler_error("CreateSchedule", schedule("rate(1 hour)", submit)), "no error");
  EXPECT_EQ(scheduler_error("CreateSchedule", schedule("rate(1 hour)", submit)),
            "ConflictException: Schedule s already exists.");
  EXPECT_EQ(scheduler_error("UpdateSchedule", schedule("rate(2 hours)", submit)), "no error");
  EXPECT_EQ(scheduler_error("GetSchedule", R"({"Name":"s","GroupName":"none"})"),
            "ResourceNotFoundException: Schedule s does not exist.");
}

// "<archive-name>" and the like become "none", which is what everything is called below.
std::string with_our_name(std::string message) {
  for (size_t open = 0; (open = message.find('<', open)) != std::string::npos; ++open) {
    const size_t close = message.find('>', open);
    if (close == std::string::npos) break;
    message.replace(open, close - open + 1, "none");
  }
  return message;
}

// Several errors at once, and the values that an enumeration has, come in the order of Java's hashes.
std::multiset<std::string> in_any_order(std::string message) {
  for (char& c : message)
    if (c == ',' || c == ';' || c == '[' || c == ']') c = ' ';
  std::multiset<std::string> words;
  for (const std::string_view word : base::split(message, ' ')) words.emplace(word);
  words.erase("");
  return words;
}

// Without this: our words drift from those that were recorded at AWS.
TEST_F(EventsTest, RecordedErrorsAreGiven) {
  const auto cases = events::corpus("aws-error-messages.jsonl");
  if (cases.empty()) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  const std::string bus = R"("arn:aws:events:us-east-1:123456789012:event-bus/)";
  const std::string rule = R"("arn:aws:events:us-east-1:123456789012:rule/)";
  const std::string archive = R"("arn:aws:events:us-east-1:123456789012:archive/)";
  const std::string pattern = R"("EventPattern":"{\"source\":[\"s\"]}")";
  std::set<std::multiset<std::string>> given;
  auto fails = [&](const char* name, const std::string& input) {
    given.insert(in_any_order(events_error(name, input)));
  };
  auto replay = [&](const std::string& name, const std::string& from, const std::string& to, int end) {
    return R"({"ReplayName":")" + name + R"(","EventSourceArn":)" + archive + from +
           R"(","Destination":{"Arn":)" + bus + to + R"("},"EventStartTime":1,"EventEndTime":)" +
           std::to_string(end) + "}";
  };
  auto name = [](const std::string& key) { return "{\"" + key + R"(":"none"})"; };
  const std::string connection = R"("AuthorizationType":"API_KEY","AuthParameters":)"
                                 R"({"ApiKeyAuthParameters":{"ApiKeyName":"n","ApiKeyValue":"v"}})";
  fails("DescribeConnection", name("Name"));
  fails("CreateConnection", R"({"Name":"n","AuthorizationType":"INVALID_AUTH_TYPE","AuthParameters":{}})");
  fails("CreateConnection", R"({"Name":"Invalid Name With Spaces!",)" + connection + "}");
  fails("CreateConnection", R"({"Name":"This should fail with two errors 123467890123412341234123412341234",)"
                            R"("AuthorizationType":"INVALID","AuthParameters":{}})");
  fails("DescribeApiDestination", name("Name"));
  fails("CreateApiDestination",
        R"({"Name":"n","ConnectionArn":"invalid-connection-arn","HttpMethod":"INVALID_METHOD",)"
        R"("InvocationEndpoint":"https://h"})");
  fails(
      "CreateApiDestination",
      R"({"Name":"Invalid Name With Spaces!","ConnectionArn":)"
      R"("arn:aws:events:us-east-1:123456789012:connection/n/1","HttpMethod":"POST","InvocationEndpoint":"https://h"})");
  for (const char* operation : {"DescribeEventBus", "ListRules"})
    fails(operation, operation[0] == 'D' ? name("Name") : name("EventBusName"));
  fails("DeleteEventBus", R"({"Name":"default"})");
  fails("RemovePermission", R"({"StatementId":"x"})");
  fails("CreateArchive", R"({"ArchiveName":"none","EventSourceArn":)" + bus + "none\"}");
  for (const char* operation : {"DescribeArchive", "UpdateArchive", "DeleteArchive"})
    fails(operation, name("ArchiveName"));
  fails("DescribeReplay", name("ReplayName"));
  fails("StartReplay", replay("r", "none", "default", 2));
  fails("DescribeRule", name("Name"));
  fails("ListTagsForResource", R"({"ResourceARN":)" + rule + "none\"}");
  fails("TagResource", R"({"Tags":[{"Key":"k","Value":"v"}],"ResourceARN":)" + bus + "none\"}");
  fails("PutRule", R"x({"Name":"n","ScheduleExpression":"cron(INVALID)"})x");
  fails("TestEventPattern", "{" + pattern + R"(,"Event":"text"})");
  fails("PutEvents", R"({"Entries":[{"Source":"s","DetailType":"t","Detail":"{\"a\":\")" +
                         std::string(256 << 10, 'x') + R"(\"}"}]})");

  events("CreateEventBus", name("Name"));
  fails("CreateEventBus", name("Name"));
  fails("PutRule", R"x({"Name":"n","EventBusName":"none","ScheduleExpression":"rate(1 day)"})x");
  fails("DescribeRule", R"({"Name":"none","EventBusName":"none"})");
  events("CreateArchive", R"({"ArchiveName":"none","EventSourceArn":)" + bus + "default\"}");
  fails("CreateArchive", R"({"ArchiveName":"none","EventSourceArn":)" + bus + "default\"}");
  fails("StartReplay", replay("r", "none", "none", 2));
  fails("StartReplay", replay("r", "none", "default", 1));
  events("StartReplay", replay("none", "none", "default", 2));
  fails("StartReplay", replay("none", "none", "default", 2));
  events("PutRule", R"({"Name":"r",)" + pattern + "}");
  for (int i = 0; i < 5; ++i) events("PutTargets", target("", "t" + std::to_string(i)));
  fails("PutTargets", target("", "t5"));
  fails("DeleteRule", R"({"Name":"r"})");
  fails("PutTargets", target("", "!@#$@!#$"));
  const std::string long_id(65, 'x');
  fails("PutTargets", target("", long_id));
  fails("PutTargets", target(R"(,"Input":"{}","InputPath":"$.a")", "none"));
  fails("PutTargets", target(R"(,"InputTransformer":{"InputTemplate":"\"<notdefinedkey>\""})", "none"));

  size_t checked = 0;
  for (const auto& each : cases) {
    const std::string service = text_of(each, "service");
    std::string message = with_our_name(text_of(each, "message"));
    const bool schedule =
        message.starts_with("Invalid Schedule Expression ");  // by schedule-validation.jsonl
    const bool of_pattern = message.starts_with("Event pattern is not valid.");  // by the files of patterns
    // Of eleven entries the recorded text has the names of Java's classes.
    if (service != "events" || schedule || of_pattern ||
        message.find("PutEventsRequestEntry") != std::string::npos)
      continue;
    message = base::replace_all(message, "second-invalid-target-id", long_id);
    EXPECT_TRUE(given.contains(in_any_order(text_of(each, "code") + ": " + message)))
        << text_of(each, "test") << "\n"
        << message;
    ++checked;
  }
  EXPECT_GT(checked, 30u);
}

}  // namespace
}  // namespace millrace::services
