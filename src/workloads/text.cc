#include "workloads/text.h"

#include "base/strings.h"

namespace millrace::workloads {
namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
int hex_value(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// True when `text` at `at` reads "\xNN".
bool is_escape(std::string_view text, size_t at) {
  return text.size() - at >= 4 && text[at] == '\\' && text[at + 1] == 'x' && is_hex(text[at + 2]) &&
         is_hex(text[at + 3]);
}

void append_escape(std::string& out, unsigned char byte) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

// Bytes of the well-formed UTF-8 character at the start of `rest`; 0 when there is none.
size_t character_length(std::string_view rest) {
  unsigned char first = static_cast<unsigned char>(rest[0]);
  size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return length <= rest.size() && base::is_utf8(rest.substr(0, length)) ? length : 0;
}

bool is_plain_ascii(std::string_view bytes) {
  for (unsigned char c : bytes) {
    if (c >= 0x80 || c == 0 || c == '\\') return false;
  }
  return true;
}

}  // namespace

bool is_storage_text(std::string_view bytes) {
  if (is_plain_ascii(bytes)) return true;
  if (bytes.find('\0') != std::string_view::npos || !base::is_utf8(bytes)) return false;
  for (size_t at = bytes.find('\\'); at != std::string_view::npos; at = bytes.find('\\', at + 1)) {
    if (is_escape(bytes, at)) return false;
  }
  return true;
}

std::string storage_text(std::string_view bytes) {
  if (is_storage_text(bytes)) return std::string(bytes);
  std::string out;
  out.reserve(bytes.size() + 16);
  for (size_t at = 0; at < bytes.size();) {
    size_t length = character_length(bytes.substr(at));
    if (length == 0 || bytes[at] == '\0' || is_escape(bytes, at)) {
      append_escape(out, static_cast<unsigned char>(bytes[at++]));
      continue;
    }
    out += bytes.substr(at, length);
    at += length;
  }
  return out;
}

std::string storage_bytes(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (is_escape(text, at)) {
      out += static_cast<char>(hex_value(text[at + 2]) * 16 + hex_value(text[at + 3]));
      at += 4;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::string printable(std::string_view bytes) {
  std::string out;
  for (char c : storage_text(bytes)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      append_escape(out, static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  // C1 control characters (U+0080 to U+009F) are two bytes in UTF-8, and some terminals obey them.
  for (size_t at = 0; (at = out.find('\xc2', at)) != std::string::npos; ++at) {
    if (at + 1 < out.size() && static_cast<unsigned char>(out[at + 1]) < 0xa0) out.replace(at, 2, "?");
  }
  return out;
}

std::string html_text(std::string_view bytes) {
  std::string out;
  for (char c : printable(bytes)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string shortened(std::string text, size_t bytes_max) {
  constexpr std::string_view kMore = "…";
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max - kMore.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text.append(kMore);
}

}  // namespace millrace::workloads
