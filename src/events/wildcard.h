// The "*" patterns of event rules.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::events {

// A wildcard pattern taken apart: the literal pieces between its stars, escapes resolved. "a*b" is {"a",
// "b"},
// "*" is {"", ""}, "x" is {"x"}.
struct Wildcard {
  std::vector<std::string> pieces;
};

// The pieces, or in `error` the complaint in AWS's words ("Consecutive wildcard characters at pos 3"; the
// position counts bytes and the opening quote).
bool parse_wildcard(std::string_view text, Wildcard* out, std::string* error);

bool wildcard_matches(const Wildcard& wildcard, std::string_view text);

inline constexpr int kWildcardComplexityMax = 10;

// How many prefixes of the given wildcard patterns one value can match at once, at worst: what AWS limits.
// Counting ends at `limit`.
int wildcard_complexity(const std::vector<Wildcard>& wildcards, int limit);

}  // namespace millrace::events
