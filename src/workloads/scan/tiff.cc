// TIFF 6.0 and BigTIFF, with the tags of DNG and of tiled mip-mapped textures that matter for a catalogue.
#include <algorithm>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"
#include "workloads/scan/tiff_structure.h"

namespace millrace::scan {
namespace {

constexpr unsigned kFetchesForPagesMax = 16;  // far-apart directories are counted only so long
constexpr uint32_t kPagesMax = 65535;
constexpr uint64_t kSubDirectoriesMax = 16;

// What one directory says; `facts` gets only that of the main picture.
struct TiffDirectory {
  uint64_t width = 0, height = 0, subfile = 0;
  uint64_t bits = 1, samples = 1, compression = 1, photometric = 0, planar = 1, format = 1, orientation = 0;
  uint64_t unit = 2, extra = 0;
  bool extra_samples = false, tiled = false, has_size = false;
  std::optional<double> dpi_x, dpi_y;
  TiffEntry offsets, counts, sub_directories, icc;
  uint64_t exif = 0;
  TiffEntry xmp;
};

std::string compression_name(uint64_t code) {
  switch (code) {
    case 1:
      return "none";
    case 2:
    case 3:
    case 4:
      return "CCITT";
    case 5:
      return "LZW";
    case 6:
    case 7:
    case 34892:
      return "JPEG";
    case 8:
    case 32946:
      return "deflate";
    case 32773:
      return "PackBits";
    case 34676:
    case 34677:
      return "SGILog";
    case 34712:
    case 33003:
    case 33005:
      return "JPEG 2000";
    case 34887:
      return "LERC";
    case 34925:
      return "LZMA";
    case 50000:
      return "zstd";
    case 50001:
      return "WebP";
    case 50002:
    case 52546:
      return "JPEG XL";
    default:
      return "TIFF " + std::to_string(code);
  }
}

uint64_t read_directory(TiffStructure& tiff, uint64_t offset, TiffDirectory& d, ImageFacts* texts) {
  return tiff.each_entry(offset, [&](const TiffEntry& entry) {
    switch (entry.tag) {
      case 254:
        d.subfile = tiff.integer(entry);
        break;
      case 256:
        // Of a tag that stands twice the first counts, as in libtiff.
        if (!d.has_size) d.width = tiff.integer(entry);
        d.has_size = true;
        break;
      case 257:
        if (d.height == 0) d.height = tiff.integer(entry);
        break;
      case 258: {
        d.bits = 0;
        for (uint64_t i = 0; i < std::min<uint64_t>(entry.count, 8); ++i)
          d.bits = std::max(d.bits, tiff.integer(entry, i));
        break;
      }
      case 259:
        d.compression = tiff.integer(entry);
        break;
      case 262:
        d.photometric = tiff.integer(entry);
        break;
      case 273:
        d.offsets = entry;
        break;
      case 324:
        d.offsets = entry;
        d.tiled = true;
        break;
      case 279:
      case 325:
        d.counts = entry;
        break;
      case 274:
        d.orientation = tiff.integer(entry);
        break;
      case 277:
        d.samples = tiff.integer(entry);
        break;
      case 282:
        d.dpi_x = tiff.real(entry);
        break;
      case 283:
        d.dpi_y = tiff.real(entry);
        break;
      case 284:
        d.planar = tiff.integer(entry);
        break;
      case 296:
        d.unit = tiff.integer(entry);
        break;
      case 322:
        d.tiled = true;
        break;
      case 330:
        d.sub_directories = entry;
        break;
      case 338:
        d.extra_samples = entry.count > 0;
        if (d.extra_samples) d.extra = tiff.integer(entry);
        break;
      case 339:
        d.format = tiff.integer(entry);
        break;
      case 700:
        d.xmp = entry;
        break;
      case 34665:
        d.exif = tiff.integer(entry);
        break;
      case 34675:
        d.icc = entry;
        break;
      case 270:
        if (texts) texts->description = tiff.text(entry);
        break;
      case 271:
        if (texts) texts->camera_make = tiff.text(entry, 255);
        break;
      case 272:
        if (texts) texts->camera_model = tiff.text(entry, 255);
        break;
      case 305:
        if (texts) texts->software = tiff.text(entry, 255);
        break;
      default:
        break;
    }
  });
}

void name_pixels(const TiffDirectory& d, ImageFacts& facts) {
  if (d.bits == 0 || d.bits > 64 || d.samples == 0 || d.samples > 65535) return;
  facts.bit_depth = static_cast<uint32_t>(d.bits);
  facts.channels = static_cast<uint32_t>(d.samples);
  std::string bits = std::to_string(d.bits);
  if (d.format == 3)
    facts.pixel_type = d.bits == 16   ? "half"
                       : d.bits == 32 ? "float"
                       : d.bits == 64 ? "double"
                                      : "float" + bits;
  else
    facts.pixel_type = (d.format == 2 ? "int" : "uint") + bits;
  static constexpr struct {
    uint64_t photometric;
    uint64_t samples;
    const char* mode;
  } kModes[] = {{0, 1, "L"},     {1, 1, "L"},       {2, 3, "RGB"},     {3, 1, "P"},      {4, 1, "1"},
                {5, 4, "CMYK"},  {6, 3, "YCbCr"},   {8, 3, "LAB"},     {9, 3, "LAB"},    {10, 3, "LAB"},
                {32844, 1, "L"}, {32845, 3, "LAB"}, {32803, 1, "CFA"}, {34892, 3, "RGB"}};
  for (const auto& row : kModes) {
    if (row.photometric != d.photometric) continue;
    facts.color_mode = row.mode;
    if (d.bits == 1 && d.samples == 1 && d.photometric <= 1) facts.color_mode = "1";
    // ExtraSamples 1 and 2 are alpha; without the tag one sample too many is taken for it, as everybody does.
    bool alpha = d.samples > row.samples && (!d.extra_samples || d.extra == 1 || d.extra == 2);
    facts.has_alpha = alpha;
    if (alpha && (facts.color_mode == "RGB" || facts.color_mode == "L")) facts.color_mode += "A";
    break;
  }
}

// The last strip or tile ends where the file must at least end.
void check_data(TiffStructure& tiff, MediaBytes& bytes, const TiffDirectory& d) {
  if (d.offsets.count == 0 || d.counts.count != d.offsets.count) return;
  for (uint64_t index : {uint64_t{0}, d.offsets.count - 1}) {
    uint64_t from = tiff.integer(d.offsets, index), size = tiff.integer(d.counts, index);
    if (from > bytes.size() || size > bytes.size() - from)
      throw base::CorruptError("truncated: " + std::string(d.tiled ? "tile " : "strip ") +
                               std::to_string(index) + " of " + std::to_string(size) + " bytes at offset " +
                               std::to_string(from) + ", the file has " + std::to_string(bytes.size()));
  }
}

// Pages and mip levels: the directories after the first. A chain that comes back to itself is noticed by a
// second traveller at half the speed (Brent).
void count_directories(TiffStructure& tiff, MediaBytes& bytes, uint64_t next, const TiffDirectory& first,
                       ImageFacts& facts) {
  uint32_t pages = 1, levels = 1, seen = 1, power = 1, lambda = 0;
  uint64_t anchor = tiff.first_directory();
  while (next != 0) {
    if (next == anchor) {  // the pictures before it are whole
      add_warning(facts.warning, "TIFF directories form a loop at offset " + std::to_string(next));
      return;
    }
    if (++lambda == power) {
      anchor = next;
      power *= 2;
      lambda = 0;
    }
    if (++seen > kPagesMax || bytes.fetches() > kFetchesForPagesMax) return;  // too many to count cheaply
    TiffDirectory d;
    next = read_directory(tiff, next, d, nullptr);
    if (!d.has_size) continue;
    if (d.subfile & 1) {
      if (first.tiled && d.tiled)
        ++levels;
      else
        facts.embedded_thumbnail = true;
    } else {
      ++pages;
    }
  }
  facts.parts = pages;
  facts.mip_levels = levels;
}

}  // namespace

void read_tiff(MediaBytes& bytes, ImageFacts& facts) {
  TiffStructure tiff(bytes, 0, bytes.size());
  if (tiff.first_directory() == 0) corrupt("TIFF without a directory", 4);
  TiffDirectory first;
  uint64_t next = 0;
  try {
    next = read_directory(tiff, tiff.first_directory(), first, &facts);
  } catch (...) {
    // Tags are sorted: the size comes before what is missing.
    if (first.width && first.height) set_resolution(facts, first.width, first.height, tiff.first_directory());
    throw;
  }
  TiffDirectory main = first;
  // DNG and other raw files: the first directory is a preview, the picture is in a sub-directory.
  if ((first.subfile & 1) && first.sub_directories.count > 0) {
    facts.embedded_thumbnail = true;
    for (uint64_t i = 0; i < std::min(first.sub_directories.count, kSubDirectoriesMax); ++i) {
      TiffDirectory sub;
      read_directory(tiff, tiff.integer(first.sub_directories, i), sub, nullptr);
      // What is smaller than the preview cannot be the picture, whatever it says.
      if (!(sub.subfile & 1) && sub.has_size && sub.width * sub.height >= first.width * first.height) {
        main = sub;
        break;
      }
    }
  }
  set_resolution(facts, main.width, main.height, tiff.first_directory());
  name_pixels(main, facts);
  facts.compression = compression_name(main.compression);
  facts.tiled = main.tiled;
  if (first.orientation >= 1 && first.orientation <= 8)
    facts.orientation = static_cast<uint32_t>(first.orientation);
  if (first.dpi_x && first.dpi_y && *first.dpi_x > 0 && *first.dpi_y > 0) {
    if (first.unit == 2 || first.unit == 3) {
      facts.dpi_x = *first.dpi_x * (first.unit == 3 ? 2.54 : 1.0);
      facts.dpi_y = *first.dpi_y * (first.unit == 3 ? 2.54 : 1.0);
    }
    if (*first.dpi_x != *first.dpi_y) facts.pixel_aspect = *first.dpi_y / *first.dpi_x;
  }
  if (first.icc.count > 0)
    facts.color_space = icc_profile_name(bytes, first.icc.at, tiff.byte_size(first.icc));
  if (first.exif) read_camera_directory(tiff, first.exif, facts);
  if (first.xmp.count > 0) {
    facts.has_xmp = true;
    read_xmp(bytes, first.xmp.at, tiff.byte_size(first.xmp), facts);
  }
  count_directories(tiff, bytes, next, first, facts);
  check_data(tiff, bytes, main);
}

}  // namespace millrace::scan
