// Streams of sound frames without a container: MP3 and its layers, AAC in ADTS; with ID3 tags.
#include <algorithm>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr size_t kSearchMax = 128 * 1024;  // bytes looked through for the first frame
constexpr size_t kId3Max = 64 * 1024;  // of a tag that are read; pictures stand behind the texts as a rule
constexpr uint64_t kCountedMax = 768 * 1024;  // bytes of AAC frames counted before the rest is estimated

// Bytes behind the sound: an ID3v1 tag, and an APE tag before it.
uint64_t trailer_size(MediaBytes& bytes) {
  uint64_t size = 0;
  if (bytes.size() >= 128 && bytes.at(bytes.size() - 128, 3, "end of file") == "TAG") size = 128;
  if (bytes.size() >= size + 32) {
    std::string_view tail = bytes.at(bytes.size() - size - 32, 32, "end of file");
    if (tail.starts_with("APETAGEX")) {
      uint64_t tag = le32(tail.data() + 12);
      if (u8(tail.data() + 23) & 0x80) tag += 32;
      if (tag <= bytes.size() - size) size += tag;
    }
  }
  return size;
}

// All tags at the start; there may be several.
uint64_t skip_tags(MediaBytes& bytes, VideoFacts& facts) {
  uint64_t at = 0;
  for (int i = 0; i < 8; ++i) {
    uint64_t size = id3_size(bytes.some(at, 10, "ID3 tag"));
    if (size == 0) break;
    read_id3(bytes.some(at, static_cast<size_t>(std::min<uint64_t>(size, kId3Max)), "ID3 tag"), facts);
    check_end(at + size, bytes.size(), "ID3 tag");
    at += size;
  }
  return at;
}

struct FirstFrame {
  uint64_t at = 0;
  MpegAudioFrame frame;
};

// A header counts when the next frame follows it: the eleven bits alone turn up anywhere.
FirstFrame find_frame(MediaBytes& bytes, uint64_t from, uint64_t end) {
  uint64_t last = std::min(end, from + kSearchMax);
  for (uint64_t at = from; at + 4 <= last; ++at) {
    bytes.step("bytes before the first frame");
    if (bytes.read_u8(at, "MPEG audio") != 0xFF) continue;
    auto frame = mpeg_audio_frame(bytes.read_be32(at, "MPEG audio"));
    if (!frame || frame->bytes == 0) continue;
    uint64_t next = at + frame->bytes;
    if (next + 4 > end) {
      if (at == from) return {at, *frame};  // the only frame there is
      continue;
    }
    auto second = mpeg_audio_frame(bytes.read_be32(next, "MPEG audio"));
    if (second && second->layer == frame->layer && second->rate_hz == frame->rate_hz) return {at, *frame};
  }
  corrupt("no frame of MPEG audio", from);
}

// The first frame may be no sound but a note about the rest: Xing and Info (LAME), VBRI (Fraunhofer).
bool read_frame_count(MediaBytes& bytes, const FirstFrame& first, uint64_t& frames, uint64_t& size,
                      VideoFacts& facts) {
  const MpegAudioFrame& frame = first.frame;
  uint64_t side = frame.version == 1 ? (frame.channels == 1 ? 17 : 32) : (frame.channels == 1 ? 9 : 17);
  std::string_view p = bytes.some(first.at + 4 + side, 140, "MPEG audio");
  if (p.size() >= 16 && (p.starts_with("Xing") || p.starts_with("Info"))) {
    uint32_t flags = be32(p.data() + 4);
    size_t at = 8;
    if (flags & 1) frames = be32(p.data() + at), at += 4;
    if (flags & 2) size = be32(p.data() + at), at += 4;
    if (flags & 4) at += 100;
    if (flags & 8) at += 4;
    if (p.size() >= at + 9 && facts.encoder.empty()) facts.encoder = clean_text(p.substr(at, 9));
    return true;
  }
  p = bytes.some(first.at + 36, 18, "MPEG audio");
  if (p.size() >= 18 && p.starts_with("VBRI")) {
    size = be32(p.data() + 10);
    frames = be32(p.data() + 14);
    return true;
  }
  return false;
}

}  // namespace

void read_mp3(MediaBytes& bytes, VideoFacts& facts) {
  uint64_t start = skip_tags(bytes, facts);
  if (bytes.some(start, 4, "stream") == "fLaC") return read_flac(bytes, start, facts);
  if (adts_frame(bytes.some(start, 7, "stream"))) return read_aac(bytes, facts);
  facts.container = "mp3";
  uint64_t end = bytes.size() - std::min(bytes.size() - start, trailer_size(bytes));
  FirstFrame first = find_frame(bytes, start, end);
  const MpegAudioFrame& frame = first.frame;
  AudioStream& stream = facts.audio_streams.emplace_back();
  stream.codec = mpeg_audio_codec(frame);
  stream.sample_rate_hz = frame.rate_hz;
  stream.channels = frame.channels;
  stream.bit_rate = frame.bit_rate;
  if (facts.container == "mp3" && frame.layer != 3) facts.container = stream.codec;
  check_end(first.at + frame.bytes, bytes.size(), "first frame");
  uint64_t frames = 0, size = 0;
  if (read_frame_count(bytes, first, frames, size, facts) && frames > 0) {
    uint64_t samples = frames * frame.samples;
    facts.sound.sample_count = static_cast<int64_t>(samples);
    facts.duration_s = static_cast<double>(samples) / frame.rate_hz;
    stream.bit_rate.reset();
    set_bit_rate(facts, end - first.at);
    stream.bit_rate = facts.bit_rate;
    stream.duration_s = facts.duration_s;
    // The note counts the bytes of the frames: fewer are a file cut short. A little less is a tag gone
    // astray.
    if (size > 0 && first.at + size > bytes.size())
      check_end(first.at + size, bytes.size(), "stream of frames");
    return;
  }
  facts.duration_s = static_cast<double>(end - first.at) * 8 / frame.bit_rate;
  stream.duration_s = facts.duration_s;
  facts.bit_rate = frame.bit_rate;
}

void read_aac(MediaBytes& bytes, VideoFacts& facts) {
  uint64_t start = skip_tags(bytes, facts);
  facts.container = "aac";
  uint64_t end = bytes.size() - std::min(bytes.size() - start, trailer_size(bytes));
  auto first = adts_frame(bytes.some(start, 7, "ADTS frame"));
  if (!first) corrupt("not a frame of AAC", start);
  AudioStream& stream = facts.audio_streams.emplace_back();
  stream.codec = "aac";
  stream.sample_rate_hz = first->rate_hz;
  if (first->channels) stream.channels = first->channels;
  uint64_t at = start, samples = 0;
  bool lost = false;
  while (at + 7 <= end && at - start < kCountedMax) {
    bytes.step("ADTS frames");
    auto frame = adts_frame(bytes.at(at, 7, "ADTS frame"));
    if (!frame) {
      lost = true;
      break;
    }
    samples += frame->samples;
    at += frame->bytes;
  }
  if (at == start) at = end;
  bool whole = at >= end;
  double seconds = static_cast<double>(samples) / first->rate_hz;
  if (!whole && !lost) seconds *= static_cast<double>(end - start) / static_cast<double>(at - start);
  if (whole) facts.sound.sample_count = static_cast<int64_t>(samples);
  facts.duration_s = stream.duration_s = seconds;
  set_bit_rate(facts, bytes.size());
  if (lost) corrupt("no frame of AAC where one should begin,", at);
  check_end(whole ? at : end, bytes.size(), "last frame");
}

}  // namespace millrace::scan
