// Windows bitmaps (header sizes 12, 40, 52, 56, 108, 124) and OS/2 2 (16, 64), also inside an OS/2 bitmap
// array.
#include <cmath>
#include <cstdlib>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"

namespace millrace::scan {
namespace {

const char* compression_name(uint32_t code) {
  switch (code) {
    case 1:
    case 2:
      return "RLE";
    case 4:
      return "JPEG";
    case 5:
      return "PNG";
    case 11:
    case 12:
    case 13:
      return "none";
    default:
      return "none";  // 0, and 3 and 6 whose pixels are described by masks
  }
}

void name_pixels(unsigned bits, bool alpha, ImageFacts& facts) {
  switch (bits) {
    case 1:
    case 2:
    case 4:
    case 8:
      facts.bit_depth = bits;
      facts.channels = 1;
      facts.color_mode = bits == 1 ? "1" : "P";
      facts.pixel_type = unsigned_type(bits);
      break;
    case 16:
      facts.bit_depth = 5;
      [[fallthrough]];
    case 24:
    case 32:
    case 64:
      if (bits != 16) facts.bit_depth = bits == 64 ? 16 : 8;
      facts.channels = alpha ? 4 : 3;
      facts.color_mode = alpha ? "RGBA" : "RGB";
      facts.pixel_type = bits == 64 ? "uint16" : "uint8";
      break;
    default:
      break;  // 0: the embedded JPEG or PNG decides
  }
}

}  // namespace

void read_bmp(MediaBytes& bytes, ImageFacts& facts) {
  uint64_t start = bytes.at(0, 2, "BMP signature") == "BA" ? 14 : 0;
  if (bytes.at(start, 2, "BMP signature") != "BM") corrupt("not a BMP signature", start);
  uint32_t pixels_at = bytes.read_le32(start + 10, "BMP header");
  uint64_t info = start + 14;
  uint32_t header = bytes.read_le32(info, "BMP header size");
  if (header < 12 || header > 1024) corrupt("BMP header of " + std::to_string(header) + " bytes", info);
  if (header == 12) {
    const char* p = bytes.at(info, 12, "BMP header").data();
    set_resolution(facts, le16(p + 4), le16(p + 6), info + 4);
    name_pixels(le16(p + 10), false, facts);
    facts.compression = "none";
    facts.has_alpha = false;
    return;
  }
  if (header < 16) corrupt("BMP header of " + std::to_string(header) + " bytes", info);
  const char* p = bytes.at(info, 16, "BMP header").data();
  auto width = static_cast<int32_t>(le32(p + 4)), height = static_cast<int32_t>(le32(p + 8));
  unsigned bits = le16(p + 14);
  // A negative height only says that the rows run downwards.
  set_resolution(facts, static_cast<uint64_t>(std::max(width, 0)),
                 static_cast<uint64_t>(std::llabs(int64_t{height})), info + 4);
  uint32_t compression = header >= 20 ? bytes.read_le32(info + 16, "BMP header") : 0;
  bool alpha = (header >= 56 || (header == 40 && compression == 6)) && bits == 32 &&
               bytes.read_le32(info + 52, "BMP masks") != 0;
  name_pixels(bits, alpha, facts);
  facts.has_alpha = alpha;
  facts.compression = compression_name(compression);
  if (header >= 40) {
    std::string_view density = bytes.at(info + 24, 8, "BMP resolution");
    auto x = static_cast<int32_t>(le32(density.data())), y = static_cast<int32_t>(le32(density.data() + 4));
    if (x > 0 && y > 0) {
      facts.dpi_x = std::round(x * 0.0254 * 100) / 100;
      facts.dpi_y = std::round(y * 0.0254 * 100) / 100;
    }
  }
  if (header >= 108) {
    std::string_view space = bytes.at(info + 56, 4, "BMP colour space");
    if (space == "BGRs")
      facts.color_space = "sRGB";
    else if (space == "DEBM" && header >= 124) {
      std::string_view profile = bytes.at(info + 112, 8, "BMP profile");
      uint32_t offset = le32(profile.data()), size = le32(profile.data() + 4);
      facts.color_space = icc_profile_name(bytes, info + offset, size);
    }
  }
  if (bits == 0 || (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16 && bits != 24 &&
                    bits != 32 && bits != 64)) {
    if (bits != 0 || (compression != 4 && compression != 5))
      corrupt("BMP with " + std::to_string(bits) + " bits a pixel", info + 14);
  }
  check_end(pixels_at, bytes.size(), "BMP palette");
  bool plain = compression == 0 || compression == 3 || compression == 6;
  if (plain && bits != 0) {
    uint64_t row = (uint64_t{*facts.resolution_x} * bits + 31) / 32 * 4;
    // At most 2^31 rows of 2^34 bytes: no overflow in 64 bits only when checked by division.
    uint64_t room = bytes.size() - pixels_at;
    if (row > room / *facts.resolution_y)
      throw base::CorruptError("truncated: " + std::to_string(*facts.resolution_y) + " BMP rows of " +
                               std::to_string(row) + " bytes at offset " + std::to_string(pixels_at) +
                               ", the file has " + std::to_string(bytes.size()));
  }
}

}  // namespace millrace::scan
