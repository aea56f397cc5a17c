#include "workloads/scan/image.h"

#include "workloads/scan/image_formats.h"

namespace millrace::scan {

void set_resolution(ImageFacts& facts, uint64_t width, uint64_t height, uint64_t offset) {
  if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX)
    corrupt("impossible size " + std::to_string(width) + " x " + std::to_string(height), offset);
  facts.resolution_x = static_cast<uint32_t>(width);
  facts.resolution_y = static_cast<uint32_t>(height);
}

std::string unsigned_type(unsigned bits) { return "uint" + std::to_string(bits); }

ImageFacts read_image(Source& source, const MediaType& type) {
  ImageFacts facts;
  try {
    MediaBytes bytes(source);
    if (bytes.size() == 0) throw base::CorruptError("truncated: the file is empty");
    switch (type.format) {
      case Format::kPng:
        read_png(bytes, facts);
        break;
      case Format::kJpeg:
        read_jpeg(bytes, facts);
        break;
      case Format::kTiff:
        read_tiff(bytes, facts);
        break;
      case Format::kExr:
        read_exr(bytes, facts);
        break;
      case Format::kGif:
        read_gif(bytes, facts);
        break;
      case Format::kBmp:
        read_bmp(bytes, facts);
        break;
      case Format::kPsd:
        read_psd(bytes, facts);
        break;
      case Format::kWebp:
        read_webp(bytes, facts);
        break;
      default:
        facts.status = ReadStatus::kUnsupported;
        facts.problem = "no reader for this format";
    }
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    facts.status = facts.resolution_x ? ReadStatus::kPartial : ReadStatus::kBroken;
    facts.problem = error.what();
  }
  return facts;
}

}  // namespace millrace::scan
