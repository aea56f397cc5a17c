// A pull reader of JSON text for event patterns. After every token it stands where Jackson 2.14 stands,
// because the line and column of that place are part of AWS's error messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::events {

enum class Token : uint8_t {
  kEnd,
  kObjectStart,
  kObjectEnd,
  kArrayStart,
  kArrayEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kTrue,
  kFalse,
  kNull
};

inline bool is_number(Token token) { return token == Token::kInteger || token == Token::kFloat; }

// Reads one value; what follows it is never looked at. Throws InvalidPatternError for text that is not JSON.
// The text must outlive the reader. Nesting deeper than kDepthMax is refused.
class TokenReader {
 public:
  static constexpr size_t kDepthMax = 1000;

  explicit TokenReader(std::string_view text) : text_(text) {}

  Token next();
  // The last name read.
  const std::string& name() const { return name_; }
  // The text of the current token: a string decoded, a number as written, a bracket as itself. Reading a
  // string moves the place behind its closing quote.
  const std::string& token_text();

  // Throws InvalidPatternError with `reason` and the current place.
  [[noreturn]] void fail(const std::string& reason) const;
  // `reason` followed by the current place, as an exception of Jackson's prints itself.
  std::string at_place(const std::string& reason) const { return at_place(reason, at_); }

 private:
  struct Context {
    bool object;
    bool first;
    size_t start;  // just behind the opening bracket
  };

  std::string at_place(const std::string& reason, size_t at) const;
  std::string place(size_t at) const;
  [[noreturn]] void fail_unexpected(size_t at, const std::string& comment) const;
  [[noreturn]] void fail_token(size_t begin);
  std::string describe(size_t at) const;
  const char* container() const;
  int skip_space();  // the next byte, consumed; -1 at the end
  Token value(int c);
  Token after_name();
  Token close(char bracket);
  void open(bool object, size_t start);
  void literal(std::string_view word, size_t begin);
  Token number(size_t begin);
  void read_string(std::string* out, const char* what, const char* at_end);
  void read_escape(std::string* out);

  std::string_view text_;
  size_t at_ = 0;
  std::vector<Context> contexts_;
  Token current_ = Token::kEnd;
  Token pending_ = Token::kEnd;  // the value behind a name, already begun
  size_t value_start_ = 0;
  bool string_open_ = false;  // the current string's opening quote is read, its text is not
  std::string name_;
  std::string string_;
};

}  // namespace millrace::events
