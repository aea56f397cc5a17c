#include "events/hub.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <future>
#include <map>
#include <mutex>

#include "base/error.h"
#include "events/target_request.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace millrace::events {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class SetClock final : public base::Clock {
 public:
  TimeMs now_ms() const override { return now_; }
  void set(TimeMs now) { now_ = now; }
  void advance(TimeMs by) { now_ += by; }

 private:
  std::atomic<TimeMs> now_ = *base::parse_iso8601("2026-11-21T12:00:00Z");
};

// Notes what it is asked, and answers as it was told; like the engine it knows tokens.
class FakeOutlet final : public Outlet {
 public:
  struct Sent {
    Delivery delivery;
    std::string token;
    bool expired;
  };
  void send(const Delivery& delivery, const std::string& token, bool expired, Done done) override {
    DeliveryResult result{true, "job 1", "", false, 0};
    {
      std::lock_guard lock(mutex);
      sent.push_back({delivery, token, expired});
      if (silent) return changed.notify_all();
      if (!answers.empty()) {
        result = answers.front();
        answers.erase(answers.begin());
      }
    }
    changed.notify_all();
    done(result);
  }
  std::vector<Sent> wait_for(size_t count) {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, std::chrono::seconds(20), [&] { return sent.size() >= count; }))
      ADD_FAILURE() << "only " << sent.size() << " of " << count << " deliveries";
    return sent;
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Sent> sent;
  std::vector<DeliveryResult> answers;  // then all arrive
  bool silent = false;
};

class HubTest : public ::testing::Test {
 protected:
  void open() {
    hub = std::make_unique<Hub>(Place{}, file.empty() ? folder / "events.db" : file, clock, outlet);
    hub->start();
  }
  void close() { hub.reset(); }

  json::object change(Hub::Change what) {
    std::promise<json::object> promise;
    hub->change(std::move(what), [&](json::object reply, std::exception_ptr error) {
      if (error)
        promise.set_exception(error);
      else
        promise.set_value(std::move(reply));
    });
    return promise.get_future().get();
  }
  json::object read(Hub::Read what) {
    std::promise<json::object> promise;
    hub->read(std::move(what), [&](json::object reply, std::exception_ptr error) {
      if (error)
        promise.set_exception(error);
      else
        promise.set_value(std::move(reply));
    });
    return promise.get_future().get();
  }
  void accept(std::vector<Event> events) {
    std::promise<void> promise;
    hub->accept(std::move(events), [&](json::object, std::exception_ptr error) {
      if (error)
        promise.set_exception(error);
      else
        promise.set_value();
    });
    promise.get_future().get();
  }
  void accept(const std::string& detail, const std::string& bus = "default") {
    accept({make_event({"test", "Thing Happened", clock.now_ms(), {}, detail, ""}, Place{}, bus)});
  }
  // A rule with targets, each a JSON object.
  void put_rule(const std::string& name, const std::string& pattern, const std::string& expression,
                std::vector<std::string> targets, const std::string& bus_name = "default") {
    change([&](Registry& registry, EventChanges&, TimeMs now) {
      Bus& bus = registry.buses[bus_name];
      if (bus.name.empty()) {
        bus.name = bus_name;
        registry.touch(Kind::kBus, bus_name);
      }
      Rule& rule = bus.rules[name];
      rule.bus = bus_name;
      rule.name = name;
      rule.since = now;
      if (!pattern.empty()) rule.body["EventPattern"] = pattern;
      if (!expression.empty()) {
        rule.body["ScheduleExpression"] = expression;
        rule.schedule = Schedule::parse(expression, Schedule::Service::kRules);
      }
      for (const std::string& text : targets) {
        json::object body = base::parse_json(text).as_object();
        auto input = parse_target_input(body);
        rule.targets[std::string(base::find_string(body, "Id").value())] = {body, input};
      }
      registry.apply_pattern(rule);
      registry.touch(Kind::kRule, rule.key());
      return json::object();
    });
  }
  Counts counts(const std::string& owner) {
    Counts out;
    read([&](Registry& registry, EventStore&) {
      out = registry.counts[owner];
      return json::object();
    });
    return out;
  }
  std::vector<Delivery> deliveries(const std::string& owner) {
    std::vector<Delivery> out;
    read([&](Registry&, EventStore& store) {
      out = store.latest(owner, 100);
      return json::object();
    });
    return out;
  }
  // What the outlet answered is known to the hub when `condition` holds.
  template <typename Condition>
  void wait_until(const Condition& condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return;
      hub->wake();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "it did not become true";
  }

  static std::string job(const std::string& more = "") {
    return R"({"Id":"job","Arn":"arn:aws:batch:us-east-1:123456789012:job-queue/q","BatchParameters":)"
           R"({"JobName":"n","JobDefinition":"d","ArrayProperties":{"Size":3},"RetryStrategy":{"Attempts":2}})" +
           more + "}";
  }

  millrace::testing::TemporaryFolder folder;
  std::string file;  // instead of one in the folder
  SetClock clock;
  FakeOutlet outlet;
  std::unique_ptr<Hub> hub;
};

// Without this: the job that a matching event starts lacks the parameters of the rule.
TEST_F(HubTest, AMatchIsDeliveredWithItsParameters) {
  open();
  put_rule("r", R"({"detail":{"key":[{"prefix":"in/"}]}})", "",
           {job(R"(,"InputTransformer":{"InputPathsMap":{"k":"$.detail.key"},"InputTemplate":
             "{\"Parameters\":{\"key\":<k>},\"ContainerOverrides\":{\"Environment\":[{\"Name\":\"A\",\"Value\":<k>}],)"
                R"(\"ResourceRequirements\":[{\"Type\":\"VCPU\",\"Value\":\"2\"}]}}"})")});
  accept(R"({"key":"in/a.csv"})");
  accept(R"({"key":"out/a.csv"})");
  auto sent = outlet.wait_for(1);
  EXPECT_EQ(
      json::serialize(sent[0].delivery.request.at("submit")),
      R"({"jobQueue":"arn:aws:batch:us-east-1:123456789012:job-queue/q","jobName":"n","jobDefinition":"d",)"
      R"("arrayProperties":{"size":3},"retryStrategy":{"attempts":2},"parameters":{"key":"in/a.csv"},)"
      R"("containerOverrides":{"environment":[{"name":"A","value":"in/a.csv"}],)"
      R"("resourceRequirements":[{"type":"VCPU","value":"2"}]}})");
  wait_until([&] { return counts("rule:default/r").delivered == 1; });
  EXPECT_EQ(counts("rule:default/r").matched, 1);
  EXPECT_THAT(outlet.sent, SizeIs(1));
}

// Without this: an event is lost, or its job is submitted under another token, when the process dies in
// between.
TEST_F(HubTest, WhatWasNotAnsweredIsSentAgainUnderTheSameToken) {
  outlet.silent = true;
  open();
  put_rule("r", R"({"source":["test"]})", "", {job()});
  for (int i = 0; i < 10; ++i) accept("{}");
  outlet.wait_for(10);
  close();
  std::map<std::string, int> tokens;
  for (const auto& sent : outlet.sent) ++tokens[sent.token];
  EXPECT_THAT(tokens, SizeIs(10));
  outlet.silent = false;
  open();
  outlet.wait_for(20);
  wait_until([&] { return counts("rule:default/r").delivered == 10; });
  for (size_t i = 10; i < 20; ++i) EXPECT_EQ(tokens[outlet.sent[i].token], 1);
  close();
  open();
  put_rule("other", R"({"source":["test"]})", "", {});
  EXPECT_THAT(outlet.sent, SizeIs(20)) << "what was answered is over";
}

// Without this: a target that is down for a moment loses its event, or is asked for ever.
TEST_F(HubTest, FailuresAreTriedAgainWithinLimitsAndThenAreDeadLetters) {
  open();
  put_rule(
      "r", R"({"source":["test"]})", "",
      {job(
          R"(,"RetryPolicy":{"MaximumRetryAttempts":2},"DeadLetterConfig":{"Arn":"arn:aws:logs:us-east-1:1:log-group:dead"})")});
  DeliveryResult down{false, "the engine is away", "INTERNAL_ERROR", false, 0};
  outlet.answers = {down, down, down};
  accept(R"({"n":1})");
  for (size_t tries = 1; tries <= 3; ++tries) {
    outlet.wait_for(tries);
    wait_until([&] { return counts("rule:default/r").failed == static_cast<int64_t>(tries); });
    clock.advance(10'000);
    hub->wake();
  }
  auto sent = outlet.wait_for(4);
  EXPECT_EQ(sent[1].token, sent[0].token);
  const json::object& letter = sent[3].delivery.request;
  EXPECT_EQ(letter.at("to"), "logs");
  EXPECT_EQ(letter.at("group"), "dead");
  json::value body = base::parse_json(base::view(letter.at("text").as_string()));
  EXPECT_EQ(body.at("EXHAUSTED_RETRY_CONDITION"), "MaximumRetryAttempts");
  EXPECT_EQ(body.at("ERROR_CODE"), "INTERNAL_ERROR");
  EXPECT_EQ(body.at("ERROR_MESSAGE"), "the engine is away");
  EXPECT_EQ(body.at("RETRY_ATTEMPTS"), 2);
  EXPECT_EQ(body.at("RULE_ARN"), "arn:aws:events:us-east-1:123456789012:rule/r");
  EXPECT_EQ(body.at("EVENT").at("detail").at("n"), 1);
  EXPECT_EQ(counts("rule:default/r").dead, 1);
  auto made = deliveries("rule:default/r");
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_EQ(made[0].state, DeliveryState::kDead);
  EXPECT_EQ(made[0].attempts, 3);
}

// Without this: an API that allows two calls a second is called as often as events come, or the calls that
// must wait are forgotten, also by a restart, or are in the way of others.
TEST_F(HubTest, AnApiDestinationIsCalledAsOftenAsItMay) {
  clock.set(*base::parse_iso8601("2026-11-21T12:00:00.100Z"));
  open();
  change([](Registry& registry, EventChanges&, TimeMs) {
    registry.connections["c"] =
        base::parse_json(
            R"({"ConnectionState":"AUTHORIZED","AuthorizationType":"BASIC","AuthParameters":{}})")
            .as_object();
    registry.destinations["d"] =
        base::parse_json(
            R"({"ConnectionArn":"c","InvocationEndpoint":"http://h/","HttpMethod":"POST","InvocationRateLimitPerSecond":2})")
            .as_object();
    registry.touch(Kind::kConnection, "c");
    registry.touch(Kind::kDestination, "d");
    return json::object();
  });
  put_rule("r", R"({"source":["test"]})", "",
           {R"({"Id":"t","Arn":"arn:aws:events:us-east-1:123456789012:api-destination/d/1"})"});
  put_rule("other", R"({"detail":{"n":[4]}})", "", {job()});
  for (int n = 0; n < 5; ++n) accept(fmt::format(R"({{"n":{}}})", n));
  auto calls = [&] {
    std::lock_guard lock(outlet.mutex);
    return std::count_if(outlet.sent.begin(), outlet.sent.end(),
                         [](const FakeOutlet::Sent& sent) { return sent.delivery.target == "t"; });
  };
  wait_until([&] { return counts("rule:default/other").delivered == 1; });
  wait_until([&] { return counts("rule:default/r").delivered == 2; });
  auto waiting = [&] {
    std::vector<TimeMs> at;
    for (const Delivery& delivery : deliveries("rule:default/r"))
      if (delivery.state == DeliveryState::kOpen) at.push_back(delivery.next_at % 10'000);
    return at;
  };
  wait_until([&] { return waiting() == std::vector<TimeMs>{2000, 1000, 1000}; });
  clock.advance(899);
  accept("{}");
  wait_until([&] { return waiting() == std::vector<TimeMs>{2000, 2000, 1000, 1000}; });
  EXPECT_EQ(calls(), 2);
  close();
  open();
  accept("{}");  // after a start the turns given before are known
  wait_until([&] { return waiting() == std::vector<TimeMs>{3000, 2000, 2000, 1000, 1000}; });
  clock.advance(1);
  wait_until([&] { return counts("rule:default/r").delivered == 4; });
  EXPECT_EQ(calls(), 4);
  clock.advance(1000);
  wait_until([&] { return counts("rule:default/r").delivered == 6; });
  // Nothing ran at the last one's turn: it gets another, which is at once.
  close();
  clock.advance(60'000);
  open();
  wait_until([&] { return counts("rule:default/r").delivered == 7; });
}

// Without this: a wrong job definition is tried for a day before anybody hears of it.
TEST_F(HubTest, WhatCannotSucceedIsNotTriedAgain) {
  open();
  put_rule("r", R"({"source":["test"]})", "", {job()});
  outlet.answers = {{false, "ClientException: JobQueue q not found.", "NO_RESOURCE", true, 0}};
  accept("{}");
  wait_until([&] { return counts("rule:default/r").dead == 1; });
  EXPECT_THAT(outlet.sent, SizeIs(1));
  EXPECT_EQ(deliveries("rule:default/r")[0].outcome, "ClientException: JobQueue q not found.");
}

// Without this: a transformer whose output is no JSON is dropped without a word, as AWS does.
TEST_F(HubTest, AnInputThatIsNoJsonIsCountedAndShown) {
  open();
  put_rule(
      "r", R"({"source":["test"]})", "",
      {job(
          R"(,"InputTransformer":{"InputPathsMap":{"d":"$.detail"},"InputTemplate":"{\"Parameters\":{\"d\":\"<d>\"}}"})")});
  accept(R"({"a":{"b":"c"}})");
  auto made = deliveries("rule:default/r");
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_EQ(made[0].state, DeliveryState::kDead);
  EXPECT_THAT(made[0].outcome, HasSubstr("<d> is an object or a list and stands inside quotes"));
  EXPECT_EQ(counts("rule:default/r").dead, 1);
  EXPECT_THAT(outlet.sent, SizeIs(0));
}

// Without this: an event that PutEvents took cannot be delivered because it is nested too deep for somebody.
TEST_F(HubTest, DeepEventsAreDelivered) {
  open();
  put_rule("r", R"({"source":["test"]})", "", {job()});
  std::string detail = "{}";
  for (size_t i = 1; i < kDetailDepthMax; ++i) detail = "{\"a\":" + detail + "}";
  outlet.answers = {{true, "job", "", false, 0}};
  accept(detail);
  outlet.wait_for(1);
  wait_until([&] { return counts("rule:default/r").delivered == 1; });
}

// Without this: buses that send to each other fill the disk.
TEST_F(HubTest, EventsGoFromBusToBusButNotForEver) {
  open();
  auto bus = [](const std::string& name) {
    return R"({"Id":"bus","Arn":"arn:aws:events:us-east-1:123456789012:event-bus/)" + name + "\"}";
  };
  put_rule("there", R"({"source":["test"]})", "", {bus("other")});
  put_rule("back", R"({"source":["test"]})", "", {bus("default"), job()}, "other");
  put_rule("nowhere", R"({"source":["test"]})", "", {bus("missing")});
  accept("{}");
  outlet.wait_for(3);
  wait_until([&] { return counts("rule:other/back").delivered > 3; });
  const Counts there = counts("rule:default/there"), back = counts("rule:other/back");
  EXPECT_EQ(there.matched, 3);
  EXPECT_EQ(back.matched, 3);
  EXPECT_EQ(there.dead + back.dead, 1);
  EXPECT_EQ(counts("rule:default/nowhere").dead, 3);
  EXPECT_THAT(deliveries("rule:default/nowhere")[0].outcome, HasSubstr("missing does not exist"));
}

// Without this: a nightly job does not run, or runs as often as nights were missed.
TEST_F(HubTest, SchedulesFireAndMissedOnesFireOnce) {
  open();
  put_rule("nightly", "", "cron(0 2 * * ? *)", {job()});
  put_rule("minutes", "", "rate(5 minutes)", {job()});
  clock.advance(4 * 60'000);
  hub->wake();
  EXPECT_EQ(counts("rule:default/minutes").matched, 0);
  clock.advance(60'000);
  hub->wake();
  auto sent = outlet.wait_for(1);
  EXPECT_EQ(sent[0].delivery.owner, "rule:default/minutes");
  EXPECT_EQ(counts("rule:default/nightly").matched, 0);
  json::object event;
  read([&](Registry&, EventStore& store) {
    event = base::parse_json(store.events_after(0, 10).at(0).event.body).as_object();
    return json::object();
  });
  EXPECT_EQ(event.at("detail-type"), "Scheduled Event");
  EXPECT_EQ(event.at("source"), "aws.events");
  EXPECT_EQ(event.at("time"), "2026-11-21T12:05:00Z");
  EXPECT_EQ(event.at("resources").at(0), "arn:aws:events:us-east-1:123456789012:rule/minutes");
  close();
  clock.set(*base::parse_iso8601("2026-11-23T09:00:30Z"));  // two nights later
  open();
  outlet.wait_for(3);
  clock.advance(1000);
  hub->wake();
  EXPECT_EQ(counts("rule:default/nightly").matched, 1);
  EXPECT_EQ(counts("rule:default/minutes").matched, 2);
  clock.set(*base::parse_iso8601("2026-11-23T09:05:00Z"));
  hub->wake();
  outlet.wait_for(4);
  EXPECT_EQ(counts("rule:default/minutes").matched, 3);
  close();
  clock.set(*base::parse_iso8601("2026-12-23T09:00:30Z"));
  open();
  EXPECT_EQ(counts("rule:default/nightly").matched, 2) << "of the last 24 hours";
}

class ScheduleHubTest : public HubTest {
 protected:
  void put_schedule(const std::string& body) {
    change([&](Registry& registry, EventChanges&, TimeMs now) {
      ScheduledCall& call = registry.schedules["default/s"];
      call.group = "default";
      call.name = "s";
      call.body = base::parse_json(body).as_object();
      check_schedule_target(call.body.at("Target").as_object());
      call.schedule = parse_schedule(call.body);
      call.created = call.modified = now;
      registry.touch(Kind::kSchedule, "default/s");
      return json::object();
    });
  }
  static std::string submit(const std::string& more) {
    return R"({"FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"arn:aws:scheduler:::aws-sdk:batch:submitJob",)"
           R"("Input":"{\"JobName\":\"n\",\"JobQueue\":\"q\",\"JobDefinition\":\"d\",\"Parameters\":)"
           R"({\"At\":\"<aws.scheduler.scheduled-time>\"},\"ContainerOverrides\":{\"Command\":[\"ls\"]}}"},)" +
           more + "}";
  }
  bool is_there() {
    bool there = false;
    read([&](Registry& registry, EventStore&) {
      there = registry.schedules.contains("default/s");
      return json::object();
    });
    return there;
  }
};

// Without this: the schedules of CDK and Terraform set-ups, which use the universal target, submit nothing.
TEST_F(ScheduleHubTest, TheUniversalTargetSubmitsAJob) {
  open();
  put_schedule(
      submit(R"x("ScheduleExpression":"cron(30 14 * * ? *)","ScheduleExpressionTimezone":"Europe/Berlin")x"));
  clock.set(*base::parse_iso8601("2026-11-21T13:29:59Z"));
  hub->wake();
  EXPECT_EQ(counts("schedule:default/s").matched, 0);
  clock.set(*base::parse_iso8601("2026-11-21T13:30:01Z"));
  hub->wake();
  auto sent = outlet.wait_for(1);
  EXPECT_EQ(json::serialize(sent[0].delivery.request.at("submit")),
            R"({"jobName":"n","jobQueue":"q","jobDefinition":"d","parameters":{"At":"2026-11-21T13:30:00Z"},)"
            R"("containerOverrides":{"command":["ls"]}})");
}

// Without this: an input that asks which attempt it is hears "1" each time, or the placeholder.
TEST_F(ScheduleHubTest, EachAttemptHasItsNumber) {
  outlet.answers = {{false, "later", "THROTTLING", false, 0}};
  open();
  put_schedule(
      R"x({"ScheduleExpression":"rate(1 hour)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"RoleArn":"r",)x"
      R"x("Arn":"arn:aws:logs:us-east-1:123456789012:log-group:g","Input":"<aws.scheduler.attempt-number>"}})x");
  EXPECT_EQ(outlet.wait_for(1)[0].delivery.request.at("text"), "1");
  wait_until([&] { return counts("schedule:default/s").failed == 1; });
  clock.advance(2000);
  hub->wake();
  auto sent = outlet.wait_for(2);
  EXPECT_EQ(sent[1].delivery.request.at("text"), "2");
  EXPECT_EQ(sent[1].token, sent[0].token);
}

// Without this: a schedule that was to delete itself stays, or goes before its job is submitted.
TEST_F(ScheduleHubTest, AOneTimeScheduleGoesWhenItsDeliveryIsDone) {
  outlet.silent = true;
  open();
  put_schedule(
      submit(R"x("ScheduleExpression":"at(2026-11-21T12:01:00)","ActionAfterCompletion":"DELETE")x"));
  clock.advance(61'000);
  hub->wake();
  outlet.wait_for(1);
  EXPECT_TRUE(is_there());
  close();
  outlet.silent = false;
  clock.advance(60'000);
  open();
  outlet.wait_for(2);
  EXPECT_EQ(outlet.sent[0].token, outlet.sent[1].token);
  wait_until([&] { return !is_there(); });
  clock.advance(600'000);
  hub->wake();
  read([](Registry&, EventStore&) { return json::object(); });
  EXPECT_THAT(outlet.sent, SizeIs(2));
}

// Without this: an input that SubmitJob does not know is found out at night.
TEST_F(ScheduleHubTest, AWrongInputIsRefusedAtOnce) {
  json::object target{{"Arn", "arn:aws:scheduler:::aws-sdk:batch:submitJob"},
                      {"Input", R"({"JobName":"n","JobQueue":"q","JobDefinition":"d","Foo":1})"}};
  EXPECT_THROW(check_schedule_target(target), base::UsageError);
  target["Input"] = R"({"JobName":"n","JobQueue":"q"})";
  EXPECT_THROW(check_schedule_target(target), base::UsageError);
  target["Input"] = "no JSON";
  EXPECT_THROW(check_schedule_target(target), base::UsageError);
  target["Arn"] = "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances";
  EXPECT_THROW(check_schedule_target(target), base::UsageError);
}

// Without this: a burst needs memory for every event, or some of it is never delivered.
TEST_F(HubTest, MoreThanFitsInMemoryIsDeliveredInTheEnd) {
  outlet.silent = true;
  open();
  put_rule("r", R"({"source":["test"]})", "", {job()});
  constexpr size_t kEvents = 2 * DeliveryQueue::kMost;
  std::vector<Event> events;
  for (size_t i = 0; i < kEvents; ++i)
    events.push_back(make_event({"test", "Thing Happened", clock.now_ms(), {}, "{}", ""}, Place{}));
  accept(std::move(events));
  outlet.wait_for(DeliveryQueue::kInFlight);
  close();
  outlet.sent.clear();
  outlet.silent = false;
  open();
  outlet.wait_for(kEvents);
  wait_until([&] { return counts("rule:default/r").delivered == kEvents; });
  std::map<std::string, int> tokens;
  for (const auto& sent : outlet.sent) ++tokens[sent.token];
  EXPECT_THAT(tokens, SizeIs(kEvents));
  EXPECT_THAT(outlet.sent, SizeIs(kEvents));
}

// Without this: a replay sends events twice, to rules that were not asked for, or into the archive again.
TEST_F(HubTest, AnArchiveIsReplayedOnce) {
  open();
  change([&](Registry& registry, EventChanges&, TimeMs) {
    registry.archives["all"] = {{"EventSourceArn", registry.bus_arn("default")}};
    registry.apply_archive("all");
    registry.touch(Kind::kArchive, "all");
    return json::object();
  });
  for (int i = 0; i < 250; ++i) accept("{\"n\":" + std::to_string(i) + "}");
  put_rule("r", R"({"source":["test"]})", "", {job()});
  put_rule("unasked", R"({"source":["test"]})", "", {job()});
  change([&](Registry& registry, EventChanges&, TimeMs now) {
    registry.replays["again"] = {
        {"State", "STARTING"},
        {"EventSourceArn", registry.archive_arn("all")},
        {"EventStartTime", now - 1000},
        {"EventEndTime", now + 1000},
        {"Destination",
         json::object{{"Arn", registry.bus_arn("default")},
                      {"FilterArns", json::array{"arn:aws:events:us-east-1:123456789012:rule/r"}}}}};
    registry.touch(Kind::kReplay, "again");
    return json::object();
  });
  outlet.wait_for(250);
  wait_until([&] { return counts("rule:default/r").delivered == 250; });
  wait_until([&] {
    bool completed = false;
    read([&](Registry& registry, EventStore& store) {
      completed = registry.replays.at("again").at("State") == "COMPLETED";
      EXPECT_EQ(store.archive_size("all").first, 250);
      EXPECT_THAT(store.events_after(250, 1).at(0).event.body, HasSubstr(R"("replay-name":"again"})"));
      return json::object();
    });
    return completed;
  });
  EXPECT_EQ(counts("rule:default/unasked").matched, 0);
}

// Without this: a full disk loses an event that was answered, or a delivery is made for one that was refused.
TEST_F(HubTest, AFullDiskRefusesAndGoesOn) {
  millrace::testing::SmallDisk disk;
  if (!disk.mount()) GTEST_SKIP() << "cannot mount a small tmpfs: " << std::strerror(errno);
  file = disk.path() + "/events.db";
  open();
  put_rule("r", R"({"source":["test"]})", "", {job()});
  disk.fill();
  size_t accepted = 0, refused = 0;
  for (int i = 0; i < 2000 && refused < 3; ++i) {
    try {
      accept("{\"filler\":\"" + std::string(2000, 'x') + "\"}");
      ++accepted;
    } catch (const base::TransientError&) {
      ++refused;
    }
  }
  EXPECT_EQ(refused, 3u);
  EXPECT_THROW(put_rule("late", R"({"source":["test"]})", "", {}), base::TransientError);
  disk.clear();
  wait_until([&] {
    try {
      accept("{}");
      return true;
    } catch (const base::TransientError&) {
      return false;
    }
  });
  ++accepted;
  outlet.wait_for(accepted);
  wait_until([&] { return counts("rule:default/r").delivered == static_cast<int64_t>(accepted); });
  EXPECT_THAT(outlet.sent, SizeIs(accepted));
  read([&](Registry& registry, EventStore&) {
    EXPECT_EQ(registry.find_rule("default/late"), nullptr);
    return json::object();
  });
}

// Without this: a schedule with a window fires outside of it, or after its end.
TEST_F(ScheduleHubTest, WindowsStartsAndEndsAreKept) {
  open();
  const TimeMs start = clock.now_ms() + 3'600'000, end = start + 2 * 3'600'000;
  std::string body = submit(R"x("ScheduleExpression":"rate(1 hour)","StartDate":)x" + std::to_string(start) +
                            ",\"EndDate\":" + std::to_string(end));
  body.replace(body.find(R"({"Mode":"OFF"})"), 14, R"({"Mode":"FLEXIBLE","MaximumWindowInMinutes":30})");
  put_schedule(body);
  std::vector<TimeMs> due;
  for (int i = 0; i < 4; ++i) {
    std::optional<TimeMs> next;
    read([&](Registry&, EventStore&) {
      next = hub->fires_at("schedule:default/s");
      return json::object();
    });
    if (!next) break;
    due.push_back(*next);
    clock.set(*next);
    hub->wake();
    outlet.wait_for(due.size());
  }
  ASSERT_THAT(due, SizeIs(3));
  for (size_t i = 0; i < due.size(); ++i) {
    const TimeMs scheduled = start + static_cast<TimeMs>(i) * 3'600'000;
    EXPECT_GE(due[i], scheduled);
    EXPECT_LT(due[i], scheduled + 30 * 60'000);
    EXPECT_EQ(outlet.sent[i].delivery.request.at("submit").at("parameters").at("At").as_string(),
              base::iso8601(scheduled));
  }
}

// Without this: a job that should have run while the machine was off runs long after anybody wants it.
TEST_F(ScheduleHubTest, AMissedFiringRunsOnceWithinItsAge) {
  const std::string hourly = R"x("ScheduleExpression":"cron(0 * * * ? *)")x";
  open();
  std::string body = submit(hourly);
  body.replace(body.find(R"("Input")"), 7, R"("RetryPolicy":{"MaximumEventAgeInSeconds":600},"Input")");
  clock.advance(1000);
  put_schedule(body);
  close();
  clock.advance(5 * 3'600'000 + 300'000);  // 17:05, five were missed
  open();
  auto sent = outlet.wait_for(1);
  EXPECT_EQ(sent[0].delivery.request.at("submit").at("parameters").at("At"), "2026-11-21T17:00:00Z");
  EXPECT_FALSE(sent[0].expired);
  wait_until([&] { return counts("schedule:default/s").delivered == 1; });
  close();
  clock.advance(3'600'000 + 900'000);  // 18:20, more than ten minutes after
  open();
  read([](Registry&, EventStore&) { return json::object(); });
  EXPECT_EQ(counts("schedule:default/s").matched, 1);
}

// Without this: dead letters for a queue or a bucket go nowhere.
TEST(DeadLetter, GoesToALogGroupABucketOrForAQueueToAGroup) {
  const Registry registry{Place{}};
  Delivery delivery;
  delivery.owner = "rule:default/gone";
  delivery.seq = 7;
  auto letter = [&](const std::string& arn) {
    return dead_letter_request(arn, delivery, registry, "{}", "TIMEOUT", "", 1'700'000'000'000);
  };
  EXPECT_EQ(letter("arn:aws:sqs:us-east-1:1:queue").at("group"), "/millrace/dead-letters/queue");
  EXPECT_EQ(letter("arn:aws:s3:::bucket/dead").at("key"), "dead/20231114T221320Z-7.json");
  EXPECT_EQ(letter("arn:aws:s3:::bucket").at("bucket"), "bucket");
  EXPECT_EQ(letter("arn:aws:sns:us-east-1:1:topic").at("to"), "none");
}

}  // namespace
}  // namespace millrace::events
