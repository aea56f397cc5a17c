// %regular expressions% of filter patterns (CloudWatch Logs user guide, "Supported regular expressions").
#pragma once

#include <memory>
#include <string_view>

namespace re2 {
class RE2;
}

namespace millrace::logs {

// Immutable, thread-safe; linear in the text whatever the expression.
class PatternRegex {
 public:
  // Throws UsageError for characters and operators that CloudWatch Logs does not take: parentheses, and what
  // is neither a letter, a digit, a blank nor one of _ # = @ / ; , : - ^ $ ? [ ] { } | \ * + .
  explicit PatternRegex(std::string_view expression);
  bool found_in(std::string_view text) const;

 private:
  std::shared_ptr<const re2::RE2> regex_;
};

}  // namespace millrace::logs
