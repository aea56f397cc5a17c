// Truevision TGA, versions 1 and 2. There is no magic number: the name says TGA, the header has to make
// sense.
#include <algorithm>
#include <cstdio>

#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr size_t kHeader = 18, kFooter = 26, kExtension = 495;
constexpr std::string_view kFooterMark("TRUEVISION-XFILE.\0", 18);

struct TgaHeader {
  unsigned id_size, map_kind, kind, map_entries, map_bits, width, height, bits, descriptor;
  explicit TgaHeader(const char* p)
      : id_size(u8(p)),
        map_kind(u8(p + 1)),
        kind(u8(p + 2)),
        map_entries(le16(p + 5)),
        map_bits(u8(p + 7)),
        width(le16(p + 12)),
        height(le16(p + 14)),
        bits(u8(p + 16)),
        descriptor(u8(p + 17)) {}
  unsigned color() const { return kind & 7; }  // 1 palette, 2 true colour, 3 grey
  bool runs() const { return kind & 8; }
  unsigned alpha_bits() const { return descriptor & 15; }
  uint64_t map_bytes() const { return map_kind ? uint64_t{map_entries} * ((map_bits + 7) / 8) : 0; }
  bool sensible() const {
    bool known = kind == 1 || kind == 2 || kind == 3 || kind == 9 || kind == 10 || kind == 11;
    bool depth = color() == 2   ? bits == 15 || bits == 16 || bits == 24 || bits == 32
                 : color() == 1 ? bits == 8 || bits == 16
                                : bits == 8 || bits == 16;
    bool map = map_kind == 0 ||
               (map_kind == 1 && (map_bits == 15 || map_bits == 16 || map_bits == 24 || map_bits == 32));
    return known && depth && map && (color() != 1 || map_kind == 1) && (descriptor & 0xC0) == 0;
  }
};

// Where the extension area begins, 0 when there is none.
uint64_t extension_at(MediaBytes& bytes) {
  std::string_view footer = bytes.tail(kFooter);
  if (footer.size() < kFooter || footer.substr(8) != kFooterMark) return 0;
  uint64_t at = le32(footer.data());
  return at >= kHeader && at < bytes.size() ? at : 0;
}

// TGA 2.0 section "Extension Area".
void read_extension(MediaBytes& bytes, uint64_t at, ImageFacts& facts) try {
  std::string_view area = bytes.at(at, kExtension, "TGA extension area");
  const char* p = area.data();
  if (le16(p) < kExtension) return;
  facts.description = clean_text(area.substr(43, 324));
  unsigned month = le16(p + 367), day = le16(p + 369), year = le16(p + 371);
  unsigned hour = le16(p + 373), minute = le16(p + 375), second = le16(p + 377);
  if (year >= 1970 && year < 10000 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 &&
      minute < 60 && second < 60) {
    char text[32];
    std::snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u", year, month, day, hour, minute, second);
    facts.capture_date = text;
  }
  facts.software = clean_text(area.substr(426, 41), 255);
  if (unsigned version = le16(p + 467); !facts.software.empty() && version != 0) {
    char text[16];
    std::snprintf(text, sizeof text, " %u.%02u", version / 100, version % 100);
    facts.software += text;
    if (area[469] > ' ') facts.software += area[469];
  }
  if (unsigned den = le16(p + 476); den != 0 && le16(p + 474) != 0)
    facts.pixel_aspect = static_cast<double>(le16(p + 474)) / den;
  if (unsigned den = le16(p + 480); den != 0 && le16(p + 478) != 0) {
    char text[32];
    std::snprintf(text, sizeof text, "gamma %.5g", static_cast<double>(le16(p + 478)) / den);
    facts.color_space = text;
  }
  facts.embedded_thumbnail = le32(p + 486) != 0;
  // Attribute type: 0 to 2 say that the extra bits are no transparency.
  if (facts.has_alpha.value_or(false) && u8(p + 494) < 3) facts.has_alpha = false;
} catch (const base::CorruptError& error) {
  add_warning(facts.warning, error.what());
}

}  // namespace

void read_tga(MediaBytes& bytes, ImageFacts& facts) {
  TgaHeader header(bytes.at(0, kHeader, "TGA header").data());
  if (!header.sensible()) corrupt("not a TGA header", 0);
  set_resolution(facts, header.width, header.height, 12);
  facts.compression = header.runs() ? "RLE" : "none";
  facts.has_alpha = false;
  switch (header.color()) {
    case 1:
      facts.bit_depth = 8;
      facts.channels = 1;
      facts.color_mode = "P";
      facts.has_alpha = header.map_bits == 32;
      break;
    case 2:
      facts.bit_depth = header.bits <= 16 ? 5 : 8;
      facts.has_alpha = header.bits == 32 ? true : header.bits == 16 && header.alpha_bits() == 1;
      facts.channels = *facts.has_alpha ? 4 : 3;
      facts.color_mode = *facts.has_alpha ? "RGBA" : "RGB";
      break;
    default:
      facts.bit_depth = 8;
      facts.has_alpha = header.bits == 16;
      facts.channels = header.bits == 16 ? 2 : 1;
      facts.color_mode = header.bits == 16 ? "LA" : "L";
  }
  facts.pixel_type = "uint8";
  uint64_t pixels_at = kHeader + header.id_size + header.map_bytes();
  uint64_t pixels = uint64_t{header.width} * header.height, size = (header.bits + 7) / 8;
  // A run packet says at most 128 pixels.
  uint64_t least = header.runs() ? (pixels + 127) / 128 * (1 + size) : pixels * size;
  check_end(pixels_at + least, bytes.size(), "TGA pixels");
  if (header.id_size) facts.description = clean_text(bytes.at(kHeader, header.id_size, "TGA identification"));
  if (uint64_t at = extension_at(bytes)) read_extension(bytes, at, facts);
}

}  // namespace millrace::scan
