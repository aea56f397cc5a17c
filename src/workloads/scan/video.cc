#include "workloads/scan/video.h"

#include "workloads/scan/audio_headers.h"
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
      case Format::kAvi:
        read_avi(bytes, facts);
        break;
      case Format::kMxf:
        read_mxf(bytes, facts);
        break;
      case Format::kMpegTs:
        read_mpeg_ts(bytes, facts);
        break;
      case Format::kOgg:
      case Format::kOggVideo:
      case Format::kOpus:
        read_ogg(bytes, facts);
        break;
      case Format::kFlv:
        read_flv(bytes, facts);
        break;
      case Format::kAsf:
      case Format::kWma:
        read_asf(bytes, facts);
        break;
      case Format::kWav:
        read_wav(bytes, facts);
        break;
      case Format::kAiff:
        read_aiff(bytes, facts);
        break;
      case Format::kMp3:
        read_mp3(bytes, facts);
        break;
      case Format::kAac:
        read_aac(bytes, facts);
        break;
      case Format::kFlac:
        read_flac(bytes, 0, facts);
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
  // What no header can mean.
  if (facts.fps && (facts.fps->num <= 0 || facts.fps->den <= 0)) facts.fps.reset();
  if (facts.duration_s && !(*facts.duration_s >= 0 && *facts.duration_s < 1e12)) facts.duration_s.reset();
  for (AudioStream& stream : facts.audio_streams)
    if (stream.channel_layout.empty()) stream.channel_layout = layout_of_count(stream.channels.value_or(0));
  return facts;
}

}  // namespace millrace::scan
