// UTF-8, one character at a time, for text that may be broken.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::events {

struct DecodedCharacter {
  char32_t code;
  uint32_t bytes;  // 1 to 4; 1 for a byte that begins no character, whose code is then 0xDC00 + the byte
};

// The character at `at`, which must be inside `text`.
inline DecodedCharacter decode_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char b = byte(0);
  const auto follows = [&](uint32_t count) {
    if (text.size() - at < count) return false;
    for (uint32_t i = 1; i < count; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  if (b < 0x80) return {b, 1};
  if (b >= 0xC2 && b < 0xE0 && follows(2))
    return {static_cast<char32_t>((b & 0x1F) << 6 | (byte(1) & 0x3F)), 2};
  if (b >= 0xE0 && b < 0xF0 && follows(3)) {
    return {static_cast<char32_t>((b & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F)), 3};
  }
  if (b >= 0xF0 && b < 0xF5 && follows(4)) {
    return {static_cast<char32_t>((b & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
                                  (byte(3) & 0x3F)),
            4};
  }
  return {static_cast<char32_t>(0xDC00 + b), 1};
}

inline void append_utf8(std::string* out, char32_t c) {
  const auto put = [&](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace millrace::events
