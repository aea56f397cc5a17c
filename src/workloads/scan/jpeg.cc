// JPEG (ITU-T T.81) with JFIF, EXIF, ICC, XMP, Adobe and MPO segments.
#include <optional>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"
#include "workloads/scan/tiff_structure.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExif = "Exif\0\0"sv;
constexpr std::string_view kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr std::string_view kIcc = "ICC_PROFILE\0"sv;
constexpr std::string_view kMpf = "MPF\0"sv;

struct JpegState {
  std::optional<unsigned> adobe_transform;
  bool jfif = false;
  uint64_t xmp_at = 0, xmp_length = 0;  // read last: EXIF knows better
};

// SOF: T.81 section B.2.2.
void read_frame(MediaBytes& bytes, unsigned marker, uint64_t at, uint32_t length, ImageFacts& facts) {
  if (length < 6) corrupt("JPEG frame header of " + std::to_string(length) + " bytes", at);
  const char* p = bytes.at(at, 6, "JPEG frame header").data();
  unsigned depth = u8(p), components = u8(p + 5);
  uint16_t height = be16(p + 1), width = be16(p + 3);
  if (components == 0 || components > 4 || length < 6 + 3 * components)
    corrupt("JPEG frame with " + std::to_string(components) + " components", at);
  if (height == 0) corrupt("JPEG whose height follows the picture (DNL)", at + 1);
  set_resolution(facts, width, height, at + 1);
  facts.bit_depth = depth;
  facts.channels = components;
  facts.color_mode = components == 1 ? "L" : components == 2 ? "LA" : components == 3 ? "RGB" : "CMYK";
  facts.pixel_type = depth == 8 ? "uint8" : unsigned_type(depth);
  facts.has_alpha = false;
  unsigned kind = marker & 3;  // baseline or extended, progressive, lossless
  facts.compression = marker >= 0xC9 ? "JPEG arithmetic"
                      : kind == 2    ? "JPEG progressive"
                      : kind == 3    ? "JPEG lossless"
                                     : "JPEG";
}

void read_jfif(const char* p, ImageFacts& facts) {  // after "JFIF\0": version, units, densities
  unsigned unit = u8(p + 2);
  uint16_t x = be16(p + 3), y = be16(p + 5);
  if (x == 0 || y == 0) return;
  if (unit == 0) {
    if (x != y) facts.pixel_aspect = static_cast<double>(y) / x;
  } else if (unit <= 2 && !facts.dpi_x) {
    double per_inch = unit == 2 ? 2.54 : 1.0;
    facts.dpi_x = x * per_inch;
    facts.dpi_y = y * per_inch;
  }
}

// CIPA DC-007 section 5.2: the number of pictures in a multi-picture file.
void read_mpf(MediaBytes& bytes, uint64_t at, uint64_t length, ImageFacts& facts) {
  try {
    TiffStructure tiff(bytes, at, length);
    tiff.each_entry(tiff.first_directory(), [&](const TiffEntry& entry) {
      if (entry.tag == 0xB001) facts.parts = static_cast<uint32_t>(tiff.integer(entry));
    });
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    add_warning(facts.warning, "MPF: " + std::string(error.what()));
  }
}

void read_segment(MediaBytes& bytes, unsigned marker, uint64_t at, uint32_t length, ImageFacts& facts,
                  JpegState& state) {
  std::string_view head = bytes.some(at, std::min<uint32_t>(length, 32), "JPEG segment");
  switch (marker) {
    case 0xE0:
      if (head.starts_with("JFIF\0"sv) && head.size() >= 14) {
        state.jfif = true;
        read_jfif(head.data() + 5, facts);
      } else if (head.starts_with("JFXX\0\x10"sv)) {
        facts.embedded_thumbnail = true;
      }
      break;
    case 0xE1:
      if (head.starts_with("Exif\0"sv) && length > kExif.size())
        read_exif(bytes, at + kExif.size(), length - kExif.size(), facts);
      else if (head.starts_with(kXmp) && state.xmp_at == 0) {
        facts.has_xmp = true;
        state.xmp_at = at + kXmp.size();
        state.xmp_length = length - kXmp.size();
      }
      break;
    case 0xE2:
      // The description stands in the first piece; the byte after the name counts from 1.
      if (head.starts_with(kIcc) && head.size() >= 14 && u8(head.data() + 12) == 1) {
        std::string name = icc_profile_name(bytes, at + 14, length - 14);
        if (!name.empty()) facts.color_space = std::move(name);
      } else if (head.starts_with(kMpf)) {
        read_mpf(bytes, at + kMpf.size(), length - kMpf.size(), facts);
      }
      break;
    case 0xEE:
      if (head.starts_with("Adobe") && head.size() >= 12) state.adobe_transform = u8(head.data() + 11);
      break;
    case 0xFE:
      if (facts.description.empty())
        facts.description = clean_text(bytes.at(at, std::min<uint32_t>(length, 1024), "JPEG comment"));
      break;
    default:
      break;
  }
}

// True when the bytes could be entropy-coded data that simply stop: FF is followed only by what may stand
// there.
bool looks_like_scan_data(std::string_view data) {
  for (size_t i = 0; i + 1 < data.size(); ++i) {
    if (data[i] != '\xFF') continue;
    unsigned next = u8(data.data() + i + 1);
    bool allowed =
        next == 0 || next == 0xFF || (next >= 0xD0 && next <= 0xD7) || next == 0xDA || next == 0xC4;
    if (!allowed) return false;
  }
  return true;
}

// A file cut short ends inside its picture. Cameras also append previews, videos and padding: only an end
// that is unmistakably inside coded data counts.
void check_jpeg_end(MediaBytes& bytes, uint64_t scan_at) {
  if (bytes.tail(2) == "\xFF\xD9") return;
  uint64_t from = bytes.size() > 4096 ? bytes.size() - 4096 : 0;
  if (from < scan_at) from = scan_at;
  std::string_view end = bytes.some(from, static_cast<size_t>(bytes.size() - from), "end of the JPEG");
  if (end.find("\xFF\xD9") != std::string_view::npos) return;
  if (end.find_first_not_of('\0') == std::string_view::npos && !end.empty()) {
    // Padding after the picture, or a copy that was never filled: look further back for the marker.
    from = std::max(scan_at, bytes.size() > 64 * 1024 ? bytes.size() - 64 * 1024 : 0);
    end = bytes.some(from, static_cast<size_t>(bytes.size() - from), "end of the JPEG");
    if (end.find("\xFF\xD9") != std::string_view::npos) return;
  }
  if (looks_like_scan_data(end)) corrupt("truncated: no end-of-image marker", bytes.size());
}

}  // namespace

void read_jpeg(MediaBytes& bytes, ImageFacts& facts) {
  if (bytes.at(0, 2, "JPEG signature") != "\xFF\xD8") corrupt("not a JPEG signature", 0);
  JpegState state;
  uint64_t scan_at = 0;
  for (uint64_t at = 2;;) {
    bytes.step("JPEG segments");
    std::string_view mark = bytes.at(at, 2, "JPEG marker");
    if (mark[0] != '\xFF') corrupt("no JPEG marker", at);
    unsigned marker = u8(mark.data() + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // stand alone
      at += 2;
      continue;
    }
    if (marker == 0xD9) corrupt("JPEG without a picture, its end", at);
    if (marker == 0) corrupt("no JPEG marker", at);
    uint32_t length = bytes.read_be16(at + 2, "JPEG segment");
    if (length < 2) corrupt("JPEG segment of " + std::to_string(length) + " bytes", at + 2);
    uint64_t end = at + 2 + length;
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      if (!facts.resolution_x) read_frame(bytes, marker, at + 4, length - 2, facts);
    } else if (marker == 0xDA) {
      if (!facts.resolution_x) corrupt("JPEG picture without a frame header", at);
      check_end(end, bytes.size(), "JPEG scan header");
      scan_at = end;
      break;
    } else {
      read_segment(bytes, marker, at + 4, length - 2, facts, state);
    }
    check_end(end, bytes.size(), "JPEG segment");
    at = end;
  }
  if (state.xmp_at) read_xmp(bytes, state.xmp_at, state.xmp_length, facts);
  // Adobe TN5116: without a transform three components are RGB already; Pillow calls both RGB.
  if (facts.channels == 4u && state.adobe_transform == 2u) facts.compression += " YCCK";
  check_jpeg_end(bytes, scan_at);
}

}  // namespace millrace::scan
