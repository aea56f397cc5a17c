// Photoshop documents: PSD (version 1) and PSB (version 2, with 64-bit section lengths).
#include <algorithm>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"

namespace millrace::scan {
namespace {

void read_resource(MediaBytes& bytes, unsigned id, uint64_t at, uint32_t size, ImageFacts& facts) {
  switch (id) {
    case 0x03ED:  // resolution: 16.16 fixed point, always pixels per inch
      if (size >= 16) {
        const char* p = bytes.at(at, 16, "PSD resolution").data();
        if (be32(p) != 0 && be32(p + 8) != 0) {
          facts.dpi_x = be32(p) / 65536.0;
          facts.dpi_y = be32(p + 8) / 65536.0;
        }
      }
      break;
    case 0x0409:
    case 0x040C:
      facts.embedded_thumbnail = true;
      break;
    case 0x040F:
      facts.color_space = icc_profile_name(bytes, at, size);
      break;
    case 0x0422:
      read_exif(bytes, at, size, facts);
      break;
    case 0x0424:
      facts.has_xmp = true;
      read_xmp(bytes, at, size, facts);
      break;
    case 0x0428:  // pixel aspect ratio: version, then a double
      if (size >= 12) {
        uint64_t raw = be64(bytes.at(at + 4, 8, "PSD pixel aspect").data());
        double aspect;
        static_assert(sizeof aspect == sizeof raw);
        __builtin_memcpy(&aspect, &raw, sizeof aspect);
        if (aspect > 0 && aspect < 1e6) facts.pixel_aspect = aspect;
      }
      break;
    default:
      break;
  }
}

void read_resources(MediaBytes& bytes, uint64_t at, uint64_t end, ImageFacts& facts) {
  while (end - at >= 12) {
    bytes.step("PSD resources");
    std::string_view head = bytes.at(at, 7, "PSD resource");
    // Other programs than Photoshop sign with letters of their own.
    if (!head.starts_with("8BIM") && !head.starts_with("MeSa") && !head.starts_with("PHUT") &&
        !head.starts_with("AgHg") && !head.starts_with("DCSR")) {
      add_warning(facts.warning, "PSD resource without a signature at offset " + std::to_string(at));
      return;
    }
    unsigned id = be16(head.data() + 4);
    uint64_t name = (uint64_t{u8(head.data() + 6)} + 2) / 2 * 2;  // with its length byte, padded to even
    uint64_t size_at = at + 6 + name;
    uint32_t size = bytes.read_be32(size_at, "PSD resource");
    uint64_t data = size_at + 4;
    if (data > end || size > end - data) {
      add_warning(facts.warning, "PSD resource runs over its section at offset " + std::to_string(at));
      return;
    }
    read_resource(bytes, id, data, size, facts);
    at = data + size + (size & 1);
    if (at > end) return;
  }
}

}  // namespace

void read_psd(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.at(0, 26, "PSD header");
  const char* p = head.data();
  unsigned version = be16(p + 4);
  if (!head.starts_with("8BPS") || version < 1 || version > 2) corrupt("not a PSD signature", 0);
  bool large = version == 2;
  unsigned channels = be16(p + 12), depth = be16(p + 22), mode = be16(p + 24);
  set_resolution(facts, be32(p + 18), be32(p + 14), 14);
  if (channels == 0 || channels > 56) corrupt("PSD with " + std::to_string(channels) + " channels", 12);
  if (depth != 1 && depth != 8 && depth != 16 && depth != 32)
    corrupt("PSD with " + std::to_string(depth) + " bits", 22);
  facts.bit_depth = depth;
  facts.channels = channels;
  facts.pixel_type = depth == 32 ? "float" : unsigned_type(depth);
  static constexpr struct {
    const char* mode;
    unsigned channels;
  } kModes[10] = {{"1", 1}, {"L", 1}, {"P", 1},     {"RGB", 3}, {"CMYK", 4},
                  {"", 0},  {"", 0},  {"multi", 0}, {"L", 1},   {"LAB", 3}};
  if (mode >= std::size(kModes) || kModes[mode].mode[0] == 0) corrupt("unknown PSD colour mode", 24);
  facts.color_mode = kModes[mode].mode;
  unsigned color_channels = kModes[mode].channels;

  uint64_t at = 26;
  uint64_t colors = bytes.read_be32(at, "PSD colour mode data");
  at += 4 + colors;
  check_end(at, bytes.size(), "PSD colour mode data");
  uint64_t resources = bytes.read_be32(at, "PSD resources");
  at += 4;
  check_end(at + resources, bytes.size(), "PSD resources");
  read_resources(bytes, at, at + resources, facts);
  at += resources;

  uint64_t layers_size = large ? bytes.read_be64(at, "PSD layers") : bytes.read_be32(at, "PSD layers");
  at += large ? 8 : 4;
  if (layers_size > bytes.size() - std::min(at, bytes.size()))
    throw base::CorruptError("truncated: PSD layers of " + std::to_string(layers_size) + " bytes at offset " +
                             std::to_string(at) + ", the file has " + std::to_string(bytes.size()));
  uint32_t layers = 0;
  bool merged_alpha = false;
  unsigned length_size = large ? 8 : 4;
  if (layers_size >= length_size + 2) {
    uint64_t info = large ? bytes.read_be64(at, "PSD layer info") : bytes.read_be32(at, "PSD layer info");
    if (info >= 2) {
      int count = static_cast<int16_t>(bytes.read_be16(at + length_size, "PSD layer count"));
      merged_alpha = count < 0;  // the first extra channel is the transparency of the merged picture
      layers = static_cast<uint32_t>(count < 0 ? -count : count);
    }
  }
  facts.parts = layers + 1;
  facts.has_alpha = color_channels > 0 && channels > color_channels && (merged_alpha || layers == 0);
  if (*facts.has_alpha && (facts.color_mode == "RGB" || facts.color_mode == "L")) facts.color_mode += "A";
  at += layers_size;

  unsigned compression = bytes.read_be16(at, "PSD merged picture");
  static constexpr const char* kCompressions[] = {"none", "PackBits", "deflate", "deflate"};
  if (compression >= std::size(kCompressions)) corrupt("unknown PSD compression", at);
  facts.compression = kCompressions[compression];
  at += 2;
  uint64_t rows = uint64_t{channels} * *facts.resolution_y;
  uint64_t room = bytes.size() - at;
  uint64_t row = (uint64_t{*facts.resolution_x} * depth + 7) / 8;
  if (compression == 0 && row > room / rows)
    throw base::CorruptError("truncated: " + std::to_string(rows) + " PSD rows of " + std::to_string(row) +
                             " bytes at offset " + std::to_string(at) + ", the file has " +
                             std::to_string(bytes.size()));
  if (compression == 1) {
    if (rows > room / (large ? 4 : 2)) check_end(at + rows * (large ? 4 : 2), bytes.size(), "PSD row table");
  }
}

}  // namespace millrace::scan
