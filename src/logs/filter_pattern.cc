#include "logs/filter_pattern.h"

#include "base/error.h"
#include "base/strings.h"
#include "logs/field_pattern.h"
#include "logs/json_pattern.h"
#include "logs/pattern_reader.h"
#include "logs/term_pattern.h"

namespace millrace::logs {
namespace {

constexpr size_t kPatternBytesMax = 1024;

}  // namespace

FilterPattern FilterPattern::parse(std::string_view text) {
  FilterPattern pattern;
  if (text.size() > kPatternBytesMax) PatternReader::refuse();
  text = base::trim(text);
  if (text.empty() || text == "\"\"" || text == "\" \"") return pattern;
  if (text.front() == '{') {
    if (text.back() != '}')
      throw base::UsageError("If a filter pattern starts with '{' it must end with '}'");
    pattern.matcher_ = parse_json_pattern(text);
  } else if (text.front() == '[') {
    if (text.back() != ']')
      throw base::UsageError("If a filter pattern starts with '[' it must end with ']'");
    pattern.matcher_ = parse_field_pattern(text);
  } else {
    pattern.matcher_ = parse_term_pattern(text);
  }
  return pattern;
}

}  // namespace millrace::logs
