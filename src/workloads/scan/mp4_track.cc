#include "workloads/scan/mp4_track.h"

#include <algorithm>
#include <bit>

#include "workloads/scan/video_codecs.h"

namespace millrace::scan {
namespace {

constexpr uint32_t kTimeEntriesMax = 65536;  // of stts: longer tables (one entry a frame) are not summed
constexpr size_t kConfigMax = 4096;          // bytes of a codec configuration looked at

std::string fourcc_text(uint32_t code) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(code >> shift & 0xFF);
  return text;
}

// ISO 639-2 as three letters of five bits; QuickTime's own small numbers say nothing we need.
std::string language_text(uint16_t code) {
  if (code < 0x400 || code == 0x7FFF) return {};
  std::string text;
  for (int shift = 10; shift >= 0; shift -= 5) text += static_cast<char>(0x60 + (code >> shift & 31));
  return text == "und" ? "" : text;
}

// ISO 14496-1 section 8.3.3: descriptors nest as tag, length of 1-4 bytes, content.
struct Esds {
  unsigned object_type = 0;
  std::string_view specific;
};
Esds read_esds(std::string_view data) {
  Esds esds;
  data = data.substr(std::min<size_t>(4, data.size()));
  auto descriptor = [&](unsigned tag) -> bool {
    if (data.size() < 2 || u8(data.data()) != tag) return false;
    size_t i = 1;
    for (int n = 0; n < 4 && i < data.size(); ++n)
      if (!(u8(data.data() + i++) & 0x80)) break;
    data.remove_prefix(i);
    return true;
  };
  if (descriptor(3)) {
    if (data.size() < 3) return esds;
    unsigned flags = u8(data.data() + 2);
    size_t skip = 3 + (flags & 0x80 ? 2 : 0) + (flags & 0x20 ? 2 : 0);
    if (flags & 0x40) skip += data.size() > skip ? 1u + u8(data.data() + skip) : 1u;
    data = data.substr(std::min(skip, data.size()));
  }
  if (!descriptor(4) || data.size() < 13) return esds;
  esds.object_type = u8(data.data());
  data.remove_prefix(13);
  if (data.size() >= 2 && u8(data.data()) == 5) {
    descriptor(5);
    esds.specific = data.substr(0, 64);
  }
  return esds;
}

std::string_view content(MediaBytes& bytes, const Mp4Box& box) {
  return bytes.at(box.at, static_cast<size_t>(std::min<uint64_t>(box.size(), kConfigMax)),
                  "sample description");
}

void read_video_extension(MediaBytes& bytes, const Mp4Box& box, VideoFacts& video) {
  switch (box.type) {
    case fourcc("avcC"):
      read_avc_config(content(bytes, box), video);
      break;
    case fourcc("hvcC"):
      read_hevc_config(content(bytes, box), video);
      break;
    case fourcc("av1C"):
      read_av1_config(content(bytes, box), video);
      break;
    case fourcc("vpcC"):
      read_vp_config(content(bytes, box), video);
      break;
    case fourcc("dvcC"):
    case fourcc("dvvC"):
    case fourcc("dvwC"):
      video.hdr = "Dolby Vision";
      break;
    case fourcc("esds"): {
      std::string_view codec = codec_of_object_type(read_esds(content(bytes, box)).object_type);
      if (!codec.empty()) video.codec = codec;
      break;
    }
    case fourcc("pasp"): {
      std::string_view p = content(bytes, box);
      if (p.size() >= 8 && be32(p.data()) != 0 && be32(p.data() + 4) != 0)
        video.sample_aspect = reduced(be32(p.data()), be32(p.data() + 4));
      break;
    }
    case fourcc("colr"): {
      std::string_view p = content(bytes, box);
      bool nclx = p.starts_with("nclx"), nclc = p.starts_with("nclc");
      if ((!nclx && !nclc) || p.size() < 10) break;
      // What the container says wins over the stream, which an earlier avcC may have told.
      video.color_primaries.clear();
      video.color_transfer.clear();
      video.color_matrix.clear();
      set_color_codes(video, be16(p.data() + 4), be16(p.data() + 6), be16(p.data() + 8));
      if (nclx && p.size() >= 11) video.color_range = u8(p.data() + 10) & 0x80 ? "pc" : "tv";
      break;
    }
    default:
      break;
  }
}

// ISO 14496-12 section 12.1.3; QuickTime has the same layout.
void read_video_description(MediaBytes& bytes, const Mp4Box& entry, Mp4Track& track) {
  VideoFacts& video = track.video;
  std::string_view p = bytes.at(entry.at, 78, "video sample description");
  uint16_t width = be16(p.data() + 24), height = be16(p.data() + 26);
  uint16_t depth = be16(p.data() + 74);
  if (width && height) {
    video.resolution_x = width;
    video.resolution_y = height;
  }
  std::string type = fourcc_text(entry.type);
  video.fourcc = clean_text(type);
  video.codec = video_codec_of_fourcc(type);
  video.profile = prores_profile(type);
  if (video.codec == "prores") {
    bool four = type[2] == '4';
    video.chroma = four ? "4:4:4" : "4:2:2";
    video.bit_depth = four ? 12 : 10;
  } else if (video.codec == "v210") {
    video.chroma = "4:2:2";
    video.bit_depth = 10;
    video.pixel_format = "yuv422p10le";
  } else if (video.codec == "png" || video.codec == "qtrle") {
    if (depth == 24 || depth == 32) video.bit_depth = 8;
  }
  each_box(bytes, entry.at + 78, entry.end,
           [&](const Mp4Box& box) { read_video_extension(bytes, box, track.video); });
}

void read_audio_extension(MediaBytes& bytes, const Mp4Box& box, Mp4Track& track, bool& little_endian) {
  switch (box.type) {
    case fourcc("wave"):  // QuickTime wraps them once more
      each_box(bytes, box.at, box.end, [&](const Mp4Box& inner) {
        if (inner.type != fourcc("wave")) read_audio_extension(bytes, inner, track, little_endian);
      });
      break;
    case fourcc("esds"): {
      Esds esds = read_esds(content(bytes, box));
      std::string_view codec = codec_of_object_type(esds.object_type);
      if (!codec.empty()) track.audio.codec = codec;
      if (track.audio.codec == "aac" && esds.specific.size() >= 2)
        read_aac_config(esds.specific, track.audio);
      break;
    }
    case fourcc("enda"):
      little_endian = content(bytes, box).size() >= 2 && be16(content(bytes, box).data()) == 1;
      break;
    case fourcc("dOps"):
      track.audio.sample_rate_hz = 48000;
      if (std::string_view p = content(bytes, box); p.size() >= 2) track.audio.channels = u8(p.data() + 1);
      break;
    case fourcc("dfLa"): {  // version, then a STREAMINFO block: FLAC section 8.2
      std::string_view p = content(bytes, box);
      if (p.size() >= 4 + 4 + 18) {
        uint32_t packed = be32(p.data() + 18);
        track.audio.sample_rate_hz = packed >> 12;
        track.audio.channels = (packed >> 9 & 7) + 1;
        track.audio.bit_depth = (packed >> 4 & 31) + 1;
      }
      break;
    }
    case fourcc("alac"): {
      std::string_view p = content(bytes, box);
      if (p.size() >= 28) {
        track.audio.bit_depth = u8(p.data() + 9);
        track.audio.channels = u8(p.data() + 13);
        track.audio.sample_rate_hz = be32(p.data() + 24);
      }
      break;
    }
    case fourcc("dac3"): {  // ETSI TS 102 366 annex F.4
      std::string_view p = content(bytes, box);
      if (p.size() >= 3) {
        static constexpr uint8_t kChannels[] = {2, 1, 2, 3, 3, 4, 4, 5};
        track.audio.channels = kChannels[u8(p.data() + 1) >> 3 & 7] + (u8(p.data() + 1) >> 2 & 1);
      }
      break;
    }
    default:
      break;
  }
}

std::string pcm_of_fourcc(uint32_t type, unsigned bits, bool little_endian) {
  switch (type) {
    case fourcc("sowt"):
      return pcm_name(bits == 8 ? 8 : 16, false, false, true);
    case fourcc("twos"):
      return pcm_name(bits ? bits : 16, false, true, true);
    case fourcc("raw "):
    case fourcc("NONE"):
      return bits == 16 ? "pcm_s16be" : "pcm_u8";
    case fourcc("in24"):
      return pcm_name(24, false, !little_endian, true);
    case fourcc("in32"):
      return pcm_name(32, false, !little_endian, true);
    case fourcc("fl32"):
      return pcm_name(32, true, !little_endian, true);
    case fourcc("fl64"):
      return pcm_name(64, true, !little_endian, true);
    default:
      return {};
  }
}

// ISO 14496-12 section 12.2.3 and the QuickTime versions 1 and 2 of it.
void read_audio_description(MediaBytes& bytes, const Mp4Box& entry, Mp4Track& track) {
  std::string_view p = bytes.at(entry.at, 28, "audio sample description");
  AudioStream& audio = track.audio;
  unsigned version = be16(p.data() + 8);
  unsigned bits = be16(p.data() + 18);
  audio.channels = be16(p.data() + 16);
  audio.sample_rate_hz = be32(p.data() + 24) >> 16;
  uint64_t extensions = entry.at + 28;
  bool little_endian = false, lpcm = false;
  if (version == 1) {
    extensions += 16;
  } else if (version == 2) {
    std::string_view v2 = bytes.at(extensions, 36, "audio sample description");
    double rate = std::bit_cast<double>(be64(v2.data() + 4));
    if (rate >= 1 && rate < 1e9) audio.sample_rate_hz = static_cast<uint32_t>(rate);
    audio.channels = be32(v2.data() + 12);
    bits = be32(v2.data() + 20);
    uint32_t flags = be32(v2.data() + 24);
    if (entry.type == fourcc("lpcm") && bits >= 8 && bits <= 64) {
      lpcm = true;
      audio.codec = pcm_name(bits, flags & 1, flags & 2, bits > 8 || (flags & 4));
    }
    extensions += 36;
  }
  std::string type = fourcc_text(entry.type);
  if (!lpcm) audio.codec = audio_codec_of_fourcc(type);
  if (extensions < entry.end)
    each_box(bytes, extensions, entry.end,
             [&](const Mp4Box& box) { read_audio_extension(bytes, box, track, little_endian); });
  if (audio.codec.empty()) audio.codec = pcm_of_fourcc(entry.type, bits, little_endian);
  if (audio.codec == "amr_nb" || audio.codec == "amr_wb") {  // fixed by 3GPP TS 26.101 and 26.201
    audio.channels = 1;
    audio.sample_rate_hz = audio.codec == "amr_nb" ? 8000 : 16000;
  }
  bool pcm = audio.codec.starts_with("pcm_");
  if (pcm) {
    // The name has the width that counts: a version 1 description of 24-bit samples still says 16.
    unsigned named = 0;
    for (char c : audio.codec.substr(4))
      if (c >= '0' && c <= '9') named = named * 10 + static_cast<unsigned>(c - '0');
    if (named) audio.bit_depth = named;
  }
  if (audio.channels == 0u) audio.channels.reset();
  if (audio.sample_rate_hz == 0u) audio.sample_rate_hz.reset();
}

// QuickTime File Format, "Timecode Media Sample Description".
void read_timecode_description(MediaBytes& bytes, const Mp4Box& entry, Mp4Track& track) {
  std::string_view p = bytes.at(entry.at, 26, "timecode description");
  track.drop_frame = be32(p.data() + 12) & 1;
  uint32_t scale = be32(p.data() + 16), frame = be32(p.data() + 20);
  track.frames_per_second = u8(p.data() + 24);
  if (track.frames_per_second == 0 && frame != 0)
    track.frames_per_second = static_cast<uint32_t>((uint64_t{scale} + frame - 1) / frame);
  each_box(bytes, entry.at + 26, entry.end, [&](const Mp4Box& box) {
    if (box.type != fourcc("name") || box.size() < 4) return;
    std::string_view name = content(bytes, box);
    track.reel = clean_text(name.substr(4, be16(name.data())), 255);
  });
}

void read_sample_descriptions(MediaBytes& bytes, const Mp4Box& stsd, Mp4Track& track) {
  if (stsd.size() < 16 || bytes.read_be32(stsd.at + 4, "stsd") == 0) return;
  Mp4Box entry = read_box(bytes, stsd.at + 8, stsd.end);  // the first one describes the track
  if (entry.end > stsd.end) corrupt("sample description runs over its box", entry.start);
  switch (track.handler) {
    case fourcc("vide"):
      read_video_description(bytes, entry, track);
      break;
    case fourcc("soun"):
      read_audio_description(bytes, entry, track);
      break;
    case fourcc("tmcd"):
      if (entry.type == fourcc("tmcd")) read_timecode_description(bytes, entry, track);
      break;
    default:
      break;
  }
}

void read_sample_table(MediaBytes& bytes, const Mp4Box& stbl, Mp4Track& track) {
  each_box(bytes, stbl.at, stbl.end, [&](const Mp4Box& box) {
    switch (box.type) {
      case fourcc("stsd"):
        read_sample_descriptions(bytes, box, track);
        break;
      case fourcc("stts"): {
        uint32_t entries = bytes.read_be32(box.at + 4, "stts");
        check_end(box.at + 8 + uint64_t{entries} * 8, box.end, "stts");
        if (entries > kTimeEntriesMax) break;
        uint64_t samples = 0, duration = 0;
        for (uint32_t i = 0; i < entries; ++i) {
          bytes.step("stts entries");
          std::string_view p = bytes.at(box.at + 8 + uint64_t{i} * 8, 8, "stts");
          uint64_t count = be32(p.data()), delta = be32(p.data() + 4);
          samples += count;
          // Negative in old files, as a 32-bit number: they shift one sample and mean next to nothing.
          if (delta <= INT32_MAX) duration += count * delta;
        }
        // 65536 entries of 2^32 * 2^31 could wrap: nonsense then, but defined.
        track.sample_count = std::max(track.sample_count, samples);
        track.sample_duration = duration;
        break;
      }
      case fourcc("stsz"):
      case fourcc("stz2"):
        if (box.size() >= 12) {
          uint32_t count = bytes.read_be32(box.at + 8, "stsz");
          if (track.sample_count == 0) track.sample_count = count;
        }
        break;
      case fourcc("stco"):
        if (box.size() >= 12 && bytes.read_be32(box.at + 4, "stco") > 0)
          track.first_chunk = bytes.read_be32(box.at + 8, "stco");
        break;
      case fourcc("co64"):
        if (box.size() >= 16 && bytes.read_be32(box.at + 4, "co64") > 0)
          track.first_chunk = bytes.read_be64(box.at + 8, "co64");
        break;
      default:
        break;
    }
  });
}

void read_media(MediaBytes& bytes, const Mp4Box& mdia, Mp4Track& track) {
  each_box(bytes, mdia.at, mdia.end, [&](const Mp4Box& box) {
    switch (box.type) {
      case fourcc("mdhd"): {
        bool wide = bytes.read_u8(box.at, "mdhd") == 1;
        std::string_view p = bytes.at(box.at, wide ? 36 : 24, "mdhd");
        track.timescale = be32(p.data() + (wide ? 20 : 12));
        track.duration = wide ? be64(p.data() + 24) : be32(p.data() + 16);
        if (track.duration == UINT64_MAX || (!wide && track.duration == UINT32_MAX)) track.duration = 0;
        track.language = language_text(be16(p.data() + (wide ? 32 : 20)));
        break;
      }
      case fourcc("hdlr"):
        track.handler = bytes.read_be32(box.at + 8, "hdlr");
        break;
      case fourcc("minf"):
        each_box(bytes, box.at, box.end, [&](const Mp4Box& inner) {
          if (inner.type == fourcc("stbl")) read_sample_table(bytes, inner, track);
        });
        break;
      default:
        break;
    }
  });
}

// tkhd: ISO 14496-12 section 8.3.2. The matrix turns the picture clockwise.
void read_track_header(MediaBytes& bytes, const Mp4Box& box, Mp4Track& track) {
  bool wide = bytes.read_u8(box.at, "tkhd") == 1;
  std::string_view p = bytes.at(box.at, wide ? 96 : 84, "tkhd");
  track.id = be32(p.data() + (wide ? 20 : 12));
  const char* matrix = p.data() + (wide ? 52 : 40);
  auto a = static_cast<int32_t>(be32(matrix)), b = static_cast<int32_t>(be32(matrix + 4));
  auto c = static_cast<int32_t>(be32(matrix + 12)), d = static_cast<int32_t>(be32(matrix + 16));
  if (b == 0 && c == 0)
    track.video.rotation = a < 0 && d < 0 ? 180 : 0;
  else if (a == 0 && d == 0)
    track.video.rotation = b > 0 && c < 0 ? 90 : b < 0 && c > 0 ? 270 : 0;
  uint32_t width = be32(p.data() + (wide ? 88 : 76)) >> 16, height = be32(p.data() + (wide ? 92 : 80)) >> 16;
  if (width && height) {  // until the sample description says better
    track.video.resolution_x = width;
    track.video.resolution_y = height;
  }
}

}  // namespace

void read_track(MediaBytes& bytes, const Mp4Box& trak, Mp4Track& track) {
  each_box(bytes, trak.at, trak.end, [&](const Mp4Box& box) {
    if (box.type == fourcc("tkhd")) read_track_header(bytes, box, track);
    if (box.type == fourcc("mdia")) read_media(bytes, box, track);
  });
  if (track.timescale == 0) return;
  uint64_t duration = track.duration ? track.duration : track.sample_duration;
  if (duration) track.audio.duration_s = static_cast<double>(duration) / track.timescale;
  track.audio.language = track.language;
}

std::string timecode_of_frame(uint32_t frame, uint32_t frames_per_second, bool drop_frame) {
  uint64_t number = frame;
  uint64_t fps = frames_per_second;
  if (drop_frame && fps % 30 == 0 && fps <= 240) {
    // Two numbers of 30 are left out each minute but the tenth.
    uint64_t dropped = fps / 15, per_10_minutes = fps * 600 - 9 * dropped, per_minute = fps * 60 - dropped;
    uint64_t tens = number / per_10_minutes, rest = number % per_10_minutes;
    number += 9 * dropped * tens;
    if (rest >= dropped) number += dropped * ((rest - dropped) / per_minute);
  }
  uint64_t seconds = number / fps;
  return timecode_text(static_cast<unsigned>(seconds / 3600 % 24), static_cast<unsigned>(seconds / 60 % 60),
                       static_cast<unsigned>(seconds % 60), static_cast<unsigned>(number % fps), drop_frame);
}

}  // namespace millrace::scan
