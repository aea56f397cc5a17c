#include "logs/filter_pattern.h"

#include <cstring>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::logs {
namespace {

bool contains(std::string_view text, const std::string& term) {
  return ::memmem(text.data(), text.size(), term.data(), term.size()) != nullptr;
}

bool is_term_character(char c) {
  // Other characters need quotes (AWS's user guide); bytes of UTF-8 letters are let through.
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '/' || c == ':' || c == '@' || c == '#' || c == '+' || c == ',' || c == '\'' ||
         static_cast<unsigned char>(c) >= 0x80;
}

[[noreturn]] void refuse() { throw base::UsageError("Invalid filter pattern"); }

}  // namespace

FilterPattern FilterPattern::parse(std::string_view text) {
  FilterPattern pattern;
  text = base::trim(text);
  if (text == "\"\"" || text == "\" \"") return pattern;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == '\t') {
      ++at;
      continue;
    }
    std::vector<std::string>* terms = &pattern.all_;
    if (text[at] == '?')
      terms = &pattern.any_, ++at;
    else if (text[at] == '-')
      terms = &pattern.none_, ++at;
    std::string term;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) ++at;
        term += text[at];
      }
      if (at == text.size()) refuse();
      ++at;
    } else {
      for (; at < text.size() && is_term_character(text[at]); ++at) term += text[at];
    }
    if (at < text.size() && text[at] != ' ' && text[at] != '\t') refuse();
    if (term.empty()) refuse();
    terms->push_back(std::move(term));
  }
  return pattern;
}

bool FilterPattern::matches(std::string_view message) const {
  for (const std::string& term : all_)
    if (!contains(message, term)) return false;
  for (const std::string& term : none_)
    if (contains(message, term)) return false;
  if (any_.empty() || !all_.empty()) return true;
  for (const std::string& term : any_)
    if (contains(message, term)) return true;
  return false;
}

bool FilterPattern::may_match(std::string_view bytes) const {
  for (const std::string& term : all_)
    if (!contains(bytes, term)) return false;
  if (any_.empty() || !all_.empty()) return true;
  for (const std::string& term : any_)
    if (contains(bytes, term)) return true;
  return false;
}

}  // namespace millrace::logs
