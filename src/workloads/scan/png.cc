// PNG (W3C, third edition) with APNG, and Apple's CgBI variant.
#include <zlib.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"

namespace millrace::scan {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1A\n", 8);
constexpr std::string_view kEnd("IEND\xAE\x42\x60\x82", 8);
constexpr unsigned kHopsMax = 64;  // chunks looked at beyond the first window

// Colour information in the order in which PNG section 4.3 lets it win.
struct PngColor {
  std::string cicp, icc, gamma, chromaticities;
  bool srgb = false;
};

constexpr uint32_t name_of(const char (&text)[5]) {
  uint32_t name = 0;
  for (int i = 0; i < 4; ++i) name = name << 8 | static_cast<unsigned char>(text[i]);
  return name;
}

void read_ihdr(MediaBytes& bytes, uint64_t at, uint32_t length, ImageFacts& facts) {
  if (length != 13) corrupt("IHDR of " + std::to_string(length) + " bytes instead of 13", at);
  std::string_view ihdr = bytes.at(at, 13, "IHDR");
  const char* p = ihdr.data();
  set_resolution(facts, be32(p), be32(p + 4), at);
  unsigned depth = u8(p + 8), color = u8(p + 9);
  static constexpr struct {
    unsigned channels;
    const char* mode;
  } kColors[7] = {{1, "L"}, {0, ""}, {3, "RGB"}, {1, "P"}, {2, "LA"}, {0, ""}, {4, "RGBA"}};
  bool power = depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
  if (color > 6 || kColors[color].channels == 0 || !power || (color == 3 && depth == 16) ||
      ((color & ~1u) != 0 && color != 3 && depth < 8))
    corrupt("impossible colour type " + std::to_string(color) + " with " + std::to_string(depth) + " bits",
            at + 8);
  facts.bit_depth = depth;
  facts.channels = kColors[color].channels;
  facts.color_mode = color == 0 && depth == 1 ? "1" : kColors[color].mode;
  facts.has_alpha = color == 4 || color == 6;
  facts.pixel_type = depth == 8 ? "uint8" : unsigned_type(depth);
  facts.compression = "deflate";
  facts.animated = false;
  if (u8(p + 10) != 0 || u8(p + 11) != 0 || u8(p + 12) > 1)
    corrupt("unknown compression, filter or interlace", at + 10);
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>("IHDR"), 4);
  crc = crc32(crc, reinterpret_cast<const Bytef*>(p), 13);
  if (static_cast<uint32_t>(crc) != bytes.read_be32(at + 13, "IHDR checksum"))
    corrupt("IHDR checksum is wrong", at + 13);
}

// iCCP: a name, and the profile deflated. The profile's own description says more than the name most writers
// choose.
std::string read_iccp(MediaBytes& bytes, uint64_t at, uint32_t length) {
  std::string_view chunk = bytes.at(at, std::min<uint32_t>(length, 16 * 1024), "iCCP");
  size_t end = chunk.substr(0, 80).find('\0');
  if (end == std::string_view::npos || end + 2 > chunk.size()) return {};
  std::string keyword = clean_text(chunk.substr(0, end), 79);
  std::string_view deflated = chunk.substr(end + 2);
  std::array<char, 8192> profile;
  z_stream zlib = {};
  if (inflateInit(&zlib) != Z_OK) return keyword;
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  zlib.avail_in = static_cast<uInt>(deflated.size());
  zlib.next_out = reinterpret_cast<Bytef*>(profile.data());
  zlib.avail_out = static_cast<uInt>(profile.size());
  inflate(&zlib, Z_SYNC_FLUSH);
  size_t size = profile.size() - zlib.avail_out;
  inflateEnd(&zlib);
  std::string name = icc_profile_name(std::string_view(profile.data(), size));
  return name.empty() ? keyword : name;
}

std::string read_cicp(const char* p) {
  std::string_view primaries = color_primaries_name(u8(p)), transfer = color_transfer_name(u8(p + 1));
  std::string text(primaries.empty() ? "unknown primaries" : primaries);
  text += ' ';
  text += transfer.empty() ? "unknown transfer" : transfer;
  return text + (u8(p + 3) ? "" : " limited range");
}

void read_text(MediaBytes& bytes, uint64_t at, uint32_t length, bool international, ImageFacts& facts) {
  std::string_view chunk = bytes.at(at, std::min<uint32_t>(length, 2048), "text chunk");
  size_t end = chunk.substr(0, 80).find('\0');
  if (end == std::string_view::npos) return;
  std::string_view keyword = chunk.substr(0, end);
  std::string_view value = chunk.substr(end + 1);
  if (international) {
    bool xmp = keyword == "XML:com.adobe.xmp";
    if (xmp) facts.has_xmp = true;
    if (value.size() < 2 || value[0] != 0) return;  // compressed
    value.remove_prefix(2);
    for (int i = 0; i < 2; ++i) {  // language, translated keyword
      size_t zero = value.find('\0');
      if (zero == std::string_view::npos) return;
      value.remove_prefix(zero + 1);
    }
    if (xmp) {
      uint64_t into = chunk.size() - value.size();
      return read_xmp(bytes, at + into, length - into, facts);
    }
  }
  if (keyword == "Software" && facts.software.empty())
    facts.software = clean_text(value, 255);
  else if ((keyword == "Description" || keyword == "Comment") && facts.description.empty())
    facts.description = clean_text(value);
}

// pHYs: pixels per metre, or only their proportion.
void read_phys(const char* p, ImageFacts& facts) {
  uint32_t x = be32(p), y = be32(p + 4);
  if (x == 0 || y == 0) return;
  facts.pixel_aspect = static_cast<double>(y) / x;
  if (u8(p + 8) == 1) {
    facts.dpi_x = std::round(x * 0.0254 * 100) / 100;
    facts.dpi_y = std::round(y * 0.0254 * 100) / 100;
  }
}

void read_chrm(const char* p, PngColor& color) {
  double xy[8];  // the file has white first
  static constexpr int kPlace[8] = {6, 7, 0, 1, 2, 3, 4, 5};
  for (int i = 0; i < 8; ++i) xy[kPlace[i]] = be32(p + 4 * i) / 100000.0;
  color.chromaticities = chromaticities_name(xy);
}

void name_color(PngColor& color, ImageFacts& facts) {
  if (!color.cicp.empty()) {
    facts.color_space = std::move(color.cicp);
  } else if (!color.icc.empty()) {
    facts.color_space = std::move(color.icc);
  } else if (color.srgb) {
    facts.color_space = "sRGB";
  } else if (!color.gamma.empty() || !color.chromaticities.empty()) {
    facts.color_space = std::move(color.gamma);
    if (!facts.color_space.empty() && !color.chromaticities.empty()) facts.color_space += ", ";
    facts.color_space += color.chromaticities;
  }
}

// One chunk whose data stand at `at`. False at IEND.
bool read_chunk(MediaBytes& bytes, uint32_t name, uint64_t at, uint32_t length, ImageFacts& facts,
                PngColor& color) {
  switch (name) {
    case name_of("IHDR"):
      if (facts.resolution_x) corrupt("a second IHDR", at);
      read_ihdr(bytes, at, length, facts);
      break;
    case name_of("IEND"):
      return false;
    case name_of("tRNS"):
      facts.has_alpha = true;
      break;
    case name_of("gAMA"):
      if (length >= 4) {
        char text[32];
        std::snprintf(text, sizeof text, "gamma %.5g", bytes.read_be32(at, "gAMA") / 100000.0);
        color.gamma = text;
      }
      break;
    case name_of("cHRM"):
      if (length >= 32) read_chrm(bytes.at(at, 32, "cHRM").data(), color);
      break;
    case name_of("sRGB"):
      color.srgb = true;
      break;
    case name_of("iCCP"):
      color.icc = read_iccp(bytes, at, length);
      break;
    case name_of("cICP"):
      if (length >= 4) color.cicp = read_cicp(bytes.at(at, 4, "cICP").data());
      break;
    case name_of("pHYs"):
      if (length >= 9) read_phys(bytes.at(at, 9, "pHYs").data(), facts);
      break;
    case name_of("tEXt"):
      read_text(bytes, at, length, false, facts);
      break;
    case name_of("iTXt"):
      read_text(bytes, at, length, true, facts);
      break;
    case name_of("acTL"):
      if (length >= 8) {
        facts.animated = true;
        facts.frame_count = bytes.read_be32(at, "acTL");
      }
      break;
    case name_of("eXIf"):
      read_exif(bytes, at, length, facts);
      break;
    default:
      break;
  }
  return true;
}

}  // namespace

void read_png(MediaBytes& bytes, ImageFacts& facts) {
  if (bytes.at(0, 8, "PNG signature") != kSignature) corrupt("not a PNG signature", 0);
  PngColor color;
  // Chunks inside the first window cost nothing; beyond it each is a read, and a big picture may have
  // thousands.
  unsigned hops = 0;
  bool end_checked = false;
  try {
    for (uint64_t at = kSignature.size();;) {
      bytes.step("PNG chunks");
      if (!bytes.has(at, 8) && facts.resolution_x) {
        if (!end_checked && bytes.size() - std::min(at, bytes.size()) > 64 * 1024) {
          end_checked = true;
          if (bytes.tail(kEnd.size()) == kEnd) break;
        }
        if (++hops > kHopsMax) corrupt("truncated: no IEND chunk", bytes.size());
      }
      std::string_view head = bytes.at(at, 8, "PNG chunk");
      uint32_t length = be32(head.data()), name = be32(head.data() + 4);
      bool first = !facts.resolution_x;
      if (first && name != name_of("IHDR") && name != name_of("CgBI"))
        corrupt("IHDR is not the first chunk", at);
      if (length > INT32_MAX) corrupt("PNG chunk of " + std::to_string(length) + " bytes", at);
      uint64_t end = at + 12 + uint64_t{length};
      if (name == name_of("IDAT") || name == name_of("fdAT")) {
        check_end(end, bytes.size(), "PNG image data");
      } else if (!read_chunk(bytes, name, at + 8, length, facts, color)) {
        break;
      } else {
        check_end(end, bytes.size(), "PNG chunk");
      }
      at = end;
    }
  } catch (...) {
    name_color(color, facts);
    throw;
  }
  name_color(color, facts);
}

}  // namespace millrace::scan
