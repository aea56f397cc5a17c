// The Condition element of policies (IAM User Guide, "IAM JSON policy elements: Condition operators").
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "iam/wildcard.h"

namespace millrace::iam {

// What is known of a request, by context key in lower case ("aws:sourceip"). Most have one value.
class Context {
 public:
  void set(std::string_view key, std::string value);
  void add(std::string_view key, std::string value);  // to a key with several values
  const std::vector<std::string>* find(std::string_view lower_key) const;
  Variables variables() const;  // valid as long as the context
  const std::map<std::string, std::vector<std::string>, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

enum class ConditionType {
  kString,
  kStringIgnoreCase,
  kStringLike,
  kArn,
  kNumeric,
  kDate,
  kBool,
  kBinary,
  kIpAddress,
  kNull
};
enum class Comparison { kEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };
enum class Quantifier { kNone, kForAllValues, kForAnyValue };

struct Condition {
  ConditionType type;
  Comparison comparison = Comparison::kEqual;
  bool negated = false;
  bool if_exists = false;
  Quantifier quantifier = Quantifier::kNone;
  std::string key;  // lower case
  std::vector<std::string> values;
  std::string shown;  // "StringEquals aws:username", for explanations
};

// "ForAnyValue:StringLikeIfExists" without key and values; nothing when there is no such operator.
std::optional<Condition> parse_condition_operator(std::string_view name);

// Whether `value` can stand in a condition of that type at all.
bool is_condition_value(ConditionType type, std::string_view value);

// With `variables` they are replaced in string, ARN and numeric values.
bool holds(const Condition& condition, const Context& context, bool variables);

}  // namespace millrace::iam
