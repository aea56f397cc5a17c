#include "logs/pattern_regex.h"

#include <re2/re2.h>

#include <string>

#include "base/error.h"
#include "logs/pattern_reader.h"

namespace millrace::logs {
namespace {

constexpr int64_t kProgramBytesMax = 1 << 20;
constexpr std::string_view kSymbols = "_#=@/;,:- ^$?[]{}|\\*+.";
constexpr std::string_view kClassEscapes = "dDsSwW";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

void check(std::string_view expression) {
  if (expression.empty()) PatternReader::refuse();
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (!is_letter(c) && !is_digit(c) && kSymbols.find(c) == std::string_view::npos)
      throw base::UsageError(std::string("Invalid character(s) in term '") + c + "'");
    if (c != '\\') continue;
    if (++i == expression.size()) PatternReader::refuse();
    const char escaped = expression[i];
    const bool is_byte =
        escaped == 'x' && i + 2 < expression.size() && is_hex(expression[i + 1]) && is_hex(expression[i + 2]);
    const bool is_literal = kSymbols.find(escaped) != std::string_view::npos;
    if (!is_byte && !is_literal && kClassEscapes.find(escaped) == std::string_view::npos)
      PatternReader::refuse();
  }
}

// "{,3}" is three at most to CloudWatch Logs, and text to RE2.
std::string with_lower_bounds(std::string_view expression) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    out += expression[i];
    if (expression[i] == '\\') {
      out += expression[++i];
    } else if (expression[i] == '[') {
      in_class = true;
    } else if (expression[i] == ']') {
      in_class = false;
    } else if (!in_class && expression[i] == '{' && i + 1 < expression.size() && expression[i + 1] == ',') {
      out += '0';
    }
  }
  return out;
}

}  // namespace

PatternRegex::PatternRegex(std::string_view expression) {
  check(expression);
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kProgramBytesMax);
  auto regex = std::make_shared<const re2::RE2>(with_lower_bounds(expression), options);
  if (!regex->ok()) PatternReader::refuse();
  regex_ = std::move(regex);
}

bool PatternRegex::found_in(std::string_view text) const {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex_);
}

}  // namespace millrace::logs
