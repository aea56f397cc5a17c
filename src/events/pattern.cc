#include "events/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "events/comparable_number.h"
#include "events/pattern_error.h"
#include "events/token_reader.h"
#include "events/wildcard.h"

namespace millrace::events {
namespace {

constexpr std::string_view kOr = "$or";

// Names that cannot be fields inside $or: they are, or may become, operators.
constexpr std::array<std::string_view, 23> kReserved = {"exactly",
                                                        "equals-ignore-case",
                                                        "prefix",
                                                        "suffix",
                                                        "anything-but",
                                                        "exists",
                                                        "wildcard",
                                                        "numeric",
                                                        "cidr",
                                                        "=",
                                                        "<",
                                                        "<=",
                                                        ">",
                                                        ">=",
                                                        "regex",
                                                        "not-wildcard",
                                                        "not-equals-ignore-case",
                                                        "date-after",
                                                        "date-on-or-after",
                                                        "date-before",
                                                        "date-on-or-before",
                                                        "in-date-range",
                                                        "ip-address-in-range"};
constexpr std::string_view kReservedToo = "ip-address-not-in-range";

bool is_reserved(std::string_view name) {
  return name == kReservedToo || std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

// Reads a pattern, following the order in which AWS looks at it, because that decides which error is told.
class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text) {}

  Pattern parse() {
    if (in_.next() != Token::kObjectStart) in_.fail("Filter is not an object");
    object(false);
    pattern_.alternatives = std::move(alternatives_);
    finish();
    return std::move(pattern_);
  }

 private:
  using Alternative = std::vector<uint32_t>;  // sorted by path

  void object(bool inside_or) {
    bool fields = false;
    while (in_.next() != Token::kObjectEnd) {
      fields = true;
      const std::string name = in_.name();
      if (name == kOr) {
        branches();
        continue;
      }
      if (inside_or && is_reserved(name)) {
        in_.fail(name + " is Ruler reserved fieldName which cannot be used inside $or.");
      }
      const Token token = in_.next();
      const size_t length = path_.size();
      const bool was_empty = path_empty_;
      if (!path_empty_) path_ += '.';
      path_ += name;
      path_empty_ = false;
      if (token == Token::kObjectStart) {
        object(inside_or);
      } else if (token == Token::kArrayStart) {
        list();
      } else {
        in_.fail('"' + name + "\" must be an object or an array");
      }
      path_.resize(length);
      path_empty_ = was_empty;
    }
    if (!fields) in_.fail("Empty objects are not allowed");
  }

  void branches() {
    const std::vector<Alternative> before = std::move(alternatives_);
    alternatives_.clear();
    std::vector<Alternative> all;
    if (in_.next() != Token::kArrayStart) in_.fail("It must be an Array followed with $or.");
    size_t count = 0;
    for (Token token; (token = in_.next()) != Token::kArrayEnd;) {
      ++count;
      if (token != Token::kObjectStart) in_.fail("Only JSON object is allowed in array of $or relationship.");
      alternatives_ = before;
      if (alternatives_.empty()) alternatives_.emplace_back();
      object(true);
      all.insert(all.end(), std::make_move_iterator(alternatives_.begin()),
                 std::make_move_iterator(alternatives_.end()));
      if (all.size() > kPatternAlternativesMax) {
        throw InvalidPatternError(
            fmt::format("Rule is too complex - more than {} combinations of $or", kPatternAlternativesMax));
      }
    }
    if (count < 2) in_.fail("There must have at least 2 Objects in $or relationship.");
    alternatives_ = std::move(all);
  }

  // The list of tests of the field at path_. A path given twice is overridden.
  void list() {
    const auto index = static_cast<uint32_t>(pattern_.conditions.size());
    Condition condition;
    condition.path = path_;
    for (Token token; (token = in_.next()) != Token::kArrayEnd;) condition.any_of.push_back(element(token));
    if (condition.any_of.empty()) in_.fail("Empty arrays are not allowed");
    pattern_.conditions.push_back(std::move(condition));
    if (alternatives_.empty()) alternatives_.emplace_back();
    for (Alternative& alternative : alternatives_) {
      const auto at = std::lower_bound(
          alternative.begin(), alternative.end(), path_,
          [&](uint32_t i, const std::string& path) { return pattern_.conditions[i].path < path; });
      if (at != alternative.end() && pattern_.conditions[*at].path == path_) {
        *at = index;
      } else {
        alternative.insert(at, index);
      }
    }
  }

  Test element(Token token) {
    Test test;
    switch (token) {
      case Token::kObjectStart:
        return expression();
      case Token::kString:
        test.text = in_.token_text();
        if (auto digits = ip_digits(test.text)) {
          test.kind = TestKind::kIp;
          test.ip = {*digits, *digits};
        }
        return test;
      case Token::kInteger:
      case Token::kFloat:
        test.text = in_.token_text();
        test.kind = TestKind::kNumberText;
        if (const auto value = comparable_number(test.text)) {
          test.kind = TestKind::kNumber;
          test.range.low = test.range.high = *value;
        }
        return test;
      case Token::kTrue:
      case Token::kFalse:
      case Token::kNull:
        test.kind = TestKind::kLiteral;
        test.text = in_.token_text();
        return test;
      default:
        in_.fail("Match value must be String, number, true, false, or null");
    }
  }

  Test expression() {
    if (in_.next() != Token::kName) in_.fail("Match expression name not found");
    const std::string name = in_.name();
    if (name == "exactly") return string_test(TestKind::kExact, "exact match pattern must be a string");
    if (name == "prefix") return affix(TestKind::kPrefix, TestKind::kPrefixIgnoreCase, "prefix", "Prefix");
    if (name == "suffix") return affix(TestKind::kSuffix, TestKind::kSuffixIgnoreCase, "suffix", "Suffix");
    if (name == "numeric") return numeric();
    if (name == "anything-but") return anything_but();
    if (name == "exists") return exists();
    if (name == "cidr") return cidr();
    if (name == "equals-ignore-case") {
      return string_test(TestKind::kEqualsIgnoreCase, "equals-ignore-case match pattern must be a string");
    }
    if (name == "wildcard")
      return string_test(TestKind::kWildcard, "wildcard match pattern must be a string");
    in_.fail("Unrecognized match type " + name);
  }

  void end_expression() {
    if (in_.next() != Token::kObjectEnd) in_.fail("Only one key allowed in match expression");
  }

  Test string_test(TestKind kind, const char* otherwise) {
    if (in_.next() != Token::kString) in_.fail(otherwise);
    Test test;
    test.kind = kind;
    test.text = in_.token_text();
    if (kind == TestKind::kWildcard) check_wildcard(test.text);
    end_expression();
    return test;
  }

  void check_wildcard(std::string_view text) {
    Wildcard wildcard;
    std::string error;
    if (!parse_wildcard(text, &wildcard, &error)) in_.fail(error);
  }

  Test affix(TestKind kind, TestKind ignoring_case, const std::string& name, const std::string& title) {
    const Token token = in_.next();
    Test test;
    test.kind = kind;
    if (token == Token::kObjectStart) {
      if (in_.next() != Token::kName) in_.fail(title + " expression name not found");
      const std::string inner = in_.name();
      if (inner != "equals-ignore-case") in_.fail("Unsupported " + name + " pattern: " + inner);
      if (in_.next() != Token::kString) in_.fail("equals-ignore-case match pattern must be a string");
      test.kind = ignoring_case;
      test.text = in_.token_text();
      end_expression();
    } else {
      if (token != Token::kString) in_.fail(name + " match pattern must be a string");
      test.text = in_.token_text();
    }
    end_expression();
    return test;
  }

  Test cidr() {
    // The wrong word is AWS's.
    if (in_.next() != Token::kString) in_.fail("prefix match pattern must be a string");
    Test test;
    test.kind = TestKind::kIp;
    test.text = in_.token_text();
    test.ip = parse_cidr(test.text);
    end_expression();
    return test;
  }

  Test exists() {
    const Token token = in_.next();
    Test test;
    if (token == Token::kTrue) {
      test.kind = TestKind::kExists;
    } else if (token == Token::kFalse) {
      test.kind = TestKind::kAbsent;
    } else {
      in_.fail("exists match pattern must be either true or false.");
    }
    end_expression();
    return test;
  }

  [[noreturn]] void too_many() { in_.fail("Too many elements in numeric expression"); }

  double bound(const std::string& text) {
    const auto value = comparable_number(text);
    if (!value) in_.fail("Cannot compare number : " + text);
    return *value;
  }

  Test numeric() {
    if (in_.next() != Token::kArrayStart) in_.fail("Value of numeric must be an array.");
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    Test test;
    test.kind = TestKind::kRange;
    if (in_.next() != Token::kString) in_.fail("Invalid member in numeric match: " + in_.token_text());
    const std::string op = in_.token_text();
    const Token token = in_.next();
    if (op == "=" || op == "<" || op == "<=") {
      if (!is_number(token)) in_.fail("Value of " + (op == "=" ? "equals" : op) + " must be numeric");
      const std::string text = in_.token_text();
      if (in_.next() != Token::kArrayEnd) too_many();
      test.text = op + " " + text;
      const double value = bound(text);
      if (op == "=") {
        test.kind = TestKind::kNumber;
        test.text = text;
        test.range.low = test.range.high = value;
      } else {
        test.range = {-kInfinity, value, false, op == "<"};
      }
    } else if (op == ">" || op == ">=") {
      if (!is_number(token)) in_.fail("Value of " + op + " must be numeric");
      const std::string low = in_.token_text();
      test.text = op + " " + low;
      const Token more = in_.next();
      if (more == Token::kArrayEnd) {
        test.range = {bound(low), kInfinity, op == ">", false};
      } else {
        two_sided(&test, more, low, op == ">");
      }
    } else {
      in_.fail("Unrecognized numeric range operator: " + op);
    }
    if (in_.next() != Token::kObjectEnd) too_many();
    return test;
  }

  void two_sided(Test* test, Token token, const std::string& low, bool low_open) {
    if (token != Token::kString) in_.fail("Bad value in numeric range: " + in_.token_text());
    const std::string op = in_.token_text();
    if (op != "<" && op != "<=") in_.fail("Bad numeric range operator: " + op);
    if (!is_number(in_.next())) in_.fail("Value of " + op + " must be numeric");
    const std::string high = in_.token_text();
    if (in_.next() != Token::kArrayEnd) in_.fail("Too many terms in numeric range expression");
    test->text += ", " + op + " " + high;
    const double bottom = bound(low), top = bound(high);
    if (bottom >= top) in_.fail("Bottom must be less than top");
    test->range = {bottom, top, low_open, op == "<"};
  }

  Test anything_but() {
    Test test;
    test.kind = TestKind::kAnythingBut;
    TestKind inner = TestKind::kExact;
    bool plain = true;
    Token token = in_.next();
    if (token == Token::kObjectStart) {
      plain = false;
      if (in_.next() != Token::kName) in_.fail("Anything-But expression name not found");
      const std::string& op = in_.name();
      if (op == "equals-ignore-case") {
        inner = TestKind::kEqualsIgnoreCase;
      } else if (op == "prefix") {
        inner = TestKind::kPrefix;
      } else if (op == "suffix") {
        inner = TestKind::kSuffix;
      } else if (op == "wildcard") {
        inner = TestKind::kWildcard;
      } else {
        in_.fail("Unsupported anything-but pattern: " + op);
      }
      token = in_.next();
    }
    if (token != Token::kArrayStart && token != Token::kString && !is_number(token)) {
      in_.fail("Value of anything-but must be an array or single string/number value.");
    }
    if (token == Token::kArrayStart) {
      try {
        for (Token each; (each = in_.next()) != Token::kArrayEnd;) excepted(&test, each, plain, inner);
      } catch (const InvalidPatternError& e) {
        in_.fail(e.reason);  // AWS tells the place of an error inside this list twice
      }
      if (plain) one_kind(test);
    } else {
      excepted(&test, token, plain, inner);
    }
    if (inner == TestKind::kWildcard) {
      for (const Test& each : test.except) check_wildcard(each.text);
    }
    if (in_.next() != Token::kObjectEnd) too_many();
    if (!plain && in_.next() != Token::kObjectEnd) too_many();
    return test;
  }

  // One value that anything-but excludes.
  void excepted(Test* test, Token token, bool plain, TestKind inner) {
    Test each;
    each.kind = inner;
    if (token == Token::kString) {
      each.text = in_.token_text();
      if (each.text.empty() && (inner == TestKind::kPrefix || inner == TestKind::kSuffix)) {
        in_.fail("Null prefix/suffix not allowed");
      }
    } else if (plain && is_number(token)) {
      each.kind = TestKind::kNumber;
      each.text = in_.token_text();
      const auto value = comparable_number(each.text);
      if (!value) throw InvalidPatternError("Cannot compare number : " + each.text);  // AWS tells no place
      each.range.low = each.range.high = *value;
    } else if (plain) {
      in_.fail("Inside anything but list, start|null|boolean is not supported.");
    } else if (inner == TestKind::kEqualsIgnoreCase) {
      in_.fail("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.");
    } else if (inner == TestKind::kWildcard) {
      in_.fail("wildcard match pattern must be a string");
    } else {
      in_.fail("prefix/suffix match pattern must be a string");
    }
    test->except.push_back(std::move(each));
  }

  void one_kind(const Test& test) {
    size_t numbers = 0;
    for (const Test& each : test.except) numbers += each.kind == TestKind::kNumber ? 1 : 0;
    if (test.except.empty() || (numbers > 0 && numbers < test.except.size())) {
      in_.fail(
          "Inside anything but list, either all values are number or string, mixed type is not supported");
    }
  }

  // What can only be told of the whole pattern.
  void finish() const {
    for (const Condition& condition : pattern_.conditions) {
      std::vector<Wildcard> wildcards;
      const auto add = [&](const Test& test) {
        if (test.kind != TestKind::kWildcard) return;
        std::string error;
        parse_wildcard(test.text, &wildcards.emplace_back(), &error);
      };
      for (const Test& test : condition.any_of) {
        add(test);
        for (const Test& each : test.except) add(each);
      }
      if (wildcard_complexity(wildcards, kWildcardComplexityMax + 1) > kWildcardComplexityMax) {
        throw InvalidPatternError(
            "Rule is too complex - try using fewer wildcard characters or fewer repeating character "
            "sequences after "
            "a wildcard character");
      }
    }
  }

  TokenReader in_;
  Pattern pattern_;
  std::vector<Alternative> alternatives_;
  std::string path_;
  bool path_empty_ = true;  // {"": ...} has the path "", and so has no path at all
};

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

}  // namespace

Pattern parse_pattern(std::string_view text) { return Parser(text).parse(); }

std::string describe(const Test& test) {
  switch (test.kind) {
    case TestKind::kExact:
      return quoted(test.text);
    case TestKind::kPrefix:
      return "prefix " + quoted(test.text);
    case TestKind::kSuffix:
      return "suffix " + quoted(test.text);
    case TestKind::kEqualsIgnoreCase:
      return "equals-ignore-case " + quoted(test.text);
    case TestKind::kPrefixIgnoreCase:
      return "prefix equals-ignore-case " + quoted(test.text);
    case TestKind::kSuffixIgnoreCase:
      return "suffix equals-ignore-case " + quoted(test.text);
    case TestKind::kWildcard:
      return "wildcard " + quoted(test.text);
    case TestKind::kIp:
      return test.ip.low == test.ip.high ? "the address " + quoted(test.text) : "cidr " + quoted(test.text);
    case TestKind::kNumber:
    case TestKind::kNumberText:
    case TestKind::kLiteral:
      return test.text;
    case TestKind::kRange:
      return "numeric " + test.text;
    case TestKind::kExists:
      return "exists";
    case TestKind::kAbsent:
      return "does not exist";
    case TestKind::kAnythingBut:
      break;
  }
  std::string all;
  for (const Test& each : test.except) all += (all.empty() ? "" : ", ") + describe(each);
  return "anything but " + (test.except.size() == 1 ? all : "[" + all + "]");
}

}  // namespace millrace::events
