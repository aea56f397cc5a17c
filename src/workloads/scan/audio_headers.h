// Headers that sound streams carry inside containers: frame headers, WAVEFORMATEX, comments, loudspeakers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// The four bytes before a frame of MPEG audio, ISO 11172-3 section 2.4.1.3 and 13818-3.
struct MpegAudioFrame {
  unsigned layer = 0;     // 1 to 3
  unsigned version = 1;   // 1, 2, or 3 for "2.5"
  uint32_t bit_rate = 0;  // bits per second
  uint32_t rate_hz = 0;
  uint32_t channels = 0;
  uint32_t samples = 0;  // of one frame, per channel
  uint32_t bytes = 0;    // of one frame
};
std::optional<MpegAudioFrame> mpeg_audio_frame(uint32_t header);
std::string_view mpeg_audio_codec(const MpegAudioFrame& frame);  // "mp1", "mp2", "mp3"

// A frame of AAC with its ADTS header, ISO 14496-3 section 1.A.2.2.
struct AdtsFrame {
  uint32_t rate_hz = 0, channels = 0, bytes = 0, samples = 0;
};
std::optional<AdtsFrame> adts_frame(std::string_view data);  // 7 bytes at least

// Fills `stream` from the start of coded sound: AC-3 and E-AC-3 (ETSI TS 102 366), MPEG audio, ADTS. `codec`
// as ffprobe names it. False when the bytes are not the start of a frame.
bool read_coded_audio(std::string_view data, std::string_view codec, AudioStream& stream);

// WAVEFORMATEX and WAVEFORMATEXTENSIBLE, as in WAV, AVI and ASF.
struct WaveFormat {
  uint16_t tag = 0;  // of the extension's GUID where there is one
  uint32_t bytes_per_second = 0;
  uint16_t block_bytes = 0;
};
// `data` has 14 bytes at least; std::nullopt otherwise. Fills all of `stream` that the header says.
std::optional<WaveFormat> read_wave_format(std::string_view data, AudioStream& stream);

// Loudspeakers as ffprobe names them; empty for unusual ones. By the bits of a channel mask, by the number of
// channels where one or two leave no choice, and by the number as Vorbis, Opus and FLAC fix it.
std::string_view layout_of_mask(uint32_t mask);
std::string_view layout_of_count(uint32_t channels);
std::string_view layout_of_xiph(uint32_t channels);

// Vorbis comments (xiph.org/vorbis/doc/v-comment.html) from the vendor's length on. What is cut short is left
// out.
void read_vorbis_comments(std::string_view data, VideoFacts& facts);
// An ID3v2 tag from its ten-byte header on (id3.org): title, artist, album, encoder.
void read_id3(std::string_view data, VideoFacts& facts);
// Bytes of the ID3v2 tag that begins with these ten; 0 when none does.
uint64_t id3_size(std::string_view head);

// bits of the file in a second, from its size and duration.
void set_bit_rate(VideoFacts& facts, uint64_t size);

}  // namespace millrace::scan
