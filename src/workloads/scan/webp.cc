// WebP (RFC 9649): lossy, lossless, extended, animated.
#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"

namespace millrace::scan {
namespace {

constexpr unsigned kFetchesMax =
    16;  // frames of an animation spread over a large file are counted only so long

void read_lossy(MediaBytes& bytes, uint64_t at, ImageFacts& facts, bool set_size) {
  const char* p = bytes.at(at, 10, "VP8 frame").data();
  if (std::string_view(p + 3, 3) != "\x9D\x01\x2A") corrupt("no VP8 key frame", at);
  if (set_size) set_resolution(facts, le16(p + 6) & 0x3FFF, le16(p + 8) & 0x3FFF, at + 6);
  if (facts.compression.empty()) facts.compression = "VP8";
}

void read_lossless(MediaBytes& bytes, uint64_t at, ImageFacts& facts, bool set_size) {
  const char* p = bytes.at(at, 5, "VP8L frame").data();
  if (u8(p) != 0x2F) corrupt("no VP8L signature", at);
  uint32_t bits = le32(p + 1);
  if (set_size) {
    set_resolution(facts, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, at + 1);
    facts.has_alpha = bits >> 28 & 1;
  }
  facts.compression = "VP8L";
}

void read_extended(const char* p, ImageFacts& facts, uint64_t at) {
  unsigned flags = u8(p);
  set_resolution(facts, uint64_t{le24(p + 4)} + 1, uint64_t{le24(p + 7)} + 1, at + 4);
  facts.has_alpha = flags >> 4 & 1;
  facts.animated = flags >> 1 & 1;
  facts.has_xmp = flags >> 2 & 1;
}

}  // namespace

void read_webp(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.at(0, 12, "WebP header");
  if (!head.starts_with("RIFF") || head.substr(8) != "WEBP") corrupt("not a WebP signature", 0);
  uint64_t end = uint64_t{8} + le32(head.data() + 4);
  facts.animated = false;
  facts.has_alpha = false;
  facts.bit_depth = 8;
  facts.pixel_type = "uint8";
  uint32_t frames = 0;
  bool extended = false, counted = true, picture = false;
  uint64_t file_end = std::min(end, bytes.size());
  for (uint64_t at = 12; at + 8 <= file_end;) {
    bytes.step("WebP chunks");
    if (bytes.fetches() > kFetchesMax) {
      counted = false;
      break;
    }
    std::string_view chunk = bytes.at(at, 8, "WebP chunk");
    char name[4];
    chunk.copy(name, 4);
    std::string_view kind(name, 4);
    uint32_t size = le32(chunk.data() + 4);
    uint64_t data = at + 8;
    if (kind == "VP8X") {
      if (size < 10) corrupt("VP8X of " + std::to_string(size) + " bytes", at);
      extended = true;
      read_extended(bytes.at(data, 10, "VP8X").data(), facts, data);
    } else if (kind == "VP8 ") {
      picture = true;
      read_lossy(bytes, data, facts, !extended);
    } else if (kind == "VP8L") {
      picture = true;
      read_lossless(bytes, data, facts, !extended);
    } else if (kind == "ANMF") {
      picture = true;
      ++frames;
      std::string_view inner = bytes.some(data + 16, 4, "WebP frame");
      if (inner == "VP8L") facts.compression = "VP8L";
      if (inner == "VP8 " || inner == "ALPH") facts.compression = "VP8";
    } else if (kind == "ICCP") {
      facts.color_space = icc_profile_name(bytes, data, size);
    } else if (kind == "EXIF") {
      // Some writers put JPEG's "Exif\0\0" in front.
      bool prefixed = bytes.some(data, 4, "EXIF") == "Exif" && size > 6;
      read_exif(bytes, data + (prefixed ? 6 : 0), size - (prefixed ? 6 : 0), facts);
    } else if (kind == "XMP ") {
      facts.has_xmp = true;
      read_xmp(bytes, data, size, facts);
    }
    facts.channels = facts.has_alpha.value_or(false) ? 4 : 3;
    facts.color_mode = *facts.channels == 4 ? "RGBA" : "RGB";
    uint64_t next = data + size + (size & 1);
    check_end(data + size, bytes.size(), "WebP chunk");
    at = next;
  }
  if (*facts.animated && counted) facts.frame_count = frames;
  check_end(end, bytes.size(), "WebP file");
  if (!picture && counted) corrupt("WebP without a picture, its end", end);
}

}  // namespace millrace::scan
