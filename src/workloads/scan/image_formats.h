// The reader of each image format. They fill `facts` as they go and throw CorruptError where the bytes stop
// making sense, so that what was read until then is kept; read_image() turns the error into status and
// problem.
#pragma once

#include "workloads/scan/image_facts.h"
#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

class TiffStructure;

void read_png(MediaBytes& bytes, ImageFacts& facts);   // PNG third edition (W3C), with APNG
void read_jpeg(MediaBytes& bytes, ImageFacts& facts);  // ITU-T T.81, JFIF, EXIF 3.0, CIPA DC-007 (MPO)
void read_tiff(MediaBytes& bytes, ImageFacts& facts);  // TIFF 6.0, BigTIFF
void read_exr(MediaBytes& bytes, ImageFacts& facts);   // OpenEXR file layout 2
void read_gif(MediaBytes& bytes, ImageFacts& facts);   // GIF 87a, 89a
void read_bmp(MediaBytes& bytes, ImageFacts& facts);   // Windows 2…5, OS/2 1 and 2
void read_psd(MediaBytes& bytes,
              ImageFacts& facts);  // Adobe Photoshop File Formats Specification, PSD and PSB
void read_webp(MediaBytes& bytes, ImageFacts& facts);  // RFC 9649

// EXIF from the TIFF structure at [offset, offset + length): orientation, camera, lens, date, software,
// thumbnail. Damage becomes a warning; facts already set stay.
void read_exif(MediaBytes& bytes, uint64_t offset, uint64_t length, ImageFacts& facts);

// The EXIF sub-directory alone (tag 34665): date, lens, colour space.
void read_camera_directory(TiffStructure& tiff, uint64_t directory, ImageFacts& facts);

// "2026:11:21 14:18:25" as "2026-11-21T14:18:25"; empty when it is not a date.
std::string exif_date(std::string_view text);

// Sets resolution_x and _y; throws CorruptError when one is 0 or more than 2^31-1.
void set_resolution(ImageFacts& facts, uint64_t width, uint64_t height, uint64_t offset);
// "uint8" and the like.
std::string unsigned_type(unsigned bits);

}  // namespace millrace::scan
