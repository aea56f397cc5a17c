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
void read_webp(MediaBytes& bytes, ImageFacts& facts);      // RFC 9649
void read_hdr(MediaBytes& bytes, ImageFacts& facts);       // Radiance RGBE and XYZE
void read_tga(MediaBytes& bytes, ImageFacts& facts);       // Truevision TGA 1 and 2
void read_dpx(MediaBytes& bytes, ImageFacts& facts);       // SMPTE ST 268-1
void read_cineon(MediaBytes& bytes, ImageFacts& facts);    // Kodak Cineon 4.5
void read_jpeg2000(MediaBytes& bytes, ImageFacts& facts);  // ITU-T T.800 (codestream, JP2), T.801, T.814
void read_heif(MediaBytes& bytes, ImageFacts& facts);      // ISO 23008-12 with HEVC, AV1 and others
void read_jpeg_xl(MediaBytes& bytes, ImageFacts& facts);   // ISO 18181-1 and -2
void read_kra(MediaBytes& bytes, ImageFacts& facts);       // Krita documents
void read_ora(MediaBytes& bytes, ImageFacts& facts);       // OpenRaster
void read_odg(MediaBytes& bytes, ImageFacts& facts);       // OpenDocument drawings
void read_svg(MediaBytes& bytes, ImageFacts& facts);       // SVG 1.1 and 2, plain or gzip
void read_dds(MediaBytes& bytes, ImageFacts& facts);       // DirectDraw Surface with DX10 header
void read_sgi(MediaBytes& bytes, ImageFacts& facts);       // SGI image file format 1.00
void read_pnm(MediaBytes& bytes, ImageFacts& facts);       // PBM, PGM, PPM, PAM, PFM
void read_ico(MediaBytes& bytes, ImageFacts& facts);       // icons and cursors

// XMP from the packet at [offset, offset + length): what EXIF and the format itself left open. Damage leaves
// the facts alone.
void read_xmp(MediaBytes& bytes, uint64_t offset, uint64_t length, ImageFacts& facts);

// EXIF from the TIFF structure at [offset, offset + length): orientation, camera, lens, date, software,
// thumbnail. Damage becomes a warning; facts already set stay.
void read_exif(MediaBytes& bytes, uint64_t offset, uint64_t length, ImageFacts& facts);

// The EXIF sub-directory alone (tag 34665): date, lens, colour space.
void read_camera_directory(TiffStructure& tiff, uint64_t directory, ImageFacts& facts);

// "2026:11:21 14:18:25" as "2026-11-21T14:18:25"; empty when it is not a date.
std::string exif_date(std::string_view text);

// Sets resolution_x and _y; throws CorruptError when one is 0 or more than 2^31-1.
void set_resolution(ImageFacts& facts, uint64_t width, uint64_t height, uint64_t offset);
// Bytes of width * height pixels of `bits` bits each without any padding; at most 2^62 where that overflows.
uint64_t packed_bytes(uint64_t width, uint64_t height, uint64_t bits);
// A length of SVG or OpenDocument in pixels of 1/96 inch ("21cm", "12pt", "100"); nothing for one that
// depends on where the picture is shown ("100%"), is not positive or is none.
std::optional<double> css_pixels(std::string_view text);
// "uint8" and the like.
std::string unsigned_type(unsigned bits);

}  // namespace millrace::scan
