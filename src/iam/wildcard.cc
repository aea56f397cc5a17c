#include "iam/wildcard.h"

#include <vector>

#include "base/strings.h"

namespace millrace::iam {
namespace {

struct Unit {
  enum Kind : char { kByte, kAny, kOne };
  Kind kind;
  char byte;
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The value of what stands between "${" and "}".
std::optional<std::string> value_of(std::string_view inside, const Variables& variables) {
  if (inside == "*" || inside == "?" || inside == "$") return std::string(inside);
  size_t comma = inside.find(',');
  std::optional<std::string> value = variables(base::to_lower(base::trim(inside.substr(0, comma))));
  if (value || comma == std::string_view::npos) return value;
  std::string_view other = base::trim(inside.substr(comma + 1));
  if (other.size() < 2 || other.front() != '\'' || other.back() != '\'') return std::nullopt;
  return std::string(other.substr(1, other.size() - 2));
}

// Calls `text(run)` and `variable(value)` in order; false when a variable has no value.
template <typename Text, typename Value>
bool walk(std::string_view pattern, const Variables* variables, const Text& text, const Value& variable) {
  while (!pattern.empty()) {
    size_t start = variables ? pattern.find("${") : std::string_view::npos;
    size_t end = start == std::string_view::npos ? start : pattern.find('}', start);
    if (end == std::string_view::npos) {
      text(pattern);
      return true;
    }
    text(pattern.substr(0, start));
    std::optional<std::string> value = value_of(pattern.substr(start + 2, end - start - 2), *variables);
    if (!value) return false;
    variable(*value);
    pattern.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace

bool wildcard_match(std::string_view pattern, std::string_view text, const Variables* variables,
                    bool ignore_case) {
  std::vector<Unit> units;
  auto literal = [&](char c) { units.push_back({Unit::kByte, ignore_case ? lower(c) : c}); };
  bool known = walk(
      pattern, variables,
      [&](std::string_view run) {
        for (char c : run) {
          if (c == '*' && !units.empty() && units.back().kind == Unit::kAny) continue;
          if (c == '*')
            units.push_back({Unit::kAny, c});
          else if (c == '?')
            units.push_back({Unit::kOne, c});
          else
            literal(c);
        }
      },
      [&](std::string_view value) {
        for (char c : value) literal(c);
      });
  if (!known) return false;
  // The usual greedy walk: after a mismatch only the last '*' takes a byte more.
  size_t at = 0, star = units.size(), resume = 0, unit = 0;
  while (at < text.size()) {
    char c = ignore_case ? lower(text[at]) : text[at];
    if (unit < units.size() && units[unit].kind == Unit::kAny) {
      star = unit++;
      resume = at;
    } else if (unit < units.size() && (units[unit].kind == Unit::kOne || units[unit].byte == c)) {
      ++unit;
      ++at;
    } else if (star < units.size()) {
      unit = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (unit < units.size() && units[unit].kind == Unit::kAny) ++unit;
  return unit == units.size();
}

std::optional<std::string> expand(std::string_view text, const Variables& variables) {
  std::string out;
  auto append = [&](std::string_view part) { out += part; };
  if (!walk(text, &variables, append, append)) return std::nullopt;
  return out;
}

}  // namespace millrace::iam
