// What EventBridge accepts, refuses and matches, as recorded elsewhere, against ours.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "events/matcher.h"
#include "events/pattern.h"
#include "events/pattern_error.h"
#include "events/wildcard.h"
#include "tests/events/corpora.h"
#include "tests/events/slow_matcher.h"

namespace millrace::events {
namespace {

class PatternCorpora : public ::testing::TestWithParam<const char*> {};

TEST_P(PatternCorpora, AnswerAndErrorAreTheReferences) {
  // Without this our reading of a pattern or the place in an error message drifts from AWS's unseen.
  const auto cases = corpus(GetParam());
  if (cases.empty()) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  MatchScratch scratch;
  for (const auto& each : cases) {
    const std::string id = text_of(each, "id"), text = text_of(each, "pattern"),
                      event = text_of(each, "event");
    const auto* expect = base::find(each, "expect");
    try {
      const Pattern pattern = parse_pattern(text);
      ASSERT_TRUE(expect->is_bool()) << id << ": accepted " << text << "\nwanted "
                                     << text_of(each, "ruler_error");
      const bool matched = oracle::matches(pattern, oracle::Flattener(event).fields);
      EXPECT_EQ(matched, expect->as_bool()) << id << "\n" << text << "\n" << event;
      std::vector<uint32_t> found;
      const Matcher matcher({&pattern});
      matcher.match(event, &scratch, &found);
      EXPECT_EQ(!found.empty(), expect->as_bool()) << "compiled: " << id << "\n" << text << "\n" << event;
    } catch (const InvalidPatternError& e) {
      ASSERT_FALSE(expect->is_bool()) << id << ": refused " << text << "\n" << e.what();
      std::string wanted = text_of(each, "ruler_error");
      EXPECT_EQ(e.reason.substr(0, e.reason.find("\n at ")), wanted) << id << " " << text;
      const auto line = base::find_int(each, "ruler_line"), column = base::find_int(each, "ruler_col");
      if (line) {
        const std::string end = fmt::format("; line: {}, column: {}]", *line, *column);
        EXPECT_TRUE(e.reason.ends_with(end)) << id << " " << e.reason << "\nwanted " << end;
      } else {
        EXPECT_EQ(e.reason.find("\n at "), std::string::npos) << id << " " << e.reason;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PatternCorpora,
                         ::testing::Values("event-patterns-fuzz.jsonl", "event-pattern-probes.jsonl"));

TEST(WildcardCorpora, ComplexityIsTheReferences) {
  // Without this rules that AWS refuses are accepted here, or the reverse.
  const auto cases = corpus("wildcard-complexity.jsonl");
  if (cases.empty()) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  for (const auto& each : cases) {
    Wildcard wildcard;
    std::string error;
    const std::string text = text_of(each, "wildcard");
    ASSERT_TRUE(parse_wildcard(text, &wildcard, &error)) << text << error;
    EXPECT_EQ(wildcard_complexity({wildcard}, 1000), base::find_int(each, "complexity")) << text;
  }
}

TEST(ErrorCorpora, MessagesAreTheRecordedOnes) {
  // Without this the words of Jackson for broken JSON are ours, not AWS's.
  size_t checked = 0;
  for (const auto& each : corpus("aws-error-messages.jsonl")) {
    const std::string label = text_of(each, "test"), message = text_of(each, "message");
    const size_t open = label.find("test_invalid_json_event_pattern[");
    if (open == std::string::npos) continue;
    std::string pattern = label.substr(label.find('[', open) + 1);
    pattern.pop_back();
    try {
      parse_pattern(pattern);
      ADD_FAILURE() << "accepted " << pattern;
    } catch (const InvalidPatternError& e) {
      EXPECT_EQ(e.what(), message);
    }
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
}

}  // namespace
}  // namespace millrace::events
