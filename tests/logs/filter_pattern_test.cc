#include "logs/filter_pattern.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace millrace::logs {
namespace {

struct Case {
  const char *pattern, *message;
  bool expect;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    const FilterPattern pattern = FilterPattern::parse(c.pattern);
    EXPECT_EQ(pattern.matches(c.message), c.expect) << c.pattern << " | " << c.message;
    if (c.expect) {
      EXPECT_TRUE(pattern.may_match(std::string("before\n") + c.message + "\nafter")) << c.pattern;
    }
  }
}

std::string refusal(const std::string& pattern) {
  try {
    FilterPattern::parse(pattern);
    return "taken";
  } catch (const base::UsageError& error) {
    return error.what();
  }
}

// Without this: `aws logs filter-log-events --filter-pattern` finds too much or too little.
TEST(FilterPatterns, TermsPhrasesExclusions) {
  check({{"", "x", true},
         {"\" \"", "x", true},
         {"\"\"", "x", true},
         {"ERROR", "[ERROR 400] BAD", true},
         {"error", "[ERROR 400] BAD", false},
         {"ERROR ARGUMENTS", "ERROR 419 MISSING ARGUMENTS", true},
         {"ERROR ARGUMENTS", "ERROR 401", false},
         {"?ERROR ?WARN", "a WARN", true},
         {"?ERROR ?WARN", "info", false},
         {"ERROR -EXITING", "ERROR EXITING", false},
         {"ERROR -EXITING", "ERROR", true},
         {"\"a b\"", "x a b y", true},
         {"\"a b\"", "a  b", false},
         {"\"say \\\"hi\\\"\"", "say \"hi\"", true},
         {"-\"a b\" -c", "a-b", true},
         {"-\"a b\" -c", "abc", false},
         {"s3-upload 10.0.0.1 a/b", "a/b 10.0.0.1 s3-upload", true}});
  // '?' terms beside others mean nothing: the user guide's own example.
  check({{"?ERROR ?ARGUMENTS REQUEST", "[INFO] REQUEST FAILED", true},
         {"?ERROR ?ARGUMENTS REQUEST", "ERROR ARGUMENTS", false},
         {"?ERROR -EXITING", "all well", true}});
}

// Without this: expressions of the user guide's list find something else than on AWS.
TEST(FilterPatterns, RegularExpressions) {
  check({{"%[Ee]rror|[Ff]ail%", "Failure", true},
         {"%^starting|^shutting down%", "shutting down now", true},
         {"%^starting|^shutting down%", "not shutting down", false},
         {"%a{3,5}%", "xaaa", true},
         {"%^a{3,5}$%", "aa", false},
         {"%^a{,2}$%", "aa", true},
         {"%^a{,2}$%", "aaa", false},
         {"%^[{,]+$%", "{,,", true},
         {"%\\[.\\]%", "[7]", true},
         {"%\\x28\\x3A%", "(:", true},
         {"%\\d+\\s\\w%", "42 x", true},
         {"%.at%", "\xc3\xa4 4at", true},
         {"ERROR %[0-9]+%", "ERROR 17", true},
         {"ERROR %[0-9]+%", "ERROR x", false},
         {"-%[0-9]+%", "none", true},
         {"-%[0-9]+%", "1", false},
         {"?%^x% ?y", "xa", true},
         {"?%^x% ?y", "ax", false}});
  for (const char* bad : {"%(a)%", "%\\(a\\)%", "%something!%", "%a\\b%", "%\\xg0%", "%%", "%a", "%[a%",
                          "%a% %b% %c%", "%\xc3\xa4%", "%a\\%", "%a{2000}%", "%a%b"})
    EXPECT_NE(refusal(bad), "taken") << bad;
}

constexpr const char* kTrail =
    R"({"eventType":"UpdateTrail","ip":"111.111.111.111","int":123,"float":12.34,"whole":12.0,"array":["value","more"],
        "list":[{"name":"a","id":1},{"name":"b","id":2}],"null":null,"true":true,"false":false,"object":{"in":{"deep":"x"}},
        "cluster.name":"c","kebab-key_1":"k","escaped":"say \"hi\" ä\u00e4","text":"404","big":9007199254740993,
        "grid":[[0,1],[2,3]]})";

// Without this: JSON conditions hold for other values than on AWS.
TEST(FilterPatterns, JsonComparisons) {
  check({{"{ $.eventType = \"UpdateTrail\" }", kTrail, true},
         {"{$.eventType=UpdateTrail}", kTrail, true},
         {"{ $.eventType != \"Update*\" }", kTrail, false},
         {"{ $.eventType = *Trail }", kTrail, true},
         {"{ $.eventType = *dateTr* }", kTrail, true},
         // A '*' that is not at an end stands for itself.
         {"{ $.eventType = \"Up*Trail\" }", kTrail, false},
         {"{ $.eventType != \"Up*Trail\" }", kTrail, true},
         {"{ $.eventType = \"Up*Trail\" }", R"({"eventType":"Up*Trail"})", true},
         {"{ $.ip = 111.111.* }", kTrail, true},
         {"{ $.ip != 123.123.* }", kTrail, true},
         {"{ $.ip = \"*.111.111\" }", kTrail, true},
         // Numbers compare as numbers, unless they are quoted.
         {"{ $.int = 123.0 }", kTrail, true},
         {"{ $.int = \"123\" }", kTrail, true},
         {"{ $.int = \"123.0\" }", kTrail, false},
         {"{ $.whole = 12 }", kTrail, true},
         {"{ $.whole != \"12\" }", kTrail, true},
         {"{ $.int = 12* }", kTrail, true},
         {"{ $.float = *.34 }", kTrail, true},
         {"{ $.int = * }", kTrail, true},
         {"{ $.int >= 123 && $.int <= +1.23e2 && $.int < 124 && $.int > -1 }", kTrail, true},
         {"{ $.big = 9007199254740992 }", kTrail, false},
         {"{ $.big = 9007199254740993 }", kTrail, true},
         {"{ $.text = 404 }", kTrail, true},
         {"{ $.text > 400 }", kTrail, false},  // a string is no number
         {"{ $.eventType >= 1 }", kTrail, false},
         {"{ $.escaped = \"say \\\"hi\\\" \xc3\xa4\xc3\xa4\" }", kTrail, true},
         {"{ $.eventType = %^Up.*l$% }", kTrail, true},
         {"{ $.int != %2% }", kTrail, false}});
  // Nothing, objects and arrays compare with nothing.
  for (const char* pattern :
       {"{ $.none = x }", "{ $.none != x }", "{ $.array = x }", "{ $.array != x }", "{ $.object != x }",
        "{ $.null = * }", "{ $.true = true }", "{ $.null != 1 }", "{ $.ip[0] = 1 }", "{ $.array.x = 1 }"})
    check({{pattern, kTrail, false}});
}

// Without this: selectors lead elsewhere, or IS and NOT EXISTS err.
TEST(FilterPatterns, JsonSelectorsAndStates) {
  check({{"{ $.array[0] = \"value\" }", kTrail, true},
         {"{ $.array[1] = \"value\" }", kTrail, false},
         {"{ $.array[2] = * }", kTrail, false},
         {"{ $.list[1].id = 2 }", kTrail, true},
         {"{ $.grid[1][0] = 2 }", kTrail, true},
         {"{ $.object.in.deep = x }", kTrail, true},
         {"{ $.array[*] = %mor.% }", kTrail, true},
         {"{ $.list[*].name = b }", kTrail, true},
         {"{ $.list[*].name = c }", kTrail, false},
         {"{ $.* = %111\\.111\\.111\\.1[0-9]{1,2}% }", kTrail, true},
         {"{ $.object.*.deep = x }", kTrail, true},
         {"{ $.['cluster.name'] = \"c\" }", kTrail, true},
         {"{ $['cluster.name'] = \"c\" }", kTrail, true},
         {"{ $.kebab-key_1 = k }", kTrail, true},
         {"{ $.EventType = * }", kTrail, false},
         {"{ $.null IS NULL }", kTrail, true},
         {"{ $.int IS NULL }", kTrail, false},
         {"{ $.none IS NULL }", kTrail, false},
         {"{ $.true IS TRUE }", kTrail, true},
         {"{ $.false IS FALSE && $.true IS FALSE }", kTrail, false},
         {"{$.false IS FALSE}", kTrail, true},
         {"{ $.none NOT EXISTS }", kTrail, true},
         {"{ $.none.deeper NOT EXISTS }", kTrail, true},
         {"{ $.object NOT EXISTS }", kTrail, false},
         {"{ $.null NOT EXISTS }", kTrail, false}});
}

// Without this: && and || mix in another order, or what is no JSON object matches.
TEST(FilterPatterns, JsonLogicAndOtherLines) {
  check({{"{ $.int = 123 || $.int = 1 && $.int = 2 }", kTrail, true},
         {"{ ($.int = 123 || $.int = 1) && $.int = 2 }", kTrail, false},
         {"{ (($.int = 1) || (($.int = 123))) && ($.none NOT EXISTS) }", kTrail, true},
         {"{ $.none NOT EXISTS }", "plain text", false},
         {"{ $.none NOT EXISTS }", "[1]", false},
         {"{ $.none NOT EXISTS }", "{\"a\":1} and more", false},
         {"{ $.none NOT EXISTS }", "{\"a\":1", false},
         {"{ $.none NOT EXISTS }", "{\"a\":\"\xff\"}", false},
         {"{ $.none NOT EXISTS }", "  {\"a\":1}\r\n", true},
         {"{ $.a = 1 }", R"({"b":{"a":1}})", false}});
  const std::string deep = std::string(100, '{') + "\"a\":1" + std::string(100, '}');
  EXPECT_FALSE(FilterPattern::parse("{ $.none NOT EXISTS }").matches(deep));
}

constexpr const char* kAccess =
    R"(127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534)";

// Without this: space-delimited patterns count fields differently than on AWS.
TEST(FilterPatterns, Fields) {
  check({{"[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]", kAccess, true},
         {"[ip, user, username, timestamp, request, status_code = 4* && status_code != 404, bytes]", kAccess,
          false},
         {"[..., status=404||status=410, bytes]", kAccess, true},
         {"[..., bytes > 1e3]", kAccess, true},
         {"[ip, ..., bytes]", kAccess, true},
         {"[ip=%127\\.0\\.0\\.[1-9]%, ...]", kAccess, true},
         {"[ip=%^0%, ...]", kAccess, false},
         {"[ip, user, username, timestamp=\"10/Oct*\", ...]", kAccess, true},
         {"[a, b, c, d, e, f]", kAccess, false},
         {"[a, b, c, d, e, f, g]", kAccess, true},
         {"[a, b, c, d, e, f, g, h]", kAccess, false},
         {"[]", kAccess, true},
         {"[...]", "", true},
         {"[w1=ERROR, w2]", "ERROR 09/25/2014 12:00:02 Failed to process request", true},
         {"[w1=ERROR, w2]", "ERROR", false},
         {"[w1!=ERROR && w1!=WARNING, w2]", "INFO 09/25/2014 12:00:00 GET", true},
         {"[timestamp=*Z, request_id=\"*-*\", event]", "2026-01-01T00:00:00Z a-b INFO {\"x\": 1}", true},
         {"[n >= 10, ...]", "9 x", false},
         {"[n >= 10, ...]", "ten x", false},
         {"[n = 010, ...]", "10 x", true},
         {"[n = \"010\", ...]", "10 x", false},
         {"[, , x=c]", "a b c", true},
         {"[a, b]", "\"one field\" [two", true},
         {"[a]", "\"\"", true}});
}

// Without this: a client that sends nonsense is told nothing, or nonsense is taken.
TEST(FilterPatterns, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{ $.a = 1", "If a filter pattern starts with '{' it must end with '}'"},
      {"[a, b", "If a filter pattern starts with '[' it must end with ']'"},
      {"a(b", "Invalid character(s) in term '('"},
      {"?Status: timeout", "Invalid character(s) in term ':'"},
      {"{ $.\"detail-type\" = 1 }", "Invalid character(s) in term '\"'"},
      {"`x`", "Invalid character(s) in term '`'"},
      {"\"open", "Invalid filter pattern"},
      {"?", "Invalid filter pattern"},
      {"{ }", "Invalid character(s) in term '}'"},
      {"{ $.a > \"UpdateTrail\" }", "Invalid character(s) in term '\"'"},
      {"{ $.a > UpdateTrail }", "Invalid filter pattern"},
      {"{ $.a EXISTS }", "Invalid filter pattern"},
      {"{ $.a IS NOT NULL }", "Invalid filter pattern"},
      {"{ $.a = 1 & $.b = 2 }", "Invalid character(s) in term '&'"},
      {"{ ($.a = 1 }", "Invalid character(s) in term '}'"},
      {"{ $ = 1 }", "Invalid filter pattern"},
      {"{ $.a[x] = 1 }", "Invalid filter pattern"},
      {"{ $.a[*].b[*] = 1 }", "Invalid filter pattern"},
      {"{ $.* = 1 || $.* = 2 || $.* = 3 || $.* = 4 }", "Invalid filter pattern"},
      {"{ $.a = %a% || $.a = %b% || $.a = %c% }", "Invalid filter pattern"},
      {"[..., a, ...]", "Invalid filter pattern"},
      {"[a=1 || b=2]", "Invalid filter pattern"},
      {"[a] b]", "Invalid filter pattern"},
      {"[...fields, a]", "Invalid filter pattern"}};
  for (const auto& [pattern, words] : kCases) EXPECT_EQ(refusal(pattern), words) << pattern;
  EXPECT_EQ(refusal(std::string(1025, 'a')), "Invalid filter pattern");
  EXPECT_EQ(refusal("{" + std::string(1000, '(') + "}"), "Invalid character(s) in term '}'");
}

// Without this: TestMetricFilter tells names that nobody gave, or values with their quotes.
TEST(FilterPatterns, ExtractedValues) {
  EXPECT_EQ(
      FilterPattern::parse("[ip, identity, user_id, timestamp, request, status_code, size]").extract(kAccess),
      (ExtractedValues{{"$ip", "127.0.0.1"},
                       {"$identity", "Prod"},
                       {"$user_id", "frank"},
                       {"$timestamp", "10/Oct/2000:13:25:15 -0700"},
                       {"$request", "GET /index.html HTTP/1.0"},
                       {"$status_code", "404"},
                       {"$size", "1534"}}));
  EXPECT_EQ(FilterPattern::parse("[..., size]").extract("a b 7"),
            (ExtractedValues{{"$1", "a"}, {"$2", "b"}, {"$size", "7"}}));
  EXPECT_EQ(FilterPattern::parse("[]").extract("a \"b c\""), (ExtractedValues{{"$1", "a"}, {"$2", "b c"}}));
  EXPECT_EQ(FilterPattern::parse("[w1=ERROR, w2]").extract("ERROR and \"more\" of it"),
            (ExtractedValues{{"$w1", "ERROR"}, {"$w2", "and \"more\" of it"}}));
  EXPECT_EQ(FilterPattern::parse("{ $.latency = * && $.a[0] > 1 }").extract(R"({"latency":50.10,"a":[2]})"),
            (ExtractedValues{{"$.latency", "50.10"}, {"$.a[0]", "2"}}));
  EXPECT_TRUE(FilterPattern::parse("ERROR").extract("ERROR").empty());
}

// Without this: something that is nearly a pattern ends the program. Mutations of real patterns and messages
// from a seed that a failure prints.
TEST(FilterPatterns, MutatedPatternsDoNoHarm) {
  const char* const kPatterns[] = {
      "{ ($.user.id = 1) && ($.users[*].email = \"J*\" || $.['a.b'] NOT EXISTS) }",
      "[ip=%127\\.0%, ..., status = 4* && status != \"40 4\", bytes > 1e3]",
      "?ERROR -\"a b\" %x{,3}[a-c]+\\d%", "{ $.* IS NULL || $.a[0][1] <= -1.5e-3 }"};
  const char* const kMessages[] = {kTrail, kAccess, "plain", "{}", "{\"a\":[[1,-0.0015]]}"};
  constexpr std::string_view kBytes = "{}[]()$.*%\"'\\,&|=!<>? -_aZ09\t\xc3\xff";
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  size_t taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string pattern = kPatterns[random() % std::size(kPatterns)];
    for (unsigned n = random() % 4; n-- > 0;) {
      const size_t at = random() % pattern.size();
      if (random() % 3 == 0)
        pattern.erase(at, 1 + random() % 3);
      else if (random() % 2 == 0)
        pattern[at] = kBytes[random() % kBytes.size()];
      else
        pattern.insert(at, 1, kBytes[random() % kBytes.size()]);
      if (pattern.empty()) pattern = " ";
    }
    try {
      const FilterPattern parsed = FilterPattern::parse(pattern);
      ++taken;
      for (const char* message : kMessages) {
        const bool matched = parsed.matches(message);
        ASSERT_TRUE(!matched || parsed.may_match(message)) << pattern << " | " << message;
        parsed.extract(message);
      }
    } catch (const base::UsageError&) {
    }
  }
  EXPECT_GT(taken, 1000u);
}

// Without this: a line of a collection of documented patterns goes unnoticed. The folder
// $MILLRACE_CORPORA has them in logs-filter.jsonl, with pattern, message and expect.
TEST(FilterPatterns, Corpus) {
  const char* folder = std::getenv("MILLRACE_CORPORA");
  if (folder == nullptr) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  const std::string path = std::string(folder) + "/logs-filter.jsonl";
  std::ifstream file(path);
  ASSERT_TRUE(file.is_open()) << path;
  size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const base::json::object entry = base::parse_json(line).as_object();
    const std::string pattern(base::find_string(entry, "pattern").value());
    EXPECT_EQ(FilterPattern::parse(pattern).matches(base::find_string(entry, "message").value()),
              base::find_bool(entry, "expect").value())
        << line;
  }
  EXPECT_GT(lines, 0u);
}

}  // namespace
}  // namespace millrace::logs
