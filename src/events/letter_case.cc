#include "events/letter_case.h"

#include <clocale>
#include <cwctype>

#include "events/utf8.h"

namespace millrace::events {
namespace {

// glibc's own tables of Unicode: the C.UTF-8 locale is built in and always there.
locale_t unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

// Matches `pattern` against the characters of `text` from `at` on; the place behind them, or npos.
size_t match_from(std::string_view pattern, std::string_view text, size_t at) {
  size_t p = 0;
  while (p < pattern.size()) {
    if (at >= text.size()) return std::string_view::npos;
    const DecodedCharacter want = decode_utf8(pattern, p), have = decode_utf8(text, at);
    if (have.code != to_lower(want.code) && have.code != to_upper(want.code)) return std::string_view::npos;
    p += want.bytes;
    at += have.bytes;
  }
  return at;
}

}  // namespace

char32_t to_lower(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  // Java looks at UTF-16 units, so that characters outside the first plane have no case.
  if (c >= 0xD800 && (c < 0xE000 || c >= 0x10000)) return c;
  return unicode() ? static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), unicode())) : c;
}

char32_t to_upper(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
  if (c >= 0xD800 && (c < 0xE000 || c >= 0x10000)) return c;
  return unicode() ? static_cast<char32_t>(towupper_l(static_cast<wint_t>(c), unicode())) : c;
}

bool equals_ignoring_case(std::string_view pattern, std::string_view text) {
  return match_from(pattern, text, 0) == text.size();
}

bool starts_with_ignoring_case(std::string_view pattern, std::string_view text) {
  return match_from(pattern, text, 0) != std::string_view::npos;
}

bool ends_with_ignoring_case(std::string_view pattern, std::string_view text) {
  // Every character of the pattern stands for one of the text: go back as many.
  size_t count = 0;
  for (size_t p = 0; p < pattern.size(); p += decode_utf8(pattern, p).bytes) ++count;
  size_t at = text.size();
  for (; count > 0; --count) {
    if (at == 0) return false;
    size_t begin = at - 1;
    while (begin > 0 && at - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (begin + decode_utf8(text, begin).bytes != at) begin = at - 1;
    at = begin;
  }
  return match_from(pattern, text, at) == text.size();
}

void fold_case(std::string_view text, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      out->push_back(byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : static_cast<char>(byte));
      ++i;
      continue;
    }
    const DecodedCharacter c = decode_utf8(text, i);
    if (c.code >= 0xDC00 && c.code < 0xDD00) {
      out->push_back(static_cast<char>(byte));
    } else {
      append_utf8(out, to_lower(to_upper(c.code)));
    }
    i += c.bytes;
  }
}

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

}  // namespace millrace::events
