// Names of codecs, and what their configuration records say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// ffprobe's name for a QuickTime / ISO sample description; empty when unknown. Case counts.
std::string_view video_codec_of_fourcc(std::string_view fourcc);
std::string_view audio_codec_of_fourcc(std::string_view fourcc);
// The same for the codes of video for Windows (AVI, ASF, Matroska's V_MS/VFW/FOURCC), whose case does not
// count.
std::string_view video_codec_of_riff(std::string_view fourcc);
// ISO 14496-1 object type indication of an esds; empty when unknown.
std::string_view codec_of_object_type(unsigned object_type);
// Matroska CodecID (PCM without its bits: the caller appends); empty when unknown.
std::string_view codec_of_matroska(std::string_view codec_id);
// "pcm_s24le" and the like.
std::string pcm_name(unsigned bits, bool is_float, bool big_endian, bool is_signed);
// "HQ" and the like for ProRes; empty for other codecs.
std::string_view prores_profile(std::string_view fourcc);

// Configuration records; what is cut short is left out. ISO 14496-15 sections 5.3.3 (avcC) and 8.3.3 (hvcC),
// AV1 ISOBMFF section 2.3 (av1C), VP codec ISOBMFF (vpcC).
void read_avc_config(std::string_view record, VideoFacts& facts);
void read_hevc_config(std::string_view record, VideoFacts& facts);
void read_av1_config(std::string_view record, VideoFacts& facts);
void read_vp_config(std::string_view record, VideoFacts& facts);

// AudioSpecificConfig, ISO 14496-3 section 1.6.2.1.
void read_aac_config(std::string_view config, AudioStream& stream);

// Derives pixel_format (planar YUV codecs), hdr and display_aspect from what is known.
void complete_video_facts(VideoFacts& facts);
// What a stream says of its picture: size, coding, colour, sample aspect.
void take_picture(const VideoFacts& stream, VideoFacts& facts);

void set_color_codes(VideoFacts& facts, unsigned primaries, unsigned transfer, unsigned matrix);

}  // namespace millrace::scan
