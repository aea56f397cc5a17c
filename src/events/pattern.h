// An event pattern, read and checked: what EventBridge accepts, in a form that a matcher can be built from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "events/ip_address.h"

namespace millrace::events {

inline constexpr size_t kPatternAlternativesMax = 1000;

enum class TestKind : uint8_t {
  kExact,             // a string, byte by byte
  kPrefix,            //
  kSuffix,            //
  kEqualsIgnoreCase,  //
  kPrefixIgnoreCase,  //
  kSuffixIgnoreCase,  //
  kWildcard,          // text is as written, with its escapes
  kIp,                // a string that is an address, within `ip`
  kNumber,            // equal to range.low
  kNumberText,        // a number that is no double, by its text
  kRange,             // a number within `range`
  kLiteral,           // text is true, false or null
  kExists,            // any value
  kAbsent,            // no value at the path
  kAnythingBut        // any value that passes none of `except`
};

struct NumberRange {
  double low = 0, high = 0;
  bool low_open = false, high_open = false;
  bool contains(double v) const {
    return (low_open ? v > low : v >= low) && (high_open ? v < high : v <= high);
  }
  bool operator==(const NumberRange&) const = default;
};

// One element of a list in a pattern.
struct Test {
  TestKind kind = TestKind::kExact;
  std::string text;          // a number as written
  NumberRange range;         // kNumber, kRange
  IpRange ip;                // kIp
  std::vector<Test> except;  // kAnythingBut
  bool operator==(const Test&) const = default;
};

// One field of a pattern: the value at `path` passes one of the tests.
struct Condition {
  std::string path;  // names joined with dots: {"a.b": ...} is {"a": {"b": ...}}
  std::vector<Test> any_of;
};

struct Pattern {
  std::vector<Condition> conditions;
  // The pattern without $or: each alternative is a list of indexes into `conditions` that must all hold,
  // sorted by path (bytewise), one a path. Never empty. At most kPatternAlternativesMax.
  std::vector<std::vector<uint32_t>> alternatives;
};

// Throws InvalidPatternError with AWS's message. Text after the closing brace is ignored, as at AWS.
Pattern parse_pattern(std::string_view text);

// "prefix \"input/\"", for people: what the test asks for.
std::string describe(const Test& test);

}  // namespace millrace::events
