#include "logs/term_pattern.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "logs/pattern_reader.h"
#include "logs/pattern_regex.h"

namespace millrace::logs {
namespace {

bool contains(std::string_view text, const std::string& term) {
  return ::memmem(text.data(), text.size(), term.data(), term.size()) != nullptr;
}

// Terms of one sign.
struct Terms {
  std::vector<std::string> texts;
  std::vector<PatternRegex> regexes;
  bool empty() const { return texts.empty() && regexes.empty(); }
  bool all_in(std::string_view message) const {
    auto text_in = [&](const std::string& term) { return contains(message, term); };
    auto regex_in = [&](const PatternRegex& regex) { return regex.found_in(message); };
    return std::all_of(texts.begin(), texts.end(), text_in) &&
           std::all_of(regexes.begin(), regexes.end(), regex_in);
  }
  bool any_in(std::string_view message) const {
    auto text_in = [&](const std::string& term) { return contains(message, term); };
    auto regex_in = [&](const PatternRegex& regex) { return regex.found_in(message); };
    return std::any_of(texts.begin(), texts.end(), text_in) ||
           std::any_of(regexes.begin(), regexes.end(), regex_in);
  }
};

class TermPattern final : public MessageMatcher {
 public:
  explicit TermPattern(std::string_view text) {
    PatternReader reader(text);
    for (reader.skip_blanks(); !reader.at_end(); reader.skip_blanks()) {
      Terms& terms = reader.take("?") ? any_ : reader.take("-") ? none_ : all_;
      if (reader.peek() == '%') {
        terms.regexes.push_back(reader.regex());
      } else if (reader.peek() == '"') {
        terms.texts.push_back(reader.quoted());
        if (terms.texts.back().empty()) PatternReader::refuse();
      } else {
        terms.texts.push_back(reader.word(false));
        if (terms.texts.back().empty()) reader.refuse_characters();
      }
      const char next = reader.peek();
      if (next == '"' || next == '%') PatternReader::refuse();
      if (!reader.at_end() && next != ' ' && next != '\t' && next != '\n' && next != '\r')
        reader.refuse_characters();
    }
    if (!all_.empty() || !none_.empty()) any_ = {};
  }

  bool matches(std::string_view message) const override {
    return all_.all_in(message) && !none_.any_in(message) && (any_.empty() || any_.any_in(message));
  }

  bool may_match(std::string_view bytes) const override {
    // Expressions may be anchored at a message's ends, which nobody sees here.
    auto text_in = [&](const std::string& term) { return contains(bytes, term); };
    if (!std::all_of(all_.texts.begin(), all_.texts.end(), text_in)) return false;
    return any_.empty() || !any_.regexes.empty() ||
           std::any_of(any_.texts.begin(), any_.texts.end(), text_in);
  }

 private:
  Terms all_, any_, none_;
};

}  // namespace

std::unique_ptr<MessageMatcher> parse_term_pattern(std::string_view text) {
  return std::make_unique<TermPattern>(text);
}

}  // namespace millrace::logs
