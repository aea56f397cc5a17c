#include "logs/pattern_reader.h"

#include "base/error.h"
#include "base/strings.h"

namespace millrace::logs {
namespace {

constexpr int kRegexesMax = 2;  // CloudWatch Logs user guide, "Supported regular expressions"

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// AWS documents letters, digits and '_'; the others are known to pass.
bool is_word_character(char c) {
  return is_alphanumeric(c) || c == '_' || c == '-' || c == '.' || c == '/' || c == '+';
}

}  // namespace

void PatternReader::refuse() { throw base::UsageError(kInvalid); }

void PatternReader::refuse_characters() const {
  size_t end = at_;
  while (end < text_.size() && !is_blank(text_[end]) && !is_word_character(text_[end])) ++end;
  if (end == at_) refuse();
  throw base::UsageError("Invalid character(s) in term '" + std::string(text_.substr(at_, end - at_)) + "'");
}

void PatternReader::skip_blanks() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
}

bool PatternReader::take(std::string_view token) {
  if (!text_.substr(at_).starts_with(token)) return false;
  at_ += token.size();
  return true;
}

void PatternReader::expect(std::string_view token) {
  if (!take(token)) refuse_characters();
}

std::string PatternReader::word(bool wildcards) {
  const size_t begin = at_;
  while (at_ < text_.size() && (is_word_character(text_[at_]) || (wildcards && text_[at_] == '*'))) ++at_;
  return std::string(text_.substr(begin, at_ - begin));
}

std::string PatternReader::property() {
  const size_t begin = at_;
  while (at_ < text_.size() && (is_alphanumeric(text_[at_]) || text_[at_] == '_' || text_[at_] == '-')) ++at_;
  return std::string(text_.substr(begin, at_ - begin));
}

std::string PatternReader::quoted() { return between('"'); }
std::string PatternReader::single_quoted() { return between('\''); }

std::string PatternReader::between(char quote) {
  expect({&quote, 1});
  std::string out;
  for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
    if (text_[at_] == '\\' && at_ + 1 < text_.size() && (text_[at_ + 1] == quote || text_[at_ + 1] == '\\'))
      ++at_;
    out += text_[at_];
  }
  if (!take({&quote, 1})) refuse();
  return out;
}

PatternRegex PatternReader::regex() {
  expect("%");
  const size_t end = text_.find('%', at_);
  if (end == std::string_view::npos || ++regexes_ > kRegexesMax) refuse();
  PatternRegex regex(text_.substr(at_, end - at_));
  at_ = end + 1;
  return regex;
}

std::optional<long double> number_in(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const size_t first = text.starts_with('-') ? 1 : 0;
  if (text.size() == first || !((text[first] >= '0' && text[first] <= '9') || text[first] == '.'))
    return std::nullopt;
  if (auto whole = base::parse_number<int64_t>(text)) return static_cast<long double>(*whole);
  if (auto number = base::parse_number<double>(text)) return *number;
  return std::nullopt;
}

}  // namespace millrace::logs
