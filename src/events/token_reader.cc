#include "events/token_reader.h"

#include <fmt/format.h>

#include "events/pattern_error.h"
#include "events/utf8.h"

namespace millrace::events {
namespace {

// Jackson shows this much of the source, counted in UTF-16 units.
constexpr size_t kSnippetMax = 500;
constexpr size_t kErrorTokenMax = 256;
constexpr const char* kValueList = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

bool is_digit(int c) { return c >= '0' && c <= '9'; }
bool is_identifier(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '$' || c >= 0x80;
}
size_t utf16_units(char32_t code) { return code >= 0x10000 ? 2 : 1; }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string TokenReader::place(size_t at) const {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < at;) {
    const DecodedCharacter c = decode_utf8(text_, i);
    i += c.bytes;
    const bool lone_cr = c.code == '\r' && (i >= text_.size() || text_[i] != '\n');
    if (c.code == '\n' || lone_cr) {
      ++line;
      column = 1;
    } else {
      column += utf16_units(c.code);
    }
  }
  std::string snippet;
  size_t units = 0;
  for (size_t i = 0; i < text_.size();) {
    const DecodedCharacter c = decode_utf8(text_, i);
    if (units < kSnippetMax) {
      const bool control = c.code < 0x20 || (c.code >= 0x7F && c.code < 0xA0);
      if (control && c.code != '\n' && c.code != '\r') {
        snippet += fmt::format("\\u{:04X}", static_cast<uint32_t>(c.code));
      } else {
        snippet.append(text_, i, c.bytes);
      }
    }
    units += utf16_units(c.code);
    i += c.bytes;
  }
  const std::string more =
      units > kSnippetMax ? fmt::format("[truncated {} chars]", units - kSnippetMax) : "";
  return fmt::format("[Source: (String)\"{}\"{}; line: {}, column: {}]", snippet, more, line, column);
}

std::string TokenReader::at_place(const std::string& reason, size_t at) const {
  return reason + "\n at " + place(at);
}

void TokenReader::fail(const std::string& reason) const { throw InvalidPatternError(at_place(reason)); }

std::string TokenReader::describe(size_t at) const {
  const DecodedCharacter c = decode_utf8(text_, at);
  const auto code = static_cast<uint32_t>(c.code);
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return fmt::format("(CTRL-CHAR, code {})", code);
  const std::string_view bytes = text_.substr(at, c.bytes);
  if (code > 255) return fmt::format("'{}' (code {} / 0x{:x})", bytes, code, code);
  return fmt::format("'{}' (code {})", bytes, code);
}

void TokenReader::fail_unexpected(size_t at, const std::string& comment) const {
  throw InvalidPatternError(
      at_place(fmt::format("Unexpected character ({}): {}", describe(at), comment), at));
}

// The word that begins at `begin` is none of JSON's.
void TokenReader::fail_token(size_t begin) {
  size_t end = at_ < text_.size() ? at_ : text_.size();
  while (end < text_.size() && end - begin < kErrorTokenMax &&
         is_identifier(static_cast<unsigned char>(text_[end]))) {
    ++end;
  }
  at_ = end;
  fail(
      fmt::format("Unrecognized token '{}': was expecting {}", text_.substr(begin, end - begin), kValueList));
}

const char* TokenReader::container() const {
  if (contexts_.empty()) return "root";
  return contexts_.back().object ? "Object" : "Array";
}

int TokenReader::skip_space() {
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_++]);
    if (c > ' ') return c;
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      fail(fmt::format(
          "Illegal character ({}): only regular white space (\\r, \\n, \\t) is allowed between tokens",
          describe(at_ - 1)));
    }
  }
  return -1;
}

Token TokenReader::next() {
  if (current_ == Token::kName) return after_name();
  if (string_open_) read_string(nullptr, "string value", ": was expecting closing quote for a string value");
  int c = skip_space();
  if (c < 0) {
    if (contexts_.empty()) return current_ = Token::kEnd;
    fail(fmt::format("Unexpected end-of-input: expected close marker for {} (start marker at {})",
                     container(), place(contexts_.back().start - 1)));
  }
  if (c == ']' || c == '}') return close(static_cast<char>(c));
  if (!contexts_.empty()) {
    Context& context = contexts_.back();
    if (!context.first) {
      if (c != ',')
        fail_unexpected(at_ - 1, fmt::format("was expecting comma to separate {} entries", container()));
      c = skip_space();
      if (c < 0) fail(fmt::format("Unexpected end-of-input within/between {} entries", container()));
    }
    context.first = false;
    if (context.object) {
      if (c != '"') fail_unexpected(at_ - 1, "was expecting double-quote to start field name");
      read_string(&name_, "name", " in field name");
      c = skip_space();
      if (c >= 0 && c != ':')
        fail_unexpected(at_ - 1, "was expecting a colon to separate field name and value");
      if (c >= 0) c = skip_space();
      if (c < 0) fail(fmt::format("Unexpected end-of-input within/between {} entries", container()));
      pending_ = value(c);
      return current_ = Token::kName;
    }
  }
  current_ = value(c);
  if (current_ == Token::kObjectStart || current_ == Token::kArrayStart)
    open(current_ == Token::kObjectStart, at_);
  return current_;
}

Token TokenReader::after_name() {
  current_ = pending_;
  if (current_ == Token::kObjectStart || current_ == Token::kArrayStart) {
    open(current_ == Token::kObjectStart, value_start_ + 1);
  }
  return current_;
}

void TokenReader::open(bool object, size_t start) {
  if (contexts_.size() >= kDepthMax) fail(fmt::format("Nested deeper than {} levels", kDepthMax));
  contexts_.push_back({object, true, start});
}

Token TokenReader::close(char bracket) {
  const bool object = bracket == '}';
  if (contexts_.empty() || contexts_.back().object != object) {
    if (contexts_.empty()) fail_unexpected(at_ - 1, std::string("expected a valid value ") + kValueList);
    fail(fmt::format("Unexpected close marker '{}': expected '{}' (for {} starting at {})", bracket,
                     contexts_.back().object ? '}' : ']', container(), place(contexts_.back().start - 1)));
  }
  contexts_.pop_back();
  return current_ = object ? Token::kObjectEnd : Token::kArrayEnd;
}

Token TokenReader::value(int c) {
  value_start_ = at_ - 1;
  switch (c) {
    case '"':
      string_open_ = true;
      return Token::kString;
    case '[':
      return Token::kArrayStart;
    case '{':
      return Token::kObjectStart;
    case '}':
      fail_unexpected(value_start_, "expected a value");
    case 't':
      literal("true", value_start_);
      return Token::kTrue;
    case 'f':
      literal("false", value_start_);
      return Token::kFalse;
    case 'n':
      literal("null", value_start_);
      return Token::kNull;
    default:
      break;
  }
  if (c == '-' || is_digit(c)) return number(value_start_);
  if (is_identifier(static_cast<unsigned char>(c))) fail_token(value_start_);
  fail_unexpected(value_start_, std::string("expected a valid value ") + kValueList);
}

void TokenReader::literal(std::string_view word, size_t begin) {
  size_t same = 0;
  while (same < word.size() && begin + same < text_.size() && text_[begin + same] == word[same]) ++same;
  at_ = begin + same;
  const bool goes_on = at_ < text_.size() && is_identifier(static_cast<unsigned char>(text_[at_]));
  if (same < word.size() || goes_on) fail_token(begin);
}

Token TokenReader::number(size_t begin) {
  size_t p = begin;
  const auto peek = [&] { return p < text_.size() ? static_cast<unsigned char>(text_[p]) : 0; };
  const auto digits = [&](const char* missing) {
    const size_t from = p;
    while (is_digit(peek())) ++p;
    if (p > from) return;
    at_ = p;
    if (p >= text_.size()) fail(fmt::format("Unexpected end-of-input in a Number value"));
    throw InvalidPatternError(
        at_place(fmt::format("Unexpected character ({}) in numeric value: {}", describe(p), missing), p));
  };
  if (peek() == '-') ++p;
  if (peek() == '0') {
    ++p;
    if (is_digit(peek())) {
      at_ = p + 1;
      fail("Invalid numeric value: Leading zeroes not allowed");
    }
  } else {
    digits("expected digit (0-9) to follow minus sign, for valid numeric value");
  }
  bool fraction = false;
  if (peek() == '.') {
    ++p;
    fraction = true;
    digits("Decimal point not followed by a digit");
  }
  if (peek() == 'e' || peek() == 'E') {
    ++p;
    fraction = true;
    if (peek() == '+' || peek() == '-') ++p;
    digits("Exponent indicator not followed by a digit");
  }
  at_ = p;
  string_.assign(text_, begin, p - begin);
  return fraction ? Token::kFloat : Token::kInteger;
}

void TokenReader::read_string(std::string* out, const char* what, const char* at_end) {
  string_open_ = false;
  if (out) out->clear();
  for (;;) {
    if (at_ >= text_.size()) fail(std::string("Unexpected end-of-input") + at_end);
    const auto c = static_cast<unsigned char>(text_[at_++]);
    if (c == '"') return;
    if (c == '\\') {
      read_escape(out);
    } else if (c < 0x20) {
      fail(fmt::format(
          "Illegal unquoted character ({}): has to be escaped using backslash to be included in {}",
          describe(at_ - 1), what));
    } else if (out) {
      out->push_back(static_cast<char>(c));
    }
  }
}

void TokenReader::read_escape(std::string* out) {
  const auto unit = [&] {
    char32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      if (at_ >= text_.size()) fail("Unexpected end-of-input in character escape sequence");
      const int digit = hex_value(text_[at_++]);
      if (digit < 0) fail_unexpected(at_ - 1, "expected a hex-digit for character escape sequence");
      code = code << 4 | static_cast<char32_t>(digit);
    }
    return code;
  };
  if (at_ >= text_.size()) fail("Unexpected end-of-input in character escape sequence");
  static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  const char c = text_[at_++];
  if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
    if (out) out->push_back(kTo[known]);
    return;
  }
  if (c != 'u') fail("Unrecognized character escape " + describe(at_ - 1));
  char32_t code = unit();
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_, 2) == "\\u") {
    const size_t back = at_;
    at_ += 2;
    const char32_t low = unit();
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else {
      at_ = back;
    }
  }
  // Half of a pair has no bytes; Java writes it as a question mark.
  if (code >= 0xD800 && code < 0xE000) code = '?';
  if (out) append_utf8(out, code);
}

const std::string& TokenReader::token_text() {
  switch (current_) {
    case Token::kString:
      if (string_open_)
        read_string(&string_, "string value", ": was expecting closing quote for a string value");
      return string_;
    case Token::kName:
      return name_;
    case Token::kInteger:
    case Token::kFloat:
      return string_;
    default:
      break;
  }
  static const std::string kTexts[] = {"", "{", "}", "[", "]", "", "", "", "", "true", "false", "null"};
  return kTexts[static_cast<size_t>(current_)];
}

}  // namespace millrace::events
