// AIFF and AIFF-C (Apple, 1989 and 1991).
#include <algorithm>
#include <cmath>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

// An 80-bit number of IEEE 754: sign and exponent in 16 bits, then the mantissa with its leading one.
double extended(const char* p) {
  int exponent = be16(p) & 0x7FFF;
  return std::ldexp(static_cast<double>(be64(p + 2)), exponent - 16383 - 63);
}

std::string codec_of(std::string_view compression, unsigned bits) {
  unsigned width = (bits + 7) / 8 * 8;
  if (compression.empty() || compression == "NONE" || compression == "twos")
    return width ? pcm_name(width, false, true, true) : "";
  if (compression == "sowt") return width ? pcm_name(width, false, false, true) : "";
  if (compression == "fl32" || compression == "FL32") return pcm_name(32, true, true, true);
  if (compression == "fl64" || compression == "FL64") return pcm_name(64, true, true, true);
  if (compression == "in24") return pcm_name(24, false, true, true);
  if (compression == "in32") return pcm_name(32, false, true, true);
  if (compression == "raw ") return "pcm_u8";
  if (compression == "ALAW") return "pcm_alaw";
  if (compression == "ULAW") return "pcm_mulaw";
  return std::string(audio_codec_of_fourcc(compression));
}

void read_common(std::string_view p, bool compressed, VideoFacts& facts) {
  AudioStream stream;
  if (uint16_t channels = be16(p.data())) stream.channels = channels;
  uint64_t frames = be32(p.data() + 2);
  unsigned bits = be16(p.data() + 6);
  double rate = extended(p.data() + 8);
  std::string_view compression = compressed && p.size() >= 22 ? p.substr(18, 4) : std::string_view();
  if (rate >= 1 && rate < 1e9) stream.sample_rate_hz = static_cast<uint32_t>(std::lround(rate));
  if (bits && bits <= 64) stream.bit_depth = bits;
  stream.codec = codec_of(compression, std::min(bits, 64u));
  if (stream.codec == "adpcm_ima_qt") frames *= 64;  // counted in packets
  if (stream.codec == "mace3" || stream.codec == "mace6") frames *= 6;
  if (stream.sample_rate_hz) {
    facts.sound.sample_count = static_cast<int64_t>(frames);
    facts.duration_s = static_cast<double>(frames) / *stream.sample_rate_hz;
    stream.duration_s = facts.duration_s;
  }
  facts.audio_streams.assign(1, stream);
}

}  // namespace

void read_aiff(MediaBytes& bytes, VideoFacts& facts) {
  std::string_view head = bytes.at(0, 12, "FORM header");
  bool compressed = head.substr(8) == "AIFC";
  if (!head.starts_with("FORM") || (!compressed && head.substr(8) != "AIFF")) corrupt("not an AIFF file", 0);
  facts.container = "aiff";
  uint64_t form = be32(head.data() + 4);
  bool sound = false;
  for (uint64_t at = 12; at < bytes.size() && bytes.size() - at >= 8;) {
    bytes.step("chunks");
    std::string_view p = bytes.at(at, 8, "chunk");
    std::string id(p.substr(0, 4));
    uint64_t size = be32(p.data() + 4), start = at + 8;
    if (id == "COMM" && size >= 18)
      read_common(bytes.at(start, static_cast<size_t>(std::min<uint64_t>(size, 512)), "COMM chunk"),
                  compressed, facts);
    if (id == "SSND") sound = true;
    check_end(start + size, bytes.size(), id == "SSND" ? "sound" : "chunk");
    std::string* fact = id == "NAME"   ? &facts.sound.title
                        : id == "AUTH" ? &facts.sound.artist
                        : id == "ANNO" ? &facts.sound.description
                                       : nullptr;
    if (fact)
      *fact = clean_text(bytes.at(start, static_cast<size_t>(std::min<uint64_t>(size, 1024)), "chunk"));
    if (id == "ID3 " || id == "id3 ")
      read_id3(bytes.at(start, static_cast<size_t>(std::min<uint64_t>(size, 64 * 1024)), "ID3 chunk"), facts);
    at = start + size + (size & 1);
  }
  set_bit_rate(facts, bytes.size());
  check_end(form + 8, bytes.size(), "FORM chunk");
  if (facts.audio_streams.empty()) corrupt("an AIFF file without a format, its end", bytes.size());
  if (!sound && facts.sound.sample_count.value_or(0) > 0)
    corrupt("an AIFF file without sound, its end", bytes.size());
}

}  // namespace millrace::scan
