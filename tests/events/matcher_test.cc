#include "events/matcher.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "events/pattern_error.h"
#include "events/rule_set.h"
#include "tests/events/random_json.h"
#include "tests/events/slow_matcher.h"

namespace millrace::events {
namespace {

bool matches(std::string_view pattern, std::string_view event) {
  const Pattern parsed = parse_pattern(pattern);
  const Matcher matcher({&parsed});
  MatchScratch scratch;
  std::vector<uint32_t> matched;
  matcher.match(event, &scratch, &matched);
  return !matched.empty();
}

// A longer run: MILLRACE_ROUNDS=100000 events_tests --gtest_filter=MatcherProperties.*
size_t rounds(size_t standard) {
  const char* asked = std::getenv("MILLRACE_ROUNDS");
  return asked ? std::strtoul(asked, nullptr, 10) : standard;
}

TEST(MatcherProperties, AgreesWithTheSlowMatcherOnRandomRulesAndEvents) {
  // Without this a mistake in any automaton, in array consistency or in the walk would drop or invent
  // deliveries.
  MatchScratch scratch;
  size_t hits = 0, checks = 0;
  for (uint64_t seed = 1; seed <= rounds(1500); ++seed) {
    RandomJson random(seed);
    std::vector<Pattern> patterns;
    std::vector<std::string> texts;
    for (size_t n = 1 + random.below(12); n > 0; --n) {
      const std::string text = random.pattern();
      try {
        patterns.push_back(parse_pattern(text));
        texts.push_back(text);
      } catch (const InvalidPatternError&) {
      }
    }
    std::vector<const Pattern*> pointers;
    for (const Pattern& pattern : patterns) pointers.push_back(&pattern);
    const Matcher matcher(pointers);
    for (int e = 0; e < 6; ++e) {
      const std::string event = random.event();
      const auto fields = oracle::Flattener(event).fields;
      std::vector<uint32_t> wanted, matched;
      for (uint32_t i = 0; i < patterns.size(); ++i) {
        if (oracle::matches(patterns[i], fields)) wanted.push_back(i);
      }
      matcher.match(event, &scratch, &matched);
      std::sort(matched.begin(), matched.end());
      checks += patterns.size();
      hits += wanted.size();
      if (matched == wanted) continue;
      for (uint32_t i = 0; i < patterns.size(); ++i) {
        const bool want = std::count(wanted.begin(), wanted.end(), i) > 0;
        const bool have = std::count(matched.begin(), matched.end(), i) > 0;
        ASSERT_EQ(have, want) << "seed " << seed << "\n" << texts[i] << "\n" << event;
      }
    }
  }
  EXPECT_GT(hits * 40, checks) << "the vocabulary no longer makes rules and events meet";
}

TEST(MatcherProperties, ManyRulesOnOneFieldAgreeWithTheSlowMatcher) {
  // Without this the tables that only large sets use (hashes, the automaton of wildcards) would go unchecked.
  for (uint64_t seed = 1; seed <= rounds(20); ++seed) {
    RandomJson random(seed);
    const auto letters = [&](size_t most) {
      std::string text;
      for (size_t n = random.below(most + 1); n > 0; --n) text += static_cast<char>('a' + random.below(3));
      return text;
    };
    std::vector<Pattern> patterns;
    std::vector<const Pattern*> pointers;
    for (int i = 0; i < 300; ++i) {
      std::string test;
      switch (random.below(6)) {
        case 0:
          test = fmt::format("\"{}\"", letters(6));
          break;
        case 1:
          test = fmt::format("{{\"prefix\":\"{}\"}}", letters(5));
          break;
        case 2:
          test = fmt::format("{{\"suffix\":\"{}\"}}", letters(5));
          break;
        case 3:
          test = fmt::format("{{\"anything-but\":\"{}\"}}", letters(5));
          break;
        default:
          test = letters(3);
          for (size_t stars = 1 + random.below(3); stars > 0; --stars) {
            std::string piece = letters(3);
            test += "*" + (piece.empty() && stars > 1 ? "a" : piece);
          }
          test = fmt::format("{{\"wildcard\":\"{}\"}}", test);
      }
      try {
        patterns.push_back(parse_pattern(fmt::format("{{\"k\":[{}]}}", test)));
      } catch (const InvalidPatternError&) {  // too many stars
      }
    }
    for (const Pattern& pattern : patterns) pointers.push_back(&pattern);
    const Matcher matcher(pointers);
    MatchScratch scratch;
    for (int e = 0; e < 60; ++e) {
      const std::string event = fmt::format("{{\"k\":\"{}\"}}", letters(12));
      const auto fields = oracle::Flattener(event).fields;
      std::vector<uint32_t> wanted, matched;
      for (uint32_t i = 0; i < patterns.size(); ++i) {
        if (oracle::matches(patterns[i], fields)) wanted.push_back(i);
      }
      matcher.match(event, &scratch, &matched);
      std::sort(matched.begin(), matched.end());
      ASSERT_EQ(matched, wanted) << "seed " << seed << " " << event;
    }
  }
}

TEST(MatcherFuzz, BrokenEventsNeverReadBeyondTheirEnd) {
  // Without this an event cut short or garbled could take the server down (run it under ASan).
  const Pattern pattern = parse_pattern(
      R"({"a":{"b":["x",{"prefix":"f"}]},"c":[{"numeric":["<",3]}],"d":{"e":{"f":[{"exists":false}]}},"k":[null]})");
  const Matcher matcher({&pattern});
  MatchScratch scratch;
  std::vector<uint32_t> matched;
  for (uint64_t seed = 1; seed <= rounds(20000); ++seed) {
    RandomJson random(seed);
    std::string event = random.event();
    for (size_t n = 1 + random.below(4); n > 0 && !event.empty(); --n) {
      static constexpr std::string_view kBytes = "{}[]:,\"\\ u0e\n\x80\xff";
      const size_t at = random.below(event.size());
      if (random.chance(30)) {
        event.resize(at);
      } else if (random.chance(40)) {
        event.erase(at, 1 + random.below(5));
      } else {
        event[at] = kBytes[random.below(kBytes.size())];
      }
    }
    // A copy without a spare byte behind it, so that a sanitizer sees every read too far.
    const std::vector<char> exact(event.begin(), event.end());
    try {
      matcher.match({exact.data(), exact.size()}, &scratch, &matched);
    } catch (const base::CorruptError&) {
    }
  }
}

TEST(MatcherFuzz, BrokenPatternsAreRefusedNotFollowed) {
  // Without this a pattern from the network could crash the compiler.
  size_t accepted = 0;
  for (uint64_t seed = 1; seed <= rounds(20000); ++seed) {
    RandomJson random(seed);
    std::string text = random.pattern();
    for (size_t n = 1 + random.below(3); n > 0 && !text.empty(); --n) {
      static constexpr std::string_view kBytes = "{}[]:,\"\\*u0e\n\x80\xff-.1tn";
      const size_t at = random.below(text.size());
      if (random.chance(30)) {
        text.erase(at, 1 + random.below(5));
      } else {
        text.insert(at, 1, kBytes[random.below(kBytes.size())]);
      }
    }
    try {
      const Pattern pattern = parse_pattern(text);
      const Matcher matcher({&pattern});
      ++accepted;
    } catch (const InvalidPatternError& e) {
      EXPECT_FALSE(e.reason.empty());
    }
  }
  EXPECT_GT(accepted, 0U);
}

TEST(Matcher, ManyElementsAreQuick) {
  // Without this one event with a large array would hold up all others: the search must not compare all
  // pairs.
  std::string event = R"({"e":[)";
  for (int i = 0; i < 10000; ++i) {
    event += fmt::format(R"({}{{"f":"Anna","l":"Smith{}"}})", i ? "," : "", i);
  }
  event += R"(,{"f":"Peter","l":"Jones"}]})";
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(matches(R"({"e":{"f":["Anna"],"l":["Jones"]}})", event));
  EXPECT_TRUE(matches(R"({"e":{"f":["Anna"],"l":["Smith9999"]}})", event));
  EXPECT_TRUE(matches(R"({"e":{"f":["Peter"],"l":[{"prefix":"J"}],"x":[{"exists":false}]}})", event));
  EXPECT_FALSE(matches(R"({"e":{"f":["Anna"],"l":[{"exists":false}]}})", event));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST(Matcher, IndependentArraysAddUpAndDoNotMultiply) {
  // Without this the search is given up in the first order and the match in the second is lost.
  std::string packages, labels;
  for (int i = 0; i < 1500; ++i) {
    packages += fmt::format(R"({}{{"k":"p"}})", i ? "," : "");
    labels += fmt::format(R"({}{{"k":"l"}})", i ? "," : "");
  }
  const std::string event = fmt::format(
      R"({{"o":[{{"a":[{}],"b":[{}],"z":"no"}},{{"a":[{{"k":"p"}}],"b":[{{"k":"l"}}],"z":"yes"}}],"q":[{}],"r":[{}]}})",
      packages, labels, packages, labels);
  EXPECT_TRUE(matches(R"({"o":{"a":{"k":["p"]},"b":{"k":["l"]},"z":["yes"]}})", event));
  EXPECT_FALSE(matches(R"({"o":{"a":{"k":["p"]},"b":{"k":["l"]},"z":["yes"],"zz":["x"]}})", event));
  const Pattern pattern = parse_pattern(
      R"({"o":{"a":{"k":["p"]},"z":["yes"]},"q":{"k":["p"],"m":[{"exists":false}]},"r":{"k":["l"]},"s":["x",{"exists":false}]})");
  const Matcher matcher({&pattern});
  MatchScratch scratch;
  std::vector<uint32_t> matched;
  matcher.match(event, &scratch, &matched);
  EXPECT_EQ(matched.size(), 1U);
  EXPECT_FALSE(scratch.gave_up());
}

TEST(Matcher, DeepNestingIsRefusedWhereRulesLook) {
  // Without this an event of brackets would overflow the stack.
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_THROW(matches(R"({"a":["x"]})", "{\"a\":" + deep + "}"), base::CorruptError);
  EXPECT_FALSE(matches(R"({"a":["x"]})", "{\"b\":" + deep + "}"));
}

TEST(RuleSet, ChangesShowInTheNextSnapshotOnly) {
  // Without this a rule change could tear the rules under an event being matched.
  RuleSet rules;
  rules.put("one", R"({"source":["aws.s3"]})");
  rules.put("two", R"({"source":[{"prefix":"aws."}],"detail":{"n":[1]}})");
  const auto before = rules.snapshot();
  EXPECT_EQ(rules.snapshot(), before);
  EXPECT_THROW(rules.put("one", "{}"), InvalidPatternError);
  rules.put("one", R"({"source":["other"]})");
  EXPECT_TRUE(rules.remove("two"));
  EXPECT_FALSE(rules.remove("two"));
  const std::string event = R"({"source":"aws.s3","detail":{"n":1.0}})";
  MatchScratch scratch;
  EXPECT_EQ(before->match(event, &scratch), (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(rules.snapshot()->match(event, &scratch).empty());
}

TEST(RuleSet, MatchingGoesOnWhileRulesChange) {
  // Without this a rule change under load is a data race (run it under TSan).
  RuleSet rules;
  rules.put("always", R"({"source":["aws.s3"]})");
  std::atomic<bool> done = false;
  std::atomic<size_t> matched = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      MatchScratch scratch;
      while (!done) {
        const auto names = rules.snapshot()->match(R"({"source":"aws.s3","n":7})", &scratch);
        ASSERT_TRUE(std::count(names.begin(), names.end(), "always") == 1);
        ++matched;
      }
    });
  }
  for (int i = 0; i < 200 || matched < 100; ++i) {
    const std::string name = fmt::format("rule-{}", i % 7);
    if (i % 3 == 0) {
      rules.remove(name);
    } else {
      rules.put(name, fmt::format(R"({{"n":[{}],"source":[{{"prefix":"aws"}}]}})", i % 9));
    }
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(Pattern, LongSourcesAreShownShortened) {
  // Without this the message for a long pattern differs from AWS's, which shows 500 characters of it.
  const std::string text = "{\"a\":[\"" + std::string(600, 'x') + "\"],\"b\":1}";
  try {
    parse_pattern(text);
    FAIL();
  } catch (const InvalidPatternError& e) {
    EXPECT_EQ(e.code(), "InvalidEventPatternException");
    EXPECT_EQ(
        std::string(e.what()),
        "Event pattern is not valid. Reason: \"b\" must be an object or an array\n at [Source: (String)\"" +
            text.substr(0, 500) + "\"[truncated " + std::to_string(text.size() - 500) +
            " chars]; line: 1, column: " + std::to_string(text.size()) + "]");
  }
}

TEST(Pattern, PlaceInsideAListIsToldTwice) {
  // Without this the message for anything-but lists is not AWS's.
  try {
    parse_pattern("{\"a\":[{\"anything-but\":\n [null]}]}");
    FAIL();
  } catch (const InvalidPatternError& e) {
    const std::string place =
        "\n at [Source: (String)\"{\"a\":[{\"anything-but\":\n [null]}]}\"; line: 2, column: 7]";
    EXPECT_EQ(e.reason, "Inside anything but list, start|null|boolean is not supported." + place + place);
  }
}

TEST(Pattern, TooManyAlternativesAreRefused) {
  // Without this a pattern of 4,096 characters could ask for millions of rules.
  std::string text = "{";
  for (int i = 0; i < 12; ++i)
    text += fmt::format("{}\"x{}\":{{\"$or\":[{{\"a\":[1]}},{{\"b\":[1]}}]}}", i ? "," : "", i);
  EXPECT_THROW(parse_pattern(text + "}"), InvalidPatternError);
}

TEST(Pattern, WildcardsThatCostTooMuchAreRefused) {
  // Without this a rule that AWS refuses works here and fails after the move.
  EXPECT_THROW(parse_pattern(R"({"a":[{"wildcard":"*:*:*:*:*:event-bus/*"}]})"), InvalidPatternError);
  EXPECT_NO_THROW(parse_pattern(R"({"a":[{"wildcard":"input/*/2024-*/part-*.csv"}]})"));
}

}  // namespace
}  // namespace millrace::events
