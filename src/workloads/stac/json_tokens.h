// One JSON text as a row of tokens, to be walked once from front to back: what simdjson's first stage finds,
// without the tree and the copies of texts that its second stage makes.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::stac {

// Not thread-safe; keeps its buffers from text to text. Everything throws CorruptError where the text is not
// JSON; what it does not need to look at it does not check. Views live as long as the text.
class JsonTokens {
 public:
  JsonTokens() = default;

  // `text` must have simdjson::SIMDJSON_PADDING readable bytes behind it, and less than 4 GiB.
  void open(std::string_view text);

  // The first byte of the next token: one of {}[]:," or that of a number, true, false or null; 0 at the end.
  char kind() const { return at_ < count_ ? text_[index_[at_]] : '\0'; }

  // A text as it stands between its quotes, escapes and all.
  std::string_view raw_string() {
    if (kind() != '"') fail();
    const size_t begin = index_[at_] + 1, end = end_of_token(at_);
    if (end <= begin || text_[end - 1] != '"') fail();
    ++at_;
    return {text_ + begin, end - 1 - begin};
  }
  // A number, true, false or null.
  std::string_view scalar() {
    switch (kind()) {
      case '\0':
      case '{':
      case '}':
      case '[':
      case ']':
      case ':':
      case ',':
      case '"':
        fail();
      default:
        break;
    }
    const std::string_view token(text_ + index_[at_], end_of_token(at_) - index_[at_]);
    ++at_;
    return token;
  }
  // A whole value, whatever it is.
  std::string_view raw_value();

  // Objects: begin_object(), then next_member() until false; each time the value must be taken. `name` is as
  // it stands between its quotes. Arrays likewise.
  void begin_object() { take('{'), first_ = true; }
  bool next_member(std::string_view& name) {
    if (!next_of('}')) return false;
    name = raw_string();
    take(':');
    return true;
  }
  void begin_array() { take('['), first_ = true; }
  bool next_element() { return next_of(']'); }

  // To come back to where it stands now.
  size_t position() const { return at_; }
  void go_back(size_t position) { at_ = position, first_ = false; }

 private:
  [[noreturn]] void fail() const;
  void take(char wanted) {
    if (kind() != wanted) fail();
    ++at_;
  }
  bool next_of(char end) {
    const char c = kind();
    if (c == end) {
      ++at_;
      first_ = false;
      return false;
    }
    if (!first_) take(',');
    first_ = false;
    return true;
  }
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  size_t end_of_token(size_t at) const {
    size_t end = at + 1 < count_ ? index_[at + 1] : size_;
    while (end > index_[at] + 1 && is_space(text_[end - 1])) --end;
    return end;
  }

  std::unique_ptr<simdjson::internal::dom_parser_implementation> stage_;
  const char* text_ = nullptr;
  const uint32_t* index_ = nullptr;
  size_t count_ = 0, at_ = 0, size_ = 0;
  bool first_ = false;
};

// The text that stands in JSON as `raw` (between its quotes), after `out`. False where it is no Unicode text
// (half of a surrogate pair): `out` is then of no use. Throws CorruptError for an unknown escape.
bool append_unescaped(std::string_view raw, std::string& out);
inline bool has_escape(std::string_view raw) { return raw.find('\\') != std::string_view::npos; }

// `text` in quotes, with escapes where JSON wants them.
void append_json_string(std::string_view text, std::string& out);
// The shortest text that gives the same number again, with ".0" where it would look like an integer.
void append_json_number(double value, std::string& out);

}  // namespace millrace::stac
