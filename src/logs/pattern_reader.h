// Reads the words that all forms of filter patterns are made of.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "logs/pattern_regex.h"

namespace millrace::logs {

// Walks over a pattern. Throws UsageError with CloudWatch Logs' words for what is no pattern.
class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : text_(text) {}

  // What stands for every mistake that has no words of its own.
  static constexpr const char* kInvalid = "Invalid filter pattern";
  [[noreturn]] static void refuse();
  // Names the characters here that no word may hold.
  [[noreturn]] void refuse_characters() const;

  void skip_blanks();
  bool at_end() const { return at_ == text_.size(); }
  // 0 at the end.
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  // Goes over `token` when it stands here.
  bool take(std::string_view token);
  void expect(std::string_view token);

  // A word without quotes: letters, digits and _ - . / + and, where a value stands, '*'. Empty when there is
  // none.
  std::string word(bool wildcards);
  // Letters, digits, _ and -: a key of a JSON object.
  std::string property();
  // "…" or '…'; a backslash takes the meaning from a quote or backslash.
  std::string quoted();
  std::string single_quoted();
  // %…%; at most two in a pattern.
  PatternRegex regex();

 private:
  std::string between(char quote);

  std::string_view text_;
  size_t at_ = 0;
  int regexes_ = 0;
};

// The number that all of `text` is: digits with sign, point and exponent; nothing for "inf" and the like.
// Whole ones of 64 bits are exact, others have the precision of a double.
std::optional<long double> number_in(std::string_view text);

}  // namespace millrace::logs
