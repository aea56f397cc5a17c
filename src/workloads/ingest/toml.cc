#include "workloads/ingest/toml.h"

#include <cctype>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::ingest {
namespace {

constexpr int kDepthMax = 32;
constexpr size_t kTablesMax = 200'000;

using Path = std::vector<std::string>;

class TomlReader {
 public:
  explicit TomlReader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  base::json::object read() {
    base::json::object root;
    base::json::object* table = &root;
    for (skip_lines(); at_ < text_.size(); skip_lines()) {
      if (peek() == '[') {
        table = header(root);
      } else {
        const Path path = key();
        expect('=');
        base::json::value found = value(0);
        put(*table, path, std::move(found));
      }
      end_of_line();
    }
    return root;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    size_t line = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) line += text_[i] == '\n';
    throw base::CorruptError("line " + std::to_string(line) + ": " + what);
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }
  void blanks() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }
  void comment() {
    blanks();
    if (peek() == '#')
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }
  // Blanks, comments and line ends.
  void skip_lines() {
    for (comment(); at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r'); comment()) ++at_;
  }
  void end_of_line() {
    comment();
    take("\r");
    if (at_ < text_.size() && text_[at_] != '\n') fail("something stands behind the value");
  }
  void expect(char c) {
    blanks();
    if (peek() != c || at_ >= text_.size()) fail(std::string("a '") + c + "' is missing");
    ++at_;
    blanks();
  }

  Path key() {
    Path path;
    do {
      blanks();
      if (peek() == '"' || peek() == '\'') {
        path.push_back(text(false));
      } else {
        const size_t begin = at_;
        while (std::isalnum(static_cast<unsigned char>(peek())) != 0 || peek() == '_' || peek() == '-') ++at_;
        if (at_ == begin) fail("a name is missing");
        path.emplace_back(text_.substr(begin, at_ - begin));
      }
      if (path.size() > kDepthMax) fail("too many levels");
      blanks();
    } while (take("."));
    return path;
  }

  base::json::object* header(base::json::object& root) {
    const bool many = text_.compare(at_, 2, "[[") == 0;
    at_ += many ? 2 : 1;
    const Path path = key();
    blanks();
    if (!take(many ? "]]" : "]")) fail("the name of a table does not end");
    if (++tables_ > kTablesMax) fail("too many tables");
    base::json::object* table = &root;
    for (size_t i = 0; i + 1 < path.size(); ++i) table = &below(*table, path[i]);
    base::json::value& last = (*table)[path.back()];
    if (!many) return &below(*table, path.back());
    if (!last.is_array()) last = base::json::array();
    last.as_array().emplace_back(base::json::object());
    return &last.as_array().back().as_object();
  }

  // The table of that name, or the last one of an array of tables.
  static base::json::object& below(base::json::object& table, const std::string& name) {
    base::json::value& value = table[name];
    if (value.is_array() && !value.as_array().empty() && value.as_array().back().is_object())
      return value.as_array().back().as_object();
    if (!value.is_object()) value = base::json::object();
    return value.as_object();
  }

  static void put(base::json::object& table, const Path& path, base::json::value value) {
    base::json::object* at = &table;
    for (size_t i = 0; i + 1 < path.size(); ++i) at = &below(*at, path[i]);
    (*at)[path.back()] = std::move(value);
  }

  base::json::value value(int depth) {
    if (depth > kDepthMax) fail("too many levels");
    switch (peek()) {
      case '"':
      case '\'':
        return base::json::value(text(true));
      case '[':
        return array(depth);
      case '{':
        return inline_table(depth);
      default:
        break;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && std::string_view(",]}#\r\n").find(text_[at_]) == std::string_view::npos)
      ++at_;
    const std::string_view word = base::trim(text_.substr(begin, at_ - begin));
    if (word.empty()) fail("a value is missing");
    if (word == "true" || word == "false") return base::json::value(word == "true");
    return base::json::value(std::string(word));
  }

  base::json::value array(int depth) {
    base::json::array array;
    ++at_;
    for (skip_lines(); !take("]"); skip_lines()) {
      if (at_ >= text_.size()) fail("an array does not end");
      array.push_back(value(depth + 1));
      skip_lines();
      if (!take(",") && peek() != ']') fail("a ',' is missing in an array");
    }
    return array;
  }

  base::json::value inline_table(int depth) {
    base::json::object table;
    ++at_;
    for (skip_lines(); !take("}"); skip_lines()) {
      if (at_ >= text_.size()) fail("a table does not end");
      const Path path = key();
      expect('=');
      base::json::value found = value(depth + 1 + static_cast<int>(path.size()));
      put(table, path, std::move(found));
      skip_lines();
      if (!take(",") && peek() != '}') fail("a ',' is missing in a table");
    }
    return table;
  }

  std::string text(bool may_have_lines) {
    const char quote = text_[at_];
    const std::string three(3, quote);
    const bool lines = may_have_lines && text_.compare(at_, 3, three) == 0;
    at_ += lines ? 3 : 1;
    if (lines && !take("\r\n")) take("\n");
    std::string out;
    for (;;) {
      if (at_ >= text_.size() || (!lines && text_[at_] == '\n')) fail("a text does not end");
      if (lines ? take(three) : take(three.substr(0, 1))) {
        while (lines && take(three.substr(0, 1))) out += quote;  // """" ends a text that ends in a quote
        return base::to_utf8(out);
      }
      if (quote == '"' && text_[at_] == '\\') {
        ++at_;
        escape(out, lines);
      } else {
        out += text_[at_++];
      }
    }
  }

  void escape(std::string& out, bool lines) {
    const char c = peek();
    ++at_;
    switch (c) {
      case 'n':
        out += '\n';
        return;
      case 't':
        out += '\t';
        return;
      case 'r':
        out += '\r';
        return;
      case 'b':
        out += '\b';
        return;
      case 'f':
        out += '\f';
        return;
      case 'e':
        out += '\x1b';
        return;
      case '"':
      case '\\':
        out += c;
        return;
      case 'u':
      case 'U':
        return code_point(out, c == 'u' ? 4 : 8);
      default:
        break;
    }
    if (!lines || (c != '\n' && c != '\r' && c != ' ' && c != '\t')) fail("an unknown escape");
    while (std::isspace(static_cast<unsigned char>(peek())) != 0) ++at_;
  }

  void code_point(std::string& out, size_t digits) {
    uint32_t code = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) fail("an escape without its digits");
      const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
    if (code < 0x80) {
      out += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    out += static_cast<char>((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | (code >> (6 * more)));
    for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
  }

  std::string_view text_;
  size_t at_ = 0, tables_ = 0;
};

}  // namespace

base::json::object parse_toml(std::string_view text) { return TomlReader(text).read(); }

}  // namespace millrace::ingest
