// How the program millrace-media and the scan that started it talk: messages over its standard input and
// output. The scan gives a job; the program asks for the bytes that it wants, as it wants them, and ends the
// job with an answer, a picture or a reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::media {

enum class Message : uint8_t {
  // from the scan
  kProbe = 'P',      // u64 size of the file, its name: what is it?
  kThumbnail = 'T',  // u64 size, u32 longest side, u32 degrees to turn clockwise (0, 90, 180, 270), name
  kPixels =
      'X',       // u32 longest side, u32 width, u32 height, RGBA rows from the bottom up: make a JPEG of them
  kBytes = 'B',  // what was wanted; shorter, or nothing, at the end of the file
  kRefused = 'N',  // the bytes cannot be had
  // from the program
  kWant = 'W',     // u64 offset, u32 length
  kAnswer = 'J',   // JSON
  kPicture = 'I',  // a JPEG
  kFailed = 'F',   // why not, as text
};

inline constexpr uint32_t kMessageMax = 8 << 20;  // bytes of one message
inline constexpr uint32_t kWantMax = 1 << 20;     // bytes asked for at once
inline constexpr size_t kHeadBytes = 5;           // type, u32 length

// Numbers are little endian.
inline void put32(std::string& out, uint32_t n) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(n >> (8 * i) & 0xFF);
}
inline void put64(std::string& out, uint64_t n) {
  put32(out, static_cast<uint32_t>(n));
  put32(out, static_cast<uint32_t>(n >> 32));
}
inline uint32_t get32(const char* p) {
  uint32_t n = 0;
  for (int i = 3; i >= 0; --i) n = n << 8 | static_cast<uint8_t>(p[i]);
  return n;
}
inline uint64_t get64(const char* p) { return uint64_t{get32(p + 4)} << 32 | get32(p); }

inline std::string framed(Message type, std::string_view payload) {
  std::string out(1, static_cast<char>(type));
  put32(out, static_cast<uint32_t>(payload.size()));
  out += payload;
  return out;
}

}  // namespace millrace::media
