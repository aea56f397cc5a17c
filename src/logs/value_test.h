// "= 4*", "!= \"x\"", ">= 400", "= %regex%": what filter patterns ask of a JSON value or a field.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "logs/pattern_reader.h"
#include "logs/pattern_regex.h"

namespace millrace::logs {

// Immutable, thread-safe.
class ValueTest {
 public:
  // Reads operator and operand.
  static ValueTest read(PatternReader& reader);

  // `number` is the value as a number when it is one. Text is compared byte by byte, with '*' at the
  // operand's ends (elsewhere it stands for itself, as at AWS); two numbers as numbers, unless the operand
  // was quoted. An order holds between numbers only.
  bool holds(std::string_view text, std::optional<long double> number) const;
  // False when holds() never looks at `number`.
  bool wants_number() const { return number_.has_value(); }

 private:
  enum class Operator { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };
  bool equals(std::string_view text, std::optional<long double> number) const;

  Operator operator_ = Operator::kEqual;
  std::string text_;
  bool any_before_ = false, any_after_ = false;  // '*'
  std::optional<long double> number_;
  std::optional<PatternRegex> regex_;
};

}  // namespace millrace::logs
