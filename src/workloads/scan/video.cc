#include "workloads/scan/video.h"

#include "workloads/scan/video_formats.h"

namespace millrace::scan {

VideoFacts read_video(Source& source, const MediaType& type) {
  VideoFacts facts;
  try {
    MediaBytes bytes(source);
    if (bytes.size() == 0) throw base::CorruptError("truncated: the file is empty");
    switch (type.format) {
      case Format::kMp4:
      case Format::kMov:
      case Format::kM4a:
        read_mp4(bytes, facts);
        break;
      case Format::kMatroska:
      case Format::kWebm:
        read_matroska(bytes, facts);
        break;
      default:
        facts.status = ReadStatus::kUnsupported;
        facts.problem = "no reader for this format";
    }
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    bool useful = facts.resolution_x || !facts.audio_streams.empty();
    facts.status = useful ? ReadStatus::kPartial : ReadStatus::kBroken;
    facts.problem = error.what();
  }
  return facts;
}

}  // namespace millrace::scan
