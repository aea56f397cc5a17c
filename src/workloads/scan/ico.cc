// Icons and cursors: a directory of small bitmaps and PNGs. The facts are those of the largest.
#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr unsigned kEntriesMax = 1024;
constexpr unsigned kEntriesRead = 64;  // whose pictures are looked at

struct Icon {
  uint64_t width = 0, height = 0;
  unsigned bits = 0;
  bool png = false;
};

// The directory has one byte for each side, and zero for 256 or more: the picture itself says how many.
void look_inside(MediaBytes& bytes, uint64_t at, uint32_t size, Icon& icon) {
  std::string_view head = bytes.some(at, std::min<uint32_t>(size, 26), "icon");
  if (head.size() >= 26 && head.starts_with("\x89PNG\r\n\x1A\n")) {
    icon.png = true;
    icon.width = be32(head.data() + 16);
    icon.height = be32(head.data() + 20);
    static constexpr unsigned kChannels[7] = {1, 0, 3, 1, 2, 0, 4};
    unsigned color = u8(head.data() + 25);
    if (color < 7) icon.bits = u8(head.data() + 24) * kChannels[color];
  } else if (head.size() >= 16 && le32(head.data()) >= 40) {
    icon.bits = le16(head.data() + 14);
    if (icon.width == 256) icon.width = le32(head.data() + 4);
    if (icon.height == 256) icon.height = le32(head.data() + 8) / 2;  // picture and mask
  } else if (head.size() >= 12 && le32(head.data()) == 12) {
    icon.bits = le16(head.data() + 10);
  }
}

}  // namespace

void read_ico(MediaBytes& bytes, ImageFacts& facts) {
  const char* p = bytes.at(0, 6, "icon directory").data();
  unsigned kind = le16(p + 2), count = le16(p + 4);
  if (le16(p) != 0 || (kind != 1 && kind != 2)) corrupt("not an icon", 0);
  if (count == 0 || count > kEntriesMax)
    corrupt("icon directory of " + std::to_string(count) + " entries", 4);
  facts.parts = count;
  std::string directory(bytes.at(6, 16 * size_t{count}, "icon directory"));
  Icon largest;
  uint64_t end = 0;
  for (unsigned i = 0; i < count; ++i) {
    const char* entry = directory.data() + 16 * size_t{i};
    uint32_t size = le32(entry + 8), at = le32(entry + 12);
    end = std::max(end, uint64_t{at} + size);
    Icon icon;
    icon.width = u8(entry) ? u8(entry) : 256;
    icon.height = u8(entry + 1) ? u8(entry + 1) : 256;
    icon.bits = kind == 1 ? le16(entry + 6) : 0;
    if (i < kEntriesRead && at < bytes.size()) look_inside(bytes, at, size, icon);
    if (icon.width == 0 || icon.height == 0 || icon.width > INT32_MAX || icon.height > INT32_MAX) continue;
    uint64_t area = icon.width * icon.height, best = largest.width * largest.height;
    if (area > best || (area == best && icon.bits > largest.bits)) largest = icon;
  }
  set_resolution(facts, largest.width, largest.height, 6);
  facts.bit_depth = largest.bits == 48 || largest.bits == 64 ? 16
                    : largest.bits == 0                      ? 8
                                                             : std::min(largest.bits, 8U);
  facts.pixel_type = unsigned_type(*facts.bit_depth);
  facts.channels = 4;  // palette or not, icons are drawn through a mask
  facts.color_mode = "RGBA";
  facts.has_alpha = true;
  facts.compression = largest.png ? "PNG" : "none";
  check_end(end, bytes.size(), "icons");
}

}  // namespace millrace::scan
