// What is known about one video or audio container: the columns of the table `videos`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "workloads/scan/media_facts.h"

namespace millrace::scan {

struct AudioStream {
  std::string codec;     // as ffprobe names it: "aac", "pcm_s16le"
  std::string language;  // ISO 639-2 as the file has it, empty for "und"
  std::optional<uint32_t> channels;
  std::optional<uint32_t> sample_rate_hz;
  std::optional<uint32_t> bit_depth;
  std::optional<double> duration_s;
  std::string channel_layout;       // as ffprobe names it: "stereo", "5.1"; empty when the file does not say
  std::optional<int64_t> bit_rate;  // bits per second of this stream, when its header says so
};

// What sound files say about themselves beyond their streams: columns of the table `audio`.
struct SoundFacts {
  std::optional<int64_t> sample_count;    // per channel, where the header decides it exactly
  std::string timecode;                   // "10:30:00:12"; "10:30:00.480" where the file has no frame rate
  std::optional<int64_t> time_reference;  // samples since midnight (EBU 3285)
  std::string originator, description;    // who recorded it, with what; the remark
  std::string scene, take, tape;          // iXML
  std::string title, artist, album;
};

// Of the first video stream unless said otherwise. Numbers are absent and texts empty when the file does not
// say.
struct VideoFacts {
  ReadStatus status = ReadStatus::kOk;
  std::string problem;  // set exactly when status is not kOk: what is wrong and at which offset
  std::string warning;  // damage in optional metadata that leaves the status alone

  std::string container;                               // "mp4", "mov", "matroska", "webm"
  std::optional<uint32_t> resolution_x, resolution_y;  // as coded, before `rotation`
  std::optional<double> duration_s;                    // of the file
  std::optional<Rational> fps;                         // average frame rate, 24000/1001 and the like
  std::optional<int64_t> frame_count;
  std::string codec;                // as ffprobe names it: "h264", "hevc", "prores", "vp9"
  std::string fourcc;               // "avc1", or Matroska's CodecID
  std::string profile;              // "High", "Main 10", "422 HQ" …
  std::optional<int64_t> bit_rate;  // bits per second of the whole file, size / duration
  std::string pixel_format;         // as ffmpeg names it where the header decides it: "yuv420p10le"
  std::optional<uint32_t> bit_depth;
  std::string chroma;  // "4:2:0", "4:2:2", "4:4:4", "4:0:0"
  std::string color_primaries, color_transfer,
      color_matrix;         // ffprobe's words: "bt709", "smpte2084", "bt2020nc"
  std::string color_range;  // "tv" or "pc"
  std::string hdr;          // "HDR10", "HLG", "Dolby Vision"; empty = none known
  std::optional<Rational> sample_aspect, display_aspect;
  std::optional<int> rotation;  // degrees clockwise to turn the picture for display: 0, 90, 180, 270
  std::string timecode;         // of the first frame: "01:00:00:00", ";" before the frames when drop-frame
  std::string reel;
  std::optional<bool> faststart;   // MP4/MOV: moov before mdat
  std::optional<bool> fragmented;  // MP4/MOV: movie fragments
  std::vector<AudioStream> audio_streams;
  uint32_t video_streams = 0;
  uint32_t subtitle_streams = 0;
  std::optional<base::TimeMs> creation_time_ms;
  std::string encoder;
  SoundFacts sound;
  std::string thumbnail_path;  // of the picture made of it, empty when none was asked for or could be made
};

}  // namespace millrace::scan
