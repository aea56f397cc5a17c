#include "logs/value_test.h"

namespace millrace::logs {

ValueTest ValueTest::read(PatternReader& reader) {
  ValueTest test;
  reader.skip_blanks();
  if (reader.take("!="))
    test.operator_ = Operator::kNotEqual;
  else if (reader.take("<="))
    test.operator_ = Operator::kLessOrEqual;
  else if (reader.take(">="))
    test.operator_ = Operator::kGreaterOrEqual;
  else if (reader.take("<"))
    test.operator_ = Operator::kLess;
  else if (reader.take(">"))
    test.operator_ = Operator::kGreater;
  else if (!reader.take("="))
    reader.refuse_characters();
  reader.skip_blanks();

  const bool ordered = test.operator_ != Operator::kEqual && test.operator_ != Operator::kNotEqual;
  if (reader.peek() == '%' && !ordered) {
    test.regex_ = reader.regex();
    return test;
  }
  const bool quoted = reader.peek() == '"' && !ordered;
  std::string text = quoted ? reader.quoted() : reader.word(true);
  if (!quoted) {
    if (text.empty()) reader.refuse_characters();
    test.number_ = number_in(text);
    if (ordered && !test.number_) PatternReader::refuse();
  }
  std::string_view core = text;
  if (core.starts_with('*')) {
    test.any_before_ = true;
    core.remove_prefix(1);
  }
  if (core.ends_with('*')) {
    test.any_after_ = true;
    core.remove_suffix(1);
  }
  test.text_ = core;
  return test;
}

bool ValueTest::equals(std::string_view text, std::optional<long double> number) const {
  if (regex_) return regex_->found_in(text);
  if (number_ && number) return *number_ == *number;
  if (any_before_ && any_after_) return text.find(text_) != std::string_view::npos;
  if (any_before_) return text.ends_with(text_);
  if (any_after_) return text.starts_with(text_);
  return text == text_;
}

bool ValueTest::holds(std::string_view text, std::optional<long double> number) const {
  switch (operator_) {
    case Operator::kEqual:
      return equals(text, number);
    case Operator::kNotEqual:
      return !equals(text, number);
    case Operator::kLess:
      return number && *number < *number_;
    case Operator::kLessOrEqual:
      return number && *number <= *number_;
    case Operator::kGreater:
      return number && *number > *number_;
    case Operator::kGreaterOrEqual:
      return number && *number >= *number_;
  }
  return false;
}

}  // namespace millrace::logs
