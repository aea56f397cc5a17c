#include "events/explain.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "events/matcher.h"
#include "events/pattern_error.h"
#include "events/test_pattern.h"
#include "tests/events/random_json.h"
#include "tests/events/slow_matcher.h"

namespace millrace::events {
namespace {

std::string why(std::string_view pattern, std::string_view event) {
  return explain(parse_pattern(pattern), event).reason;
}

TEST(Explain, NamesTheFieldTheValueAndTheCondition) {
  // Without this people guess why their job did not start.
  EXPECT_EQ(why(R"({"source":["aws.s3"],"detail":{"requestParameters":{"key":[{"prefix":"input/"},"x"]}}})",
                R"({"source":"aws.s3","detail":{"requestParameters":{"key":"output/a.csv"}}})"),
            R"(detail.requestParameters.key is "output/a.csv"; the rule wants prefix "input/" or "x")");
  EXPECT_EQ(
      why(R"({"detail":{"requestParameters":{"key":[{"prefix":"input/"}]}}})",
          R"({"detail":{"requestParameters":{"bucketName":"b"}}})"),
      R"(the event has no detail.requestParameters.key (only detail.requestParameters); the rule wants prefix "input/")");
  EXPECT_EQ(
      why(R"({"a":[{"numeric":[">",1,"<=",5]}],"b":[{"exists":false}]})", R"({"a":[7,2.5e1],"b":null})"),
      "a is 7, 25; the rule wants numeric > 1, <= 5; b is null; the rule wants does not exist");
  EXPECT_EQ(why(R"({"a":["x"]})", R"({"a":{"b":1}})"),
            R"(a is an object or an empty list, not a value; the rule wants "x")");
  EXPECT_EQ(why(R"({"e":{"f":["Anna"],"l":["Jones"]}})",
                R"({"e":[{"f":"Anna","l":"Smith"},{"f":"Peter","l":"Jones"}]})"),
            "e.f, e.l are each fulfilled, but by values from different elements of the same list");
  // The nearest alternative, and a name with a dot.
  EXPECT_EQ(why(R"({"$or":[{"a":[1],"b":[1]},{"a":[2],"d.e":[3]}]})", R"({"a":2,"d.e":4})"),
            "d.e is 4; the rule wants 3");
  EXPECT_TRUE(explain(parse_pattern(R"({"a":[1]})"), R"({"a":1.0})").matches);
  EXPECT_THROW(explain(parse_pattern(R"({"a":[1]})"), "{"), base::CorruptError);
}

TEST(Explain, AlwaysHasAReason) {
  // Without this an answer could be empty, or name a field that is fulfilled.
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    RandomJson random(seed);
    const std::string text = random.pattern(), event = random.event();
    try {
      const Pattern pattern = parse_pattern(text);
      const Explanation out = explain(pattern, event);
      EXPECT_EQ(out.matches, oracle::matches(pattern, oracle::Flattener(event).fields)) << text << event;
      EXPECT_EQ(out.matches, out.reason.empty()) << "seed " << seed << text << event;
    } catch (const InvalidPatternError&) {
    } catch (const base::CorruptError&) {
    }
  }
}

TEST(TestEventPattern, LooksForTheEnvelope) {
  // Without this an event that no bus would take is matched.
  const std::string event =
      R"({"id":"1","source":"s","detail-type":"t","account":"a","time":"2026-11-21T10:00:00Z","region":"r","detail":{}})";
  EXPECT_TRUE(test_event_pattern(R"({"source":["s"]})", event));
  EXPECT_FALSE(test_event_pattern(R"({"source":["x"]})", event));
  for (const char* wrong : {"", "[]", "\"text\"", "{}", "null", R"({"id":"1"})", "{\"id\":\"1\""}) {
    EXPECT_THROW(test_event_pattern(R"({"source":["s"]})", wrong), InvalidEventError) << wrong;
  }
  for (const char* name : {"id", "source", "detail-type", "account", "time", "region"}) {
    std::string less = event;
    less.replace(less.find(name), 1, "X");
    EXPECT_THROW(test_event_pattern(R"({"source":["s"]})", less), InvalidEventError) << name;
  }
  EXPECT_THROW(test_event_pattern(R"({"source":["s"]})", event + "x"), InvalidEventError);
  EXPECT_THROW(test_event_pattern("{}", event), InvalidPatternError);
}

}  // namespace
}  // namespace millrace::events
