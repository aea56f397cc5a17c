#include "iam/condition.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/hash.h"
#include "base/strings.h"
#include "base/time.h"

namespace millrace::iam {
namespace {

struct Operator {
  std::string_view name;
  ConditionType type;
  Comparison comparison = Comparison::kEqual;
  bool negated = false;
};

constexpr std::array kOperators = {
    Operator{"stringequals", ConditionType::kString},
    Operator{"stringnotequals", ConditionType::kString, Comparison::kEqual, true},
    Operator{"stringequalsignorecase", ConditionType::kStringIgnoreCase},
    Operator{"stringnotequalsignorecase", ConditionType::kStringIgnoreCase, Comparison::kEqual, true},
    Operator{"stringlike", ConditionType::kStringLike},
    Operator{"stringnotlike", ConditionType::kStringLike, Comparison::kEqual, true},
    Operator{"arnequals", ConditionType::kArn},
    Operator{"arnlike", ConditionType::kArn},
    Operator{"arnnotequals", ConditionType::kArn, Comparison::kEqual, true},
    Operator{"arnnotlike", ConditionType::kArn, Comparison::kEqual, true},
    Operator{"numericequals", ConditionType::kNumeric},
    Operator{"numericnotequals", ConditionType::kNumeric, Comparison::kEqual, true},
    Operator{"numericlessthan", ConditionType::kNumeric, Comparison::kLess},
    Operator{"numericlessthanequals", ConditionType::kNumeric, Comparison::kLessOrEqual},
    Operator{"numericgreaterthan", ConditionType::kNumeric, Comparison::kGreater},
    Operator{"numericgreaterthanequals", ConditionType::kNumeric, Comparison::kGreaterOrEqual},
    Operator{"dateequals", ConditionType::kDate},
    Operator{"datenotequals", ConditionType::kDate, Comparison::kEqual, true},
    Operator{"datelessthan", ConditionType::kDate, Comparison::kLess},
    Operator{"datelessthanequals", ConditionType::kDate, Comparison::kLessOrEqual},
    Operator{"dategreaterthan", ConditionType::kDate, Comparison::kGreater},
    Operator{"dategreaterthanequals", ConditionType::kDate, Comparison::kGreaterOrEqual},
    Operator{"bool", ConditionType::kBool},
    Operator{"binaryequals", ConditionType::kBinary},
    Operator{"ipaddress", ConditionType::kIpAddress},
    Operator{"notipaddress", ConditionType::kIpAddress, Comparison::kEqual, true},
    Operator{"null", ConditionType::kNull},
};

template <typename Number>
bool compare(Number seen, Number wanted, Comparison comparison) {
  switch (comparison) {
    case Comparison::kEqual:
      return seen == wanted;
    case Comparison::kLess:
      return seen < wanted;
    case Comparison::kLessOrEqual:
      return seen <= wanted;
    case Comparison::kGreater:
      return seen > wanted;
    case Comparison::kGreaterOrEqual:
      return seen >= wanted;
  }
  return false;
}

// RFC 3339, a date alone, or seconds since the epoch.
std::optional<double> seconds_of(std::string_view text) {
  if (auto time = base::parse_iso8601(text)) return static_cast<double>(*time) / 1000;
  if (text.size() == 10)
    if (auto day = base::parse_iso8601(std::string(text) + "T00:00:00Z"))
      return static_cast<double>(*day) / 1000;
  return base::parse_number<double>(text);
}

// Six parts, the last with the colons that are left; wildcards do not reach over a part.
std::array<std::string_view, 6> arn_parts(std::string_view arn) {
  std::array<std::string_view, 6> parts;
  for (size_t i = 0; i < 5; ++i) {
    size_t colon = arn.find(':');
    if (colon == std::string_view::npos) {
      parts[i] = arn;
      return parts;
    }
    parts[i] = arn.substr(0, colon);
    arn.remove_prefix(colon + 1);
  }
  parts[5] = arn;
  return parts;
}

bool arn_matches(std::string_view pattern, std::string_view arn, const Variables* variables) {
  // Variables first: their values may hold colons.
  std::optional<std::string> expanded = variables ? expand(pattern, *variables) : std::string(pattern);
  if (!expanded) return false;
  if (*expanded == "*") return true;
  std::array<std::string_view, 6> wanted = arn_parts(*expanded), seen = arn_parts(arn);
  for (size_t i = 0; i < wanted.size(); ++i)
    if (!wildcard_match(wanted[i], seen[i], nullptr)) return false;
  return true;
}

// An address as 16 bytes, IPv4 as mapped into IPv6; nothing when it is none.
std::optional<std::array<unsigned char, 16>> address_bytes(std::string_view text, bool* is_v4 = nullptr) {
  std::array<unsigned char, 16> bytes{};
  std::string copy(text);
  bool v4 = text.find(':') == std::string_view::npos;
  if (is_v4) *is_v4 = v4;
  if (v4) {
    bytes[10] = bytes[11] = 0xff;
    if (inet_pton(AF_INET, copy.c_str(), bytes.data() + 12) != 1) return std::nullopt;
  } else if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) != 1) {
    return std::nullopt;
  }
  return bytes;
}

struct Range {
  std::array<unsigned char, 16> address;
  unsigned bits;
};

std::optional<Range> parse_range(std::string_view text) {
  size_t slash = text.find('/');
  bool v4 = false;
  auto address = address_bytes(text.substr(0, slash), &v4);
  if (!address) return std::nullopt;
  unsigned most = v4 ? 32 : 128, bits = most;
  if (slash != std::string_view::npos) {
    auto given = base::parse_number<unsigned>(text.substr(slash + 1));
    if (!given || *given > most) return std::nullopt;
    bits = *given;
  }
  return Range{*address, bits + (v4 ? 96 : 0)};
}

bool in_range(std::string_view address, std::string_view range_text) {
  auto range = parse_range(range_text);
  auto bytes = address_bytes(address);
  if (!range || !bytes) return false;
  unsigned whole = range->bits / 8, rest = range->bits % 8;
  if (std::memcmp(bytes->data(), range->address.data(), whole) != 0) return false;
  if (rest == 0) return true;
  auto mask = static_cast<unsigned char>(0xff << (8 - rest));
  return (((*bytes)[whole] ^ range->address[whole]) & mask) == 0;
}

bool value_matches(const Condition& condition, std::string_view wanted, std::string_view seen,
                   const Variables* variables) {
  switch (condition.type) {
    case ConditionType::kStringLike:
      return wildcard_match(wanted, seen, variables);
    case ConditionType::kArn:
      return arn_matches(wanted, seen, variables);
    case ConditionType::kBool:
      return base::equals_ignore_case(wanted, seen);
    case ConditionType::kIpAddress:
      return in_range(seen, wanted);
    case ConditionType::kBinary:
      return wanted == seen;
    case ConditionType::kNull:
      return false;  // not decided by values
    default:
      break;
  }
  std::optional<std::string> text = variables ? expand(wanted, *variables) : std::string(wanted);
  if (!text) return false;
  if (condition.type == ConditionType::kString) return *text == seen;
  if (condition.type == ConditionType::kStringIgnoreCase) return base::equals_ignore_case(*text, seen);
  if (condition.type == ConditionType::kDate) {
    auto a = seconds_of(seen), b = seconds_of(*text);
    return a && b && compare(*a, *b, condition.comparison);
  }
  auto a = base::parse_number<double>(seen), b = base::parse_number<double>(*text);
  return a && b && compare(*a, *b, condition.comparison);
}

}  // namespace

void Context::set(std::string_view key, std::string value) {
  values_[base::to_lower(key)] = {std::move(value)};
}

void Context::add(std::string_view key, std::string value) {
  values_[base::to_lower(key)].push_back(std::move(value));
}

const std::vector<std::string>* Context::find(std::string_view lower_key) const {
  auto found = values_.find(lower_key);
  return found == values_.end() ? nullptr : &found->second;
}

Variables Context::variables() const {
  return [this](std::string_view key) -> std::optional<std::string> {
    const std::vector<std::string>* values = find(key);
    if (!values || values->size() != 1) return std::nullopt;
    return values->front();
  };
}

std::optional<Condition> parse_condition_operator(std::string_view name) {
  std::string lower = base::to_lower(name);
  std::string_view rest = lower;
  Condition condition{};
  for (auto [prefix, quantifier] : {std::pair{std::string_view("forallvalues:"), Quantifier::kForAllValues},
                                    std::pair{std::string_view("foranyvalue:"), Quantifier::kForAnyValue}}) {
    if (!rest.starts_with(prefix)) continue;
    condition.quantifier = quantifier;
    rest.remove_prefix(prefix.size());
  }
  constexpr std::string_view kIfExists = "ifexists";
  if (rest.ends_with(kIfExists)) {
    condition.if_exists = true;
    rest.remove_suffix(kIfExists.size());
  }
  auto found =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& o) { return o.name == rest; });
  if (found == kOperators.end()) return std::nullopt;
  if (found->type == ConditionType::kNull &&
      (condition.if_exists || condition.quantifier != Quantifier::kNone))
    return std::nullopt;
  condition.type = found->type;
  condition.comparison = found->comparison;
  condition.negated = found->negated;
  return condition;
}

bool is_condition_value(ConditionType type, std::string_view value) {
  if (value.find("${") != std::string_view::npos) return type != ConditionType::kIpAddress;
  switch (type) {
    case ConditionType::kNumeric:
      return base::parse_number<double>(value).has_value();
    case ConditionType::kDate:
      return seconds_of(value).has_value();
    case ConditionType::kBool:
    case ConditionType::kNull:
      return base::equals_ignore_case(value, "true") || base::equals_ignore_case(value, "false");
    case ConditionType::kIpAddress:
      return parse_range(value).has_value();
    case ConditionType::kBinary:
      return base::unbase64(value).has_value();
    default:
      return true;
  }
}

bool holds(const Condition& condition, const Context& context, bool with_variables) {
  const std::vector<std::string>* seen = context.find(condition.key);
  bool there = seen && !seen->empty();
  if (condition.type == ConditionType::kNull)
    return std::any_of(condition.values.begin(), condition.values.end(), [&](const std::string& value) {
      return base::equals_ignore_case(value, "true") != there;
    });
  if (!there) {
    if (condition.if_exists || condition.quantifier == Quantifier::kForAllValues) return true;
    return condition.negated && condition.quantifier == Quantifier::kNone;
  }
  Variables variables = context.variables();
  auto one_holds = [&](const std::string& value) {
    bool any = std::any_of(condition.values.begin(), condition.values.end(), [&](const std::string& wanted) {
      return value_matches(condition, wanted, value, with_variables ? &variables : nullptr);
    });
    return any != condition.negated;
  };
  // Without a quantifier a negated operator must hold for each value, or one more value would undo a denial.
  bool all = condition.quantifier == Quantifier::kForAllValues ||
             (condition.quantifier == Quantifier::kNone && condition.negated);
  return all ? std::all_of(seen->begin(), seen->end(), one_holds)
             : std::any_of(seen->begin(), seen->end(), one_holds);
}

}  // namespace millrace::iam
