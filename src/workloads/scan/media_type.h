// What a file is: decided by its first bytes, and by its name only where the bytes say nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::scan {

// The values of the column files.file_type.
enum class FileType : uint8_t {
  kImage,
  kVideo,
  kAudio,
  kBlend,
  kScene,  // scene descriptions of other programs: glTF, FBX, OBJ, USD …
  kCache,  // simulation and geometry caches: Alembic, VDB, .bphys …
  kDocument,
  kSpreadsheet,
  kCode,
  kOther,
};
std::string_view file_type_name(FileType type);  // "image", "video", …, "other"

enum class Format : uint8_t {
  kUnknown,
  // images with a reader
  kPng,
  kJpeg,
  kTiff,
  kExr,
  kGif,
  kBmp,
  kPsd,
  kWebp,
  kHdr,
  kTga,
  kDpx,
  kCineon,
  kJpeg2000,
  kHeif,
  kAvif,
  kJpegXl,
  kKra,
  kOra,
  kOdg,
  kSvg,
  kDds,
  kSgi,
  kPnm,
  kIco,
  // videos with a reader
  kMp4,
  kMov,
  kMatroska,
  kWebm,
  // videos that are only recognised
  kAvi,
  kMxf,
  kMpegTs,
  kMpegPs,
  kOggVideo,
  kFlv,
  kAsf,
  // audio, recognised (kM4a has the reader of kMp4)
  kM4a,
  kWav,
  kMp3,
  kFlac,
  kOgg,
  kAac,
  kWma,
  kOpus,
  kAiff,
  kBlend,
  // scenes and caches with a reader, up to kVdb
  kGltf,
  kGlb,
  kFbx,
  kObj,
  kMtl,
  kUsd,
  kAlembic,
  kVdb,
  kBphys,
  // the rest
  kPdf,
  kZip,
  kGzip,
  kZstd,
  kText,
};

struct MediaType {
  FileType file_type = FileType::kOther;
  Format format = Format::kUnknown;
  std::string_view format_name;  // column files.format: "PNG", "OpenEXR", …; empty when unknown. Static text.
  std::string_view mime;         // "application/octet-stream" when unknown. Static text.
  bool by_content = false;       // false: only the extension said so
};

// `head`: the first bytes of the file, as many as there are up to 4096 (fewer is fine; 64 decide nearly all).
// `name`: file name or key; only its extension is looked at, in any case. Content wins; the extension refines
// (a gzip or zstd stream named .blend is a blend file, an MP4 named .m4a is audio). Never throws, does not
// allocate.
MediaType sniff(std::string_view head, std::string_view name);

// True when read_image(), read_video() or read_scene() knows this format.
bool has_image_reader(Format format);
bool has_video_reader(Format format);
bool has_scene_reader(Format format);

}  // namespace millrace::scan
