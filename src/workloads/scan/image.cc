#include "workloads/scan/image.h"

#include <algorithm>

#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

struct ImageReader {
  Format format;
  void (*read)(MediaBytes& bytes, ImageFacts& facts);
};
constexpr ImageReader kReaders[] = {
    {Format::kPng, read_png},           {Format::kJpeg, read_jpeg}, {Format::kTiff, read_tiff},
    {Format::kExr, read_exr},           {Format::kGif, read_gif},   {Format::kBmp, read_bmp},
    {Format::kPsd, read_psd},           {Format::kWebp, read_webp}, {Format::kHdr, read_hdr},
    {Format::kTga, read_tga},           {Format::kDpx, read_dpx},   {Format::kCineon, read_cineon},
    {Format::kJpeg2000, read_jpeg2000}, {Format::kHeif, read_heif}, {Format::kAvif, read_heif},
    {Format::kJpegXl, read_jpeg_xl},    {Format::kKra, read_kra},   {Format::kOra, read_ora},
    {Format::kOdg, read_odg},           {Format::kSvg, read_svg},   {Format::kDds, read_dds},
    {Format::kSgi, read_sgi},           {Format::kPnm, read_pnm},   {Format::kIco, read_ico},
};

}  // namespace

void set_resolution(ImageFacts& facts, uint64_t width, uint64_t height, uint64_t offset) {
  if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX)
    corrupt("impossible size " + std::to_string(width) + " x " + std::to_string(height), offset);
  facts.resolution_x = static_cast<uint32_t>(width);
  facts.resolution_y = static_cast<uint32_t>(height);
}

uint64_t packed_bytes(uint64_t width, uint64_t height, uint64_t bits) {
  constexpr uint64_t kMost = uint64_t{1} << 62;
  uint64_t pixels = 0, all = 0;
  if (__builtin_mul_overflow(width, height, &pixels) || __builtin_mul_overflow(pixels, bits, &all))
    return kMost;
  return std::min((all >> 3) + (all & 7 ? 1 : 0), kMost);
}

std::string unsigned_type(unsigned bits) { return "uint" + std::to_string(bits); }

ImageFacts read_image(Source& source, const MediaType& type) {
  ImageFacts facts;
  try {
    MediaBytes bytes(source);
    if (bytes.size() == 0) throw base::CorruptError("truncated: the file is empty");
    const ImageReader* reader = std::find_if(std::begin(kReaders), std::end(kReaders),
                                             [&](const ImageReader& r) { return r.format == type.format; });
    if (reader == std::end(kReaders)) {
      facts.status = ReadStatus::kUnsupported;
      facts.problem = "no reader for this format";
    } else {
      reader->read(bytes, facts);
    }
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    facts.status = facts.resolution_x ? ReadStatus::kPartial : ReadStatus::kBroken;
    facts.problem = error.what();
  }
  return facts;
}

}  // namespace millrace::scan
