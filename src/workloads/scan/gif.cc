// GIF 87a and 89a.
#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kFullWalkMax =
    64 * 1024;  // frames of larger files are not counted: it means reading it all

// Walks over data sub-blocks; returns the offset after their end.
uint64_t skip_sub_blocks(MediaBytes& bytes, uint64_t at) {
  while (true) {
    bytes.step("GIF blocks");
    uint8_t size = bytes.read_u8(at, "GIF data block");
    at += 1u + size;
    if (size == 0) return at;
  }
}

}  // namespace

void read_gif(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.at(0, 13, "GIF header");
  if (!head.starts_with("GIF87a") && !head.starts_with("GIF89a")) corrupt("not a GIF signature", 0);
  set_resolution(facts, le16(head.data() + 6), le16(head.data() + 8), 6);
  unsigned packed = u8(head.data() + 10), aspect = u8(head.data() + 12);
  facts.bit_depth = 8;
  facts.channels = 1;
  facts.pixel_type = "uint8";
  facts.color_mode = "P";
  facts.compression = "LZW";
  facts.has_alpha = false;
  if (aspect) facts.pixel_aspect = (aspect + 15) / 64.0;
  uint64_t at = 13 + (packed & 0x80 ? uint64_t{3} << ((packed & 7) + 1) : 0);

  uint32_t frames = 0;
  bool whole = bytes.size() <= kFullWalkMax;
  while (true) {
    bytes.step("GIF blocks");
    // Enough for a large file: the second frame decides, and where the walk would leave the first 64 KiB it
    // ends.
    if (!whole && (frames > 1 || at >= kFullWalkMax)) break;
    uint8_t kind = bytes.read_u8(at, "GIF block");
    if (kind == 0x3B) {
      if (frames == 0) corrupt("GIF without a picture, its end", at);
      facts.frame_count = frames;
      facts.animated = frames > 1;
      return;
    }
    if (kind == 0x21) {
      uint8_t label = bytes.read_u8(at + 1, "GIF extension");
      if (label == 0xF9) {
        std::string_view control = bytes.at(at + 2, 5, "GIF graphic control");
        if (u8(control.data() + 1) & 1) facts.has_alpha = true;
      } else if (label == 0xFF) {
        std::string_view application = bytes.some(at + 2, 12, "GIF application");
        if (application.size() == 12 && application.substr(1) == "XMP DataXMP") facts.has_xmp = true;
      } else if (label == 0xFE && facts.description.empty()) {
        uint8_t size = bytes.read_u8(at + 2, "GIF comment");
        facts.description = clean_text(bytes.at(at + 3, size, "GIF comment"));
      }
      at = skip_sub_blocks(bytes, at + 2);
    } else if (kind == 0x2C) {
      ++frames;
      unsigned local = u8(bytes.at(at + 1, 9, "GIF picture").data() + 8);
      at += 10 + (local & 0x80 ? uint64_t{3} << ((local & 7) + 1) : 0) + 1;
      if (!whole && frames > 1) continue;
      at = whole ? skip_sub_blocks(bytes, at) : at + (kFullWalkMax - std::min(at, kFullWalkMax));
    } else {
      corrupt("unknown GIF block " + std::to_string(kind), at);
    }
  }
  if (frames > 1) facts.animated = true;
  std::string_view end = bytes.tail(1);
  if (end.empty() || (end[0] != 0x3B && end[0] != 0)) corrupt("truncated: no GIF trailer", bytes.size());
}

}  // namespace millrace::scan
