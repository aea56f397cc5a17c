// What coded video says about itself: sequence and parameter sets inside the stream. Readers of containers
// use it where the container says less. Only facts that are still absent are filled in.
#pragma once

#include <string>
#include <string_view>

#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// "High", "Constrained Baseline" …; empty for unknown ones.
std::string_view h264_profile_name(unsigned profile, unsigned constraints);
// True for the profiles whose parameter sets tell chroma and depth; all others have 4:2:0 and 8 bits.
bool is_high_h264_profile(unsigned profile);
// "4:2:0" for 1, as chroma_format_idc of H.264 and H.265 counts; `idc` below 4.
std::string_view chroma_name(unsigned idc);

// Sequence parameter sets with their NAL header: ITU-T H.264 section 7.3.2.1.1 and annex E, H.265 section
// 7.3.2.2 and annex E. Size (after cropping), frame rate, shape of pixels, colours, chroma, depth.
void read_h264_sps(std::string_view nal, VideoFacts& facts);
void read_hevc_sps(std::string_view nal, VideoFacts& facts);

// Looks through a piece of a stream with start codes (00 00 01) for such headers. `codec` as ffprobe names
// it: h264, hevc, mpeg1video, mpeg2video, mpeg4. False when there was none.
bool read_coded_video(std::string_view stream, std::string_view codec, VideoFacts& facts);

}  // namespace millrace::scan
