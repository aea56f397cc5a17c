// SGI image files (.sgi, .rgb, .rgba, .bw), image file format 1.00.
#include <algorithm>

#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kHeader = 512;
constexpr uint64_t kRowTableReadMax = 64 * 1024;  // of the offsets of run-coded rows

// The last row must lie within the file. Rows may be shared and stand in any order: only a table that is read
// at little cost is looked at as a whole.
void check_rows(MediaBytes& bytes, uint64_t rows) {
  check_end(kHeader + rows * 8, bytes.size(), "SGI row table");
  if (rows * 4 > kRowTableReadMax) return;
  std::string starts(bytes.at(kHeader, rows * 4, "SGI row table"));
  std::string_view lengths = bytes.at(kHeader + rows * 4, rows * 4, "SGI row table");
  uint64_t end = 0;
  for (uint64_t i = 0; i < rows; ++i)
    end = std::max(end, uint64_t{be32(starts.data() + 4 * i)} + be32(lengths.data() + 4 * i));
  check_end(end, bytes.size(), "SGI rows");
}

}  // namespace

void read_sgi(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.at(0, 108, "SGI header");
  const char* p = head.data();
  unsigned storage = u8(p + 2), sample_bytes = u8(p + 3), dimension = be16(p + 4);
  if (be16(p) != 0x01DA || storage > 1) corrupt("not an SGI signature", 0);
  if (sample_bytes != 1 && sample_bytes != 2)
    corrupt("SGI with " + std::to_string(sample_bytes) + " bytes a sample", 3);
  if (dimension < 1 || dimension > 3) corrupt("SGI of " + std::to_string(dimension) + " dimensions", 4);
  uint64_t width = be16(p + 6), height = dimension >= 2 ? be16(p + 8) : 1,
           depth = dimension == 3 ? be16(p + 10) : 1;
  set_resolution(facts, width, height, 6);
  if (depth == 0) corrupt("SGI without channels", 10);
  facts.channels = static_cast<uint32_t>(depth);
  facts.bit_depth = sample_bytes * 8;
  facts.pixel_type = unsigned_type(sample_bytes * 8);
  static constexpr const char* kModes[] = {"L", "LA", "RGB", "RGBA"};
  facts.color_mode = depth <= 4 ? kModes[depth - 1] : "multi";
  facts.has_alpha = depth == 2 || depth == 4;
  facts.compression = storage == 1 ? "RLE" : "none";
  facts.description = clean_text(head.substr(24, 80), 80);
  if (storage == 1)
    check_rows(bytes, height * depth);
  else
    check_end(kHeader + width * height * depth * sample_bytes, bytes.size(), "SGI pixels");
}

}  // namespace millrace::scan
