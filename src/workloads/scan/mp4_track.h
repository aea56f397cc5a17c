// One track of an MP4 or QuickTime file.
#pragma once

#include <optional>
#include <string>

#include "workloads/scan/mp4_boxes.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

struct Mp4Track {
  uint32_t id = 0;
  uint32_t handler = 0;  // 'vide', 'soun', 'tmcd', 'text' …
  uint32_t timescale = 0;
  uint64_t duration = 0;  // in units of timescale; 0 = unknown
  std::string language;
  uint64_t sample_count = 0;
  uint64_t sample_duration = 0;  // sum over stts, in units of timescale; 0 = unknown
  uint64_t first_chunk = 0;      // file offset; 0 = none
  VideoFacts video;              // of a 'vide' track: only what a track decides
  AudioStream audio;             // of a 'soun' track
  // Of a 'tmcd' track.
  bool drop_frame = false;
  uint32_t frames_per_second = 0;  // rounded up
  std::string reel;
};

// Reads a 'trak' box. Throws CorruptError; `track` keeps what was read until then.
void read_track(MediaBytes& bytes, const Mp4Box& trak, Mp4Track& track);

// Frame number to "01:00:00:00" (SMPTE 12M counting when drop_frame). `frames_per_second` must not be 0.
std::string timecode_of_frame(uint32_t frame, uint32_t frames_per_second, bool drop_frame);

}  // namespace millrace::scan
