#include "workloads/scan/media_type.h"

#include <algorithm>
#include <iterator>

namespace millrace::scan {
namespace {

using enum FileType;

struct FormatRow {
  Format format;
  FileType file_type;
  std::string_view name;
  std::string_view mime;
};

constexpr FormatRow kFormats[] = {
    {Format::kUnknown, kOther, "", "application/octet-stream"},
    {Format::kPng, kImage, "PNG", "image/png"},
    {Format::kJpeg, kImage, "JPEG", "image/jpeg"},
    {Format::kTiff, kImage, "TIFF", "image/tiff"},
    {Format::kExr, kImage, "OpenEXR", "image/x-exr"},
    {Format::kGif, kImage, "GIF", "image/gif"},
    {Format::kBmp, kImage, "BMP", "image/bmp"},
    {Format::kPsd, kImage, "PSD", "image/vnd.adobe.photoshop"},
    {Format::kWebp, kImage, "WebP", "image/webp"},
    {Format::kHdr, kImage, "Radiance HDR", "image/vnd.radiance"},
    {Format::kTga, kImage, "TGA", "image/x-tga"},
    {Format::kDpx, kImage, "DPX", "image/x-dpx"},
    {Format::kCineon, kImage, "Cineon", "image/x-cineon"},
    {Format::kJpeg2000, kImage, "JPEG 2000", "image/jp2"},
    {Format::kHeif, kImage, "HEIF", "image/heif"},
    {Format::kAvif, kImage, "AVIF", "image/avif"},
    {Format::kJpegXl, kImage, "JPEG XL", "image/jxl"},
    {Format::kKra, kImage, "Krita", "application/x-krita"},
    {Format::kOra, kImage, "OpenRaster", "image/openraster"},
    {Format::kOdg, kImage, "OpenDocument drawing", "application/vnd.oasis.opendocument.graphics"},
    {Format::kSvg, kImage, "SVG", "image/svg+xml"},
    {Format::kDds, kImage, "DDS", "image/vnd-ms.dds"},
    {Format::kSgi, kImage, "SGI", "image/x-sgi"},
    {Format::kPnm, kImage, "PNM", "image/x-portable-anymap"},
    {Format::kIco, kImage, "ICO", "image/vnd.microsoft.icon"},
    {Format::kMp4, kVideo, "MP4", "video/mp4"},
    {Format::kMov, kVideo, "QuickTime", "video/quicktime"},
    {Format::kMatroska, kVideo, "Matroska", "video/x-matroska"},
    {Format::kWebm, kVideo, "WebM", "video/webm"},
    {Format::kAvi, kVideo, "AVI", "video/x-msvideo"},
    {Format::kMxf, kVideo, "MXF", "application/mxf"},
    {Format::kMpegTs, kVideo, "MPEG-TS", "video/mp2t"},
    {Format::kMpegPs, kVideo, "MPEG-PS", "video/mpeg"},
    {Format::kOggVideo, kVideo, "Ogg video", "video/ogg"},
    {Format::kFlv, kVideo, "FLV", "video/x-flv"},
    {Format::kAsf, kVideo, "ASF", "video/x-ms-asf"},
    {Format::kM4a, kAudio, "M4A", "audio/mp4"},
    {Format::kWav, kAudio, "WAV", "audio/x-wav"},
    {Format::kMp3, kAudio, "MP3", "audio/mpeg"},
    {Format::kFlac, kAudio, "FLAC", "audio/flac"},
    {Format::kOgg, kAudio, "Ogg", "audio/ogg"},
    {Format::kAac, kAudio, "AAC", "audio/aac"},
    {Format::kWma, kAudio, "WMA", "audio/x-ms-wma"},
    {Format::kOpus, kAudio, "Opus", "audio/opus"},
    {Format::kAiff, kAudio, "AIFF", "audio/x-aiff"},
    {Format::kBlend, kBlend, "Blender", "application/x-blender"},
    {Format::kGltf, kScene, "glTF", "model/gltf+json"},
    {Format::kGlb, kScene, "glTF binary", "model/gltf-binary"},
    {Format::kFbx, kScene, "FBX", "application/octet-stream"},
    {Format::kObj, kScene, "Wavefront OBJ", "model/obj"},
    {Format::kMtl, kScene, "Wavefront MTL", "model/mtl"},
    {Format::kUsd, kScene, "USD", "model/vnd.usd"},
    {Format::kAlembic, kCache, "Alembic", "application/octet-stream"},
    {Format::kVdb, kCache, "OpenVDB", "application/octet-stream"},
    {Format::kBphys, kCache, "Blender point cache", "application/octet-stream"},
    {Format::kPdf, kDocument, "PDF", "application/pdf"},
    {Format::kZip, kOther, "ZIP", "application/zip"},
    {Format::kGzip, kOther, "gzip", "application/gzip"},
    {Format::kZstd, kOther, "Zstandard", "application/zstd"},
    {Format::kText, kDocument, "text", "text/plain"},
};

struct ExtensionRow {
  std::string_view extension;  // sorted
  Format format;
  FileType file_type;  // kOther: that of the format
};

constexpr ExtensionRow kExtensions[] = {
    {"3g2", Format::kMp4, kOther},
    {"3gp", Format::kMp4, kOther},
    {"aac", Format::kAac, kOther},
    {"abc", Format::kAlembic, kOther},
    {"ac3", Format::kUnknown, kAudio},
    {"aif", Format::kAiff, kOther},
    {"aifc", Format::kAiff, kOther},
    {"aiff", Format::kAiff, kOther},
    {"amr", Format::kUnknown, kAudio},
    {"ape", Format::kUnknown, kAudio},
    {"apng", Format::kPng, kOther},
    {"arw", Format::kTiff, kOther},
    {"asf", Format::kAsf, kOther},
    {"au", Format::kUnknown, kAudio},
    {"avi", Format::kAvi, kOther},
    {"avif", Format::kAvif, kOther},
    {"avifs", Format::kAvif, kOther},
    {"bash", Format::kText, kCode},
    {"bgeo", Format::kUnknown, kCache},
    {"blend", Format::kBlend, kOther},
    {"blend1", Format::kBlend, kOther},
    {"blend2", Format::kBlend, kOther},
    {"bmp", Format::kBmp, kOther},
    {"bphys", Format::kBphys, kOther},
    {"bw", Format::kSgi, kOther},
    {"bwf", Format::kWav, kOther},
    {"c", Format::kText, kCode},
    {"caf", Format::kUnknown, kAudio},
    {"cc", Format::kText, kCode},
    {"cin", Format::kCineon, kOther},
    {"cpp", Format::kText, kCode},
    {"cr2", Format::kTiff, kOther},
    {"cs", Format::kText, kCode},
    {"css", Format::kText, kCode},
    {"csv", Format::kText, kSpreadsheet},
    {"cur", Format::kIco, kOther},
    {"dds", Format::kDds, kOther},
    {"dib", Format::kBmp, kOther},
    {"dng", Format::kTiff, kOther},
    {"doc", Format::kUnknown, kDocument},
    {"docx", Format::kZip, kDocument},
    {"dpx", Format::kDpx, kOther},
    {"dsf", Format::kUnknown, kAudio},
    {"dts", Format::kUnknown, kAudio},
    {"dv", Format::kUnknown, kVideo},
    {"eac3", Format::kUnknown, kAudio},
    {"exr", Format::kExr, kOther},
    {"f4v", Format::kMp4, kOther},
    {"fbx", Format::kFbx, kOther},
    {"flac", Format::kFlac, kOther},
    {"flv", Format::kFlv, kOther},
    {"geo", Format::kUnknown, kCache},
    {"gif", Format::kGif, kOther},
    {"glb", Format::kGlb, kOther},
    {"glsl", Format::kText, kCode},
    {"gltf", Format::kGltf, kOther},
    {"go", Format::kText, kCode},
    {"gxf", Format::kUnknown, kVideo},
    {"gz", Format::kGzip, kOther},
    {"h", Format::kText, kCode},
    {"hdr", Format::kHdr, kOther},
    {"heic", Format::kHeif, kOther},
    {"heics", Format::kHeif, kOther},
    {"heif", Format::kHeif, kOther},
    {"hif", Format::kHeif, kOther},
    {"hpp", Format::kText, kCode},
    {"html", Format::kText, kCode},
    {"icb", Format::kTga, kOther},
    {"ico", Format::kIco, kOther},
    {"ivf", Format::kUnknown, kVideo},
    {"j2c", Format::kJpeg2000, kOther},
    {"j2k", Format::kJpeg2000, kOther},
    {"java", Format::kText, kCode},
    {"jfif", Format::kJpeg, kOther},
    {"jhc", Format::kJpeg2000, kOther},
    {"jp2", Format::kJpeg2000, kOther},
    {"jpc", Format::kJpeg2000, kOther},
    {"jpe", Format::kJpeg, kOther},
    {"jpeg", Format::kJpeg, kOther},
    {"jpf", Format::kJpeg2000, kOther},
    {"jpg", Format::kJpeg, kOther},
    {"jph", Format::kJpeg2000, kOther},
    {"jpx", Format::kJpeg2000, kOther},
    {"js", Format::kText, kCode},
    {"json", Format::kText, kCode},
    {"jxl", Format::kJpegXl, kOther},
    {"kra", Format::kKra, kOther},
    {"lua", Format::kText, kCode},
    {"m1v", Format::kMpegPs, kOther},
    {"m2t", Format::kMpegTs, kOther},
    {"m2ts", Format::kMpegTs, kOther},
    {"m2v", Format::kMpegPs, kOther},
    {"m4a", Format::kM4a, kOther},
    {"m4b", Format::kM4a, kOther},
    {"m4v", Format::kMp4, kOther},
    {"md", Format::kText, kDocument},
    {"mka", Format::kMatroska, kAudio},
    {"mkv", Format::kMatroska, kOther},
    {"mov", Format::kMov, kOther},
    {"mp2", Format::kMp3, kOther},
    {"mp3", Format::kMp3, kOther},
    {"mp4", Format::kMp4, kOther},
    {"mpeg", Format::kMpegPs, kOther},
    {"mpg", Format::kMpegPs, kOther},
    {"mpo", Format::kJpeg, kOther},
    {"mtl", Format::kMtl, kOther},
    {"mts", Format::kMpegTs, kOther},
    {"mxf", Format::kMxf, kOther},
    {"nef", Format::kTiff, kOther},
    {"nut", Format::kUnknown, kVideo},
    {"obj", Format::kObj, kOther},
    {"odg", Format::kOdg, kOther},
    {"ods", Format::kZip, kSpreadsheet},
    {"odt", Format::kZip, kDocument},
    {"oga", Format::kOgg, kOther},
    {"ogg", Format::kOgg, kOther},
    {"ogm", Format::kOggVideo, kOther},
    {"ogv", Format::kOggVideo, kOther},
    {"opus", Format::kOpus, kOther},
    {"ora", Format::kOra, kOther},
    {"osl", Format::kText, kCode},
    {"pam", Format::kPnm, kOther},
    {"pbm", Format::kPnm, kOther},
    {"pdf", Format::kPdf, kOther},
    {"pef", Format::kTiff, kOther},
    {"pfm", Format::kPnm, kOther},
    {"pgm", Format::kPnm, kOther},
    {"php", Format::kText, kCode},
    {"png", Format::kPng, kOther},
    {"pnm", Format::kPnm, kOther},
    {"ppm", Format::kPnm, kOther},
    {"psb", Format::kPsd, kOther},
    {"psd", Format::kPsd, kOther},
    {"py", Format::kText, kCode},
    {"qt", Format::kMov, kOther},
    {"r3d", Format::kUnknown, kVideo},
    {"rb", Format::kText, kCode},
    {"rf64", Format::kWav, kOther},
    {"rgb", Format::kSgi, kOther},
    {"rgba", Format::kSgi, kOther},
    {"rgbe", Format::kHdr, kOther},
    {"rm", Format::kUnknown, kVideo},
    {"rmvb", Format::kUnknown, kVideo},
    {"rs", Format::kText, kCode},
    {"rtf", Format::kText, kDocument},
    {"sgi", Format::kSgi, kOther},
    {"sh", Format::kText, kCode},
    {"snd", Format::kUnknown, kAudio},
    {"spx", Format::kOgg, kOther},
    {"svg", Format::kSvg, kOther},
    {"svgz", Format::kSvg, kOther},
    {"swift", Format::kText, kCode},
    {"tga", Format::kTga, kOther},
    {"tif", Format::kTiff, kOther},
    {"tiff", Format::kTiff, kOther},
    {"toml", Format::kText, kCode},
    {"tpic", Format::kTga, kOther},
    {"ts", Format::kText, kCode},  // real transport streams are known by content
    {"tsv", Format::kText, kSpreadsheet},
    {"tta", Format::kUnknown, kAudio},
    {"tx", Format::kTiff, kOther},
    {"txt", Format::kText, kOther},
    {"usd", Format::kUsd, kOther},
    {"usda", Format::kUsd, kOther},
    {"usdc", Format::kUsd, kOther},
    {"usdz", Format::kUsd, kOther},
    {"vda", Format::kTga, kOther},
    {"vdb", Format::kVdb, kOther},
    {"vob", Format::kMpegPs, kOther},
    {"vst", Format::kTga, kOther},
    {"w64", Format::kUnknown, kAudio},
    {"wav", Format::kWav, kOther},
    {"webm", Format::kWebm, kOther},
    {"webp", Format::kWebp, kOther},
    {"wma", Format::kWma, kOther},
    {"wmv", Format::kAsf, kOther},
    {"wv", Format::kUnknown, kAudio},
    {"xls", Format::kUnknown, kSpreadsheet},
    {"xlsx", Format::kZip, kSpreadsheet},
    {"xml", Format::kText, kCode},
    {"y4m", Format::kUnknown, kVideo},
    {"yaml", Format::kText, kCode},
    {"yml", Format::kText, kCode},
    {"zip", Format::kZip, kOther},
    {"zst", Format::kZstd, kOther},
};

constexpr bool extensions_sorted() {
  for (size_t i = 1; i < std::size(kExtensions); ++i)
    if (kExtensions[i - 1].extension >= kExtensions[i].extension) return false;
  return true;
}
static_assert(extensions_sorted());

constexpr bool formats_in_order() {
  for (size_t i = 0; i < std::size(kFormats); ++i)
    if (static_cast<size_t>(kFormats[i].format) != i) return false;
  return static_cast<size_t>(Format::kText) + 1 == std::size(kFormats);
}
static_assert(formats_in_order());

const ExtensionRow* find_extension(std::string_view name) {
  size_t dot = name.find_last_of("./\\");
  if (dot == std::string_view::npos || name[dot] != '.') return nullptr;
  std::string_view raw = name.substr(dot + 1);
  char lower[8];
  if (raw.empty() || raw.size() > sizeof lower) return nullptr;
  for (size_t i = 0; i < raw.size(); ++i)
    lower[i] = raw[i] >= 'A' && raw[i] <= 'Z' ? static_cast<char>(raw[i] + 32) : raw[i];
  std::string_view extension(lower, raw.size());
  const ExtensionRow* row =
      std::lower_bound(std::begin(kExtensions), std::end(kExtensions), extension,
                       [](const ExtensionRow& a, std::string_view b) { return a.extension < b; });
  return row != std::end(kExtensions) && row->extension == extension ? row : nullptr;
}

bool at(std::string_view head, size_t offset, std::string_view magic) {
  return head.size() >= offset && head.substr(offset, magic.size()) == magic;
}

// ISO base media: the major brand, or the compatible ones for stills (ISO 14496-12 section 4.3).
Format sniff_ftyp(std::string_view head) {
  std::string_view brand = head.substr(8, 4);
  auto is = [&](auto... brands) { return ((brand == brands) || ...); };
  if (is("avif", "avis")) return Format::kAvif;
  if (is("heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1")) {
    for (size_t i = 16; i + 4 <= std::min<size_t>(head.size(), 64); i += 4)
      if (at(head, i, "avif")) return Format::kAvif;
    return Format::kHeif;
  }
  if (is("qt  ")) return Format::kMov;
  if (is("M4A ", "M4B ", "M4P ", "F4A ")) return Format::kM4a;
  if (is("jp2 ", "jpx ", "jpm ", "jph ")) return Format::kJpeg2000;
  if (is("jxl ")) return Format::kJpegXl;
  return Format::kMp4;
}

// Matroska and WebM differ by the DocType inside the EBML header only.
Format sniff_ebml(std::string_view head) {
  size_t doc_type = head.substr(0, 80).find("\x42\x82");
  return doc_type != std::string_view::npos && head.substr(doc_type + 3, 4) == "webm" ? Format::kWebm
                                                                                      : Format::kMatroska;
}

Format sniff_zip(std::string_view head) {
  // The first member of these is an uncompressed "mimetype".
  if (at(head, 30, "mimetypeapplication/x-krita")) return Format::kKra;
  if (at(head, 30, "mimetypeimage/openraster")) return Format::kOra;
  if (at(head, 30, "mimetypeapplication/vnd.oasis.opendocument.graphics")) return Format::kOdg;
  // A USD package: the first member is stored, padded to 64 bytes, and a layer.
  if (head.size() > 30 && head[8] == 0 && head[9] == 0) {
    size_t name =
        static_cast<unsigned char>(head[26]) | static_cast<size_t>(static_cast<unsigned char>(head[27])) << 8;
    std::string_view member = head.substr(30, name);
    if (member.ends_with(".usdc") || member.ends_with(".usda") || member.ends_with(".usd"))
      return Format::kUsd;
  }
  return Format::kZip;
}

bool is_bmp(std::string_view head) {
  if (!at(head, 0, "BM") || head.size() < 18) return false;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  unsigned header = byte(14) | byte(15) << 8 | byte(16) << 16;
  return byte(17) == 0 && header >= 12 && header <= 256;
}

// A stream of 188-byte packets, or of 192 bytes with a time stamp before each.
bool is_mpeg_ts(std::string_view head) {
  for (size_t start : {size_t{0}, size_t{4}}) {
    size_t packet = start == 0 ? 188 : 192;
    if (head.size() > start + 3 * packet && head[start] == 'G' && head[start + packet] == 'G' &&
        head[start + 2 * packet] == 'G' && head[start + 3 * packet] == 'G')
      return true;
  }
  return false;
}

// The directory of an icon or cursor: no magic but small numbers and a reserved zero. A TGA begins alike.
bool is_icon(std::string_view head) {
  if (head.size() < 22) return head.size() > 5 && head[4] != 0 && head[5] == 0;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  unsigned count = byte(4) | byte(5) << 8;
  uint32_t offset = byte(18) | byte(19) << 8 | byte(20) << 16 | uint32_t{byte(21)} << 24;
  return count > 0 && count <= 1024 && offset >= 6 + 16 * count && (byte(14) | byte(15)) != 0;
}

bool is_svg(std::string_view head) {
  size_t start = head.find_first_not_of("\xEF\xBB\xBF \t\r\n");
  if (start == std::string_view::npos || head[start] != '<') return false;
  return head.substr(start, 1024).find("<svg") != std::string_view::npos;
}

using namespace std::string_view_literals;

Format sniff_content(std::string_view head) {
  if (head.size() < 4) return Format::kUnknown;
  switch (static_cast<unsigned char>(head[0])) {
    case 0x89:
      if (at(head, 0, "\x89PNG\r\n\x1A\n")) return Format::kPng;
      if (at(head, 0, "\x89HDF\r\n\x1A\n")) return Format::kAlembic;
      break;
    case 0xFF:
      if (at(head, 0, "\xFF\xD8\xFF")) return Format::kJpeg;
      if (at(head, 0, "\xFF\x0A")) return Format::kJpegXl;
      if (at(head, 0, "\xFF\x4F\xFF\x51")) return Format::kJpeg2000;
      if (head[1] == '\xF1' || head[1] == '\xF9') return Format::kAac;
      if (head[1] == '\xFB' || head[1] == '\xF3' || head[1] == '\xFA' || head[1] == '\xF2')
        return Format::kMp3;
      break;
    case 'I':
      if (at(head, 0, "II*\0"sv) || at(head, 0, "II+\0"sv)) return Format::kTiff;
      if (at(head, 0, "ID3")) return Format::kMp3;
      break;
    case 'M':
      if (at(head, 0, "MM\0*"sv) || at(head, 0, "MM\0+"sv)) return Format::kTiff;
      break;
    case 0x76:
      if (at(head, 0, "\x76\x2F\x31\x01")) return Format::kExr;
      break;
    case 'G':
      if (at(head, 0, "GIF87a") || at(head, 0, "GIF89a")) return Format::kGif;
      break;
    case '8':
      if (at(head, 0, "8BPS\0\x01"sv) || at(head, 0, "8BPS\0\x02"sv)) return Format::kPsd;
      break;
    case 'R':
      if (at(head, 0, "RIFF") || at(head, 0, "RF64")) {
        if (at(head, 8, "WEBP")) return Format::kWebp;
        if (at(head, 8, "AVI ")) return Format::kAvi;
        if (at(head, 8, "WAVE")) return Format::kWav;
      }
      break;
    case 'F':
      if (at(head, 0, "FORM") && (at(head, 8, "AIFF") || at(head, 8, "AIFC"))) return Format::kAiff;
      if (at(head, 0, "FLV\x01")) return Format::kFlv;
      break;
    case '#':
      if (at(head, 0, "#?RADIANCE") || at(head, 0, "#?RGBE")) return Format::kHdr;
      if (at(head, 0, "#usda ")) return Format::kUsd;
      break;
    case 'S':
      if (at(head, 0, "SDPX")) return Format::kDpx;
      break;
    case 'X':
      if (at(head, 0, "XPDS")) return Format::kDpx;
      break;
    case 0x80:
      if (at(head, 0, "\x80\x2A\x5F\xD7")) return Format::kCineon;
      break;
    case 0xD7:
      if (at(head, 0, "\xD7\x5F\x2A\x80")) return Format::kCineon;
      break;
    case 'D':
      if (at(head, 0, "DDS ")) return Format::kDds;
      break;
    case 0x01:
      if (at(head, 0, "\x01\xDA\x00"sv) || at(head, 0, "\x01\xDA\x01"sv)) return Format::kSgi;
      break;
    case 'P':
      if (head[1] >= '1' && head[1] <= '7' &&
          (head[2] == '\n' || head[2] == ' ' || head[2] == '\r' || head[2] == '\t' || head[2] == '#'))
        return Format::kPnm;
      if (at(head, 0, "PF\n") || at(head, 0, "Pf\n") || at(head, 0, "PF4\n")) return Format::kPnm;
      if (at(head, 0, "PK\x03\x04")) return sniff_zip(head);
      if (at(head, 0, "PXR-USDC")) return Format::kUsd;
      break;
    case '%':
      if (at(head, 0, "%PDF-")) return Format::kPdf;
      break;
    case 'B':
      if (is_bmp(head)) return Format::kBmp;
      if (at(head, 0, "BW64") && at(head, 8, "WAVE")) return Format::kWav;
      if (at(head, 0, "BA") && at(head, 14, "BM")) return Format::kBmp;
      if (at(head, 0, "BLENDER")) return Format::kBlend;
      if (at(head, 0, "BPHYSICS")) return Format::kBphys;
      break;
    case 0x1A:
      if (at(head, 0, "\x1A\x45\xDF\xA3")) return sniff_ebml(head);
      break;
    case 'O':
      if (at(head, 0, "OggS")) {
        if (at(head, 28, "OpusHead")) return Format::kOpus;
        if (at(head, 28, "\x80theora")) return Format::kOggVideo;
        return Format::kOgg;
      }
      if (at(head, 0, "Ogawa")) return Format::kAlembic;
      break;
    case ';':
      if (at(head, 0, "; FBX ")) return Format::kFbx;
      break;
    case 'f':
      if (at(head, 0, "fLaC")) return Format::kFlac;
      break;
    case 'g':
      if (at(head, 0, "glTF")) return Format::kGlb;
      break;
    case 'K':
      if (at(head, 0, "Kaydara FBX Binary")) return Format::kFbx;
      break;
    case ' ':
      if (at(head, 0, " BDV")) return Format::kVdb;
      break;
    case 0x30:
      if (at(head, 0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11")) return Format::kAsf;
      break;
    case 0x06:
      if (at(head, 0, "\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01")) return Format::kMxf;
      break;
    case 0x1F:
      if (at(head, 0, "\x1F\x8B")) return Format::kGzip;
      break;
    case 0x28:
      if (at(head, 0, "\x28\xB5\x2F\xFD")) return Format::kZstd;
      break;
    case 0:
      if (at(head, 0, "\0\0\0\x0CJXL \r\n\x87\n"sv)) return Format::kJpegXl;
      if (at(head, 0, "\0\0\0\x0CjP  \r\n\x87\n"sv)) return Format::kJpeg2000;
      if (at(head, 0, "\0\0\x01\xBA"sv) || at(head, 0, "\0\0\x01\xB3"sv)) return Format::kMpegPs;
      if ((at(head, 0, "\0\0\x01\0"sv) || at(head, 0, "\0\0\x02\0"sv)) && is_icon(head)) return Format::kIco;
      break;
    default:
      break;
  }
  if (at(head, 4, "ftyp") && head.size() >= 12) return sniff_ftyp(head);
  // QuickTime files from before the brand box, and those whose media data come first.
  for (std::string_view box :
       {"moov"sv, "mdat"sv, "wide"sv, "free"sv, "skip"sv, "pnot"sv, "styp"sv, "moof"sv})
    if (at(head, 4, box)) return box == "styp" || box == "moof" ? Format::kMp4 : Format::kMov;
  if (is_mpeg_ts(head)) return Format::kMpegTs;
  if (is_svg(head)) return Format::kSvg;
  return Format::kUnknown;
}

MediaType make(Format format, FileType file_type, bool by_content) {
  const FormatRow& row = kFormats[static_cast<size_t>(format)];
  return {file_type == kOther ? row.file_type : file_type, format, row.name, row.mime, by_content};
}

}  // namespace

std::string_view file_type_name(FileType type) {
  switch (type) {
    case kImage:
      return "image";
    case kVideo:
      return "video";
    case kAudio:
      return "audio";
    case kBlend:
      return "blend";
    case kScene:
      return "scene";
    case kCache:
      return "cache";
    case kDocument:
      return "document";
    case kSpreadsheet:
      return "spreadsheet";
    case kCode:
      return "code";
    case kOther:
      break;
  }
  return "other";
}

MediaType sniff(std::string_view head, std::string_view name) {
  Format content = sniff_content(head);
  const ExtensionRow* extension = find_extension(name);
  Format named = extension ? extension->format : Format::kUnknown;
  if (content == Format::kUnknown) {
    if (!extension) return make(Format::kUnknown, kOther, false);
    return make(named, extension->file_type, false);
  }
  // Where the content is only the wrapping, or two names share one container, the extension decides.
  if ((content == Format::kGzip || content == Format::kZstd) && named == Format::kBlend)
    return make(Format::kBlend, kOther, true);
  if (content == Format::kGzip && named == Format::kSvg) return make(Format::kSvg, kOther, true);
  if (content == Format::kZip && extension) {
    bool packed =
        named == Format::kUsd || named == Format::kKra || named == Format::kOra || named == Format::kOdg;
    return make(packed ? named : Format::kZip, extension->file_type, true);
  }
  if (content == Format::kMp4 && named == Format::kM4a) return make(Format::kM4a, kOther, true);
  if (content == Format::kMov && named == Format::kMp4 && !at(head, 4, "ftyp"))
    return make(Format::kMp4, kOther, true);
  if (content == Format::kOgg && named == Format::kOggVideo) return make(Format::kOggVideo, kOther, true);
  if (content == Format::kAsf && named == Format::kWma) return make(Format::kWma, kOther, true);
  if (content == Format::kMatroska && extension && extension->file_type == kAudio)
    return make(Format::kMatroska, kAudio, true);
  return make(content, kOther, true);
}

bool has_image_reader(Format format) { return format >= Format::kPng && format <= Format::kIco; }

bool has_video_reader(Format format) {
  return (format >= Format::kMp4 && format <= Format::kAiff) && format != Format::kMpegPs;
}

bool has_scene_reader(Format format) { return format >= Format::kGltf && format <= Format::kVdb; }

}  // namespace millrace::scan
