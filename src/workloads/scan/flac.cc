// FLAC: RFC 9639.
#include <algorithm>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/bit_reader.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {

void read_flac_info(std::string_view info, AudioStream& stream, std::optional<int64_t>& samples) {
  if (info.size() < 18) return;
  Bits bits(info.substr(10));
  stream.codec = "flac";
  if (uint32_t rate = bits.get(20)) stream.sample_rate_hz = rate;
  stream.channels = bits.get(3) + 1;
  stream.bit_depth = bits.get(5) + 1;
  stream.channel_layout = layout_of_xiph(*stream.channels);
  uint64_t count = uint64_t{bits.get(4)} << 32;
  count |= bits.get(32);
  if (count) samples = static_cast<int64_t>(count);
}

void read_flac(MediaBytes& bytes, uint64_t start, VideoFacts& facts) {
  if (bytes.at(start, 4, "FLAC header") != "fLaC") corrupt("not a FLAC file", start);
  facts.container = "flac";
  bool last = false;
  uint64_t at = start + 4;
  while (!last) {
    bytes.step("FLAC metadata blocks");
    uint32_t head = bytes.read_be32(at, "FLAC metadata block");
    last = head >> 31;
    unsigned type = head >> 24 & 0x7F;
    uint32_t size = head & 0xFFFFFF;
    at += 4;
    check_end(at + size, bytes.size(), "FLAC metadata block");
    if (type == 0) {
      AudioStream& stream = facts.audio_streams.emplace_back();
      read_flac_info(bytes.at(at, std::min<uint32_t>(size, 34), "STREAMINFO"), stream,
                     facts.sound.sample_count);
      if (facts.sound.sample_count && stream.sample_rate_hz)
        facts.duration_s = static_cast<double>(*facts.sound.sample_count) / *stream.sample_rate_hz;
      stream.duration_s = facts.duration_s;
      if (facts.audio_streams.size() > 1) corrupt("FLAC with two descriptions", at);
    } else if (type == 4) {
      read_vorbis_comments(bytes.at(at, std::min<uint32_t>(size, 64 * 1024), "FLAC comments"), facts);
    } else if (type == 127) {
      corrupt("not a FLAC metadata block", at - 4);
    }
    at += size;
  }
  if (facts.audio_streams.empty() || !facts.audio_streams[0].sample_rate_hz)
    corrupt("FLAC without a description", start);
  set_bit_rate(facts, bytes.size());
  if (at >= bytes.size() && facts.sound.sample_count.value_or(1) > 0)
    throw base::CorruptError("truncated: no sound behind the metadata, which ends at offset " +
                             std::to_string(at));
}

}  // namespace millrace::scan
