#include "workloads/copy/filter.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace millrace::copy {
namespace {

// What a pattern of '*', '?' and letters means, said as simply as possible.
bool slow_match(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return slow_match(pattern.substr(1), text) || (!text.empty() && slow_match(pattern, text.substr(1)));
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         slow_match(pattern.substr(1), text.substr(1));
}

TEST(CopyFilter, MatchesWhatTheRulesSayForRandomPatterns) {
  // Without this files that were to be left out are copied, or deleted at the destination.
  for (uint32_t seed = 1; seed <= 20'000; ++seed) {
    std::mt19937 random(seed);
    auto text_of = [&](std::string_view letters, size_t most) {
      std::string text(random() % (most + 1), ' ');
      for (char& c : text) c = letters[random() % letters.size()];
      return text;
    };
    std::string pattern = text_of("ab/*?", 8), text = text_of("ab/", 10);
    ASSERT_EQ(pattern_match(pattern, text), slow_match(pattern, text))
        << pattern << " " << text << " seed " << seed;
  }
}

TEST(CopyFilter, SetsCharactersAndTheirEdges) {
  // Without this patterns that work with the AWS CLI mean something else here (Python's fnmatch).
  EXPECT_TRUE(pattern_match("*.[jJ]pg", "a/b.Jpg"));
  EXPECT_FALSE(pattern_match("[!a-c]x", "bx"));
  EXPECT_TRUE(pattern_match("[!a-c]x", "dx"));
  EXPECT_TRUE(pattern_match("[]]", "]")) << "a bracket that comes first is one";
  EXPECT_TRUE(pattern_match("[a", "[a")) << "never closed: it stands for itself";
  EXPECT_TRUE(pattern_match("[a-]", "-"));
  EXPECT_TRUE(pattern_match("?", "ß")) << "one character, two bytes";
  EXPECT_FALSE(pattern_match("?", "ab"));
  EXPECT_TRUE(pattern_match("[а-я]*", "ключ"));
  EXPECT_TRUE(pattern_match("*", ""));
  EXPECT_FALSE(pattern_match("", "a"));
  std::string many(200, '*');
  EXPECT_FALSE(pattern_match(many + "b", std::string(5000, 'a'))) << "and it ends within this life";
}

TEST(CopyFilter, TheLastRuleThatMatchesDecides) {
  // Without this `--exclude '*' --include '*.jpg'` copies nothing, or everything.
  std::vector<FilterRule> rules = {{false, "*"}, {true, "*.jpg"}, {false, "private/*"}};
  EXPECT_TRUE(takes(rules, "a.jpg"));
  EXPECT_FALSE(takes(rules, "a.png"));
  EXPECT_FALSE(takes(rules, "private/a.jpg"));
  EXPECT_TRUE(takes({}, "anything"));
}

}  // namespace
}  // namespace millrace::copy
