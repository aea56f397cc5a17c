#include "workloads/scan/video_parameters.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "workloads/scan/bit_reader.h"
#include "workloads/scan/video_codecs.h"

namespace millrace::scan {
namespace {

constexpr std::string_view kChromas[] = {"4:0:0", "4:2:0", "4:2:2", "4:4:4"};

// Without the bytes that keep start codes out of a NAL unit.
std::string unescaped(std::string_view nal) {
  std::string out;
  nal = nal.substr(0, 2048);
  for (size_t i = 0; i < nal.size(); ++i) {
    if (i >= 2 && nal[i] == 3 && nal[i - 1] == 0 && nal[i - 2] == 0) continue;
    out += nal[i];
  }
  return out;
}

void set_size(VideoFacts& facts, uint64_t width, uint64_t height) {
  if (facts.resolution_x || width == 0 || height == 0 || width > 65535 || height > 65535) return;
  facts.resolution_x = static_cast<uint32_t>(width);
  facts.resolution_y = static_cast<uint32_t>(height);
}

void set_rate(VideoFacts& facts, uint64_t num, uint64_t den) {
  if (facts.fps || num == 0 || den == 0 || num / den > 1000) return;
  // Some encoders write 29.97 for what is 30000/1001.
  double ntsc = static_cast<double>(num) / static_cast<double>(den) * 1.001;
  if (den != 1001 && std::abs(ntsc - std::round(ntsc)) < 1e-4 && std::round(ntsc) >= 1)
    num = static_cast<uint64_t>(std::llround(ntsc)) * 1000, den = 1001;
  facts.fps = reduced(static_cast<int64_t>(num), static_cast<int64_t>(den));
}

// The parts of the VUI that H.264 (annex E.1.1) and H.265 (annex E.2.1) share: shape and colours.
void read_vui_head(Bits& bits, VideoFacts& facts) {
  if (bits.get(1)) {  // aspect ratio
    static constexpr uint8_t kAspects[17][2] = {{0, 0},   {1, 1},    {12, 11}, {10, 11}, {16, 11}, {40, 33},
                                                {24, 11}, {20, 11},  {32, 11}, {80, 33}, {18, 11}, {15, 11},
                                                {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1}};
    uint32_t code = bits.get(8), x = 0, y = 0;
    if (code == 255) {
      x = bits.get(16);
      y = bits.get(16);
    } else if (code < 17) {
      x = kAspects[code][0];
      y = kAspects[code][1];
    }
    if (x && y && !bits.over() && !facts.sample_aspect) facts.sample_aspect = reduced(x, y);
  }
  if (bits.get(1)) bits.get(1);  // overscan
  if (bits.get(1)) {             // video signal type
    bits.get(3);
    bool full = bits.get(1);
    unsigned primaries = 2, transfer = 2, matrix = 2;
    if (bits.get(1)) {
      primaries = bits.get(8);
      transfer = bits.get(8);
      matrix = bits.get(8);
    }
    if (bits.over()) return;
    if (facts.color_range.empty()) facts.color_range = full ? "pc" : "tv";
    set_color_codes(facts, primaries, transfer, matrix);
  }
  if (bits.get(1)) {  // place of chroma samples
    bits.exp_golomb();
    bits.exp_golomb();
  }
}

void skip_h264_scaling_list(Bits& bits, unsigned size) {
  int last = 8, next = 8;
  for (unsigned i = 0; i < size && !bits.over(); ++i) {
    if (next != 0) {
      uint32_t code = bits.exp_golomb();
      int delta = code & 1 ? static_cast<int>(code / 2 + 1) : -static_cast<int>(code / 2);
      next = (last + delta % 256 + 256) % 256;
    }
    last = next == 0 ? last : next;
  }
}

void skip_hevc_scaling_lists(Bits& bits) {
  for (unsigned size = 0; size < 4; ++size)
    for (unsigned matrix = 0; matrix < 6 && !bits.over(); matrix += size == 3 ? 3 : 1) {
      if (!bits.get(1)) {
        bits.exp_golomb();
        continue;
      }
      if (size > 1) bits.exp_golomb();
      for (unsigned i = 0, n = std::min(64u, 1u << (4 + 2 * size)); i < n; ++i) bits.exp_golomb();
    }
}

// Section 7.3.7 of H.265; false when it makes no sense. A set may be told as changes to the one before it.
bool skip_hevc_reference_sets(Bits& bits) {
  uint32_t sets = bits.exp_golomb();
  if (sets > 64) return false;
  uint32_t pictures = 0;  // of the set before
  for (uint32_t set = 0; set < sets; ++set) {
    if (set > 0 && bits.get(1)) {
      bits.get(1);
      bits.exp_golomb();
      uint32_t kept = 0;
      for (uint32_t i = 0; i <= pictures; ++i)
        if (bits.get(1) || bits.get(1)) ++kept;
      pictures = kept;
    } else {
      uint32_t before = bits.exp_golomb(), after = bits.exp_golomb();
      if (before > 16 || after > 16) return false;
      pictures = before + after;
      for (uint32_t i = 0; i < pictures; ++i) {
        bits.exp_golomb();
        bits.get(1);
      }
    }
    if (bits.over()) return false;
  }
  return true;
}

constexpr Rational kMpegRates[] = {{0, 1},  {24000, 1001}, {24, 1},       {25, 1}, {30000, 1001},
                                   {30, 1}, {50, 1},       {60000, 1001}, {60, 1}};

// Sequence header and its extensions, ISO 13818-2 sections 6.2.2.1 and 6.2.2.3; 11172-2 for MPEG-1.
void read_mpeg_sequence(std::string_view data, VideoFacts& facts) {
  Bits bits(data);
  uint32_t width = bits.get(12), height = bits.get(12), aspect = bits.get(4), rate = bits.get(4);
  if (bits.over()) return;
  set_size(facts, width, height);
  if (rate > 0 && rate < std::size(kMpegRates) && !facts.fps) facts.fps = kMpegRates[rate];
  facts.chroma = "4:2:0";
  facts.bit_depth = 8;
  static constexpr Rational kShapes[] = {{0, 1}, {1, 1}, {4, 3}, {16, 9}, {221, 100}};
  if (facts.codec == "mpeg1video" || facts.sample_aspect || width == 0 || height == 0) return;
  if (aspect == 1)
    facts.sample_aspect = Rational{1, 1};
  else if (aspect > 1 && aspect < std::size(kShapes))
    facts.sample_aspect = reduced(kShapes[aspect].num * height, kShapes[aspect].den * width);
}

void read_mpeg_extension(std::string_view data, VideoFacts& facts) {
  Bits bits(data);
  switch (bits.get(4)) {
    case 1: {
      uint32_t escape = bits.get(1), profile = bits.get(3);
      bits.get(4);
      bits.get(1);
      uint32_t chroma = bits.get(2);
      uint32_t width_high = bits.get(2), height_high = bits.get(2);
      bits.get(12 + 1 + 8 + 1);
      uint32_t num = bits.get(2) + 1, den = bits.get(5) + 1;
      if (bits.over()) return;
      static constexpr std::string_view kProfiles[] = {
          "", "High", "Spatially Scalable", "SNR Scalable", "Main", "Simple", "", ""};
      if (facts.profile.empty()) facts.profile = escape ? "4:2:2" : kProfiles[profile];
      if (chroma) facts.chroma = kChromas[chroma];
      if (facts.resolution_x) facts.resolution_x = (*facts.resolution_x & 0xFFF) | width_high << 12;
      if (facts.resolution_y) facts.resolution_y = (*facts.resolution_y & 0xFFF) | height_high << 12;
      if (facts.fps && (num > 1 || den > 1)) facts.fps = reduced(facts.fps->num * num, facts.fps->den * den);
      break;
    }
    case 2:
      bits.get(3);
      if (bits.get(1)) {
        unsigned primaries = bits.get(8), transfer = bits.get(8), matrix = bits.get(8);
        if (!bits.over()) set_color_codes(facts, primaries, transfer, matrix);
      }
      break;
    default:
      break;
  }
}

// Video object layer, ISO 14496-2 section 6.2.3.
void read_mpeg4_layer(std::string_view data, VideoFacts& facts) {
  Bits bits(data);
  bits.get(1 + 8);
  uint32_t version = 1;
  if (bits.get(1)) {
    version = bits.get(4);
    bits.get(3);
  }
  uint32_t aspect = bits.get(4), x = 0, y = 0;
  static constexpr uint8_t kAspects[][2] = {{0, 0}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}};
  if (aspect == 15) {
    x = bits.get(8);
    y = bits.get(8);
  } else if (aspect < std::size(kAspects)) {
    x = kAspects[aspect][0];
    y = kAspects[aspect][1];
  }
  if (bits.get(1)) {
    bits.get(3);
    if (bits.get(1)) {
      bits.get(32);
      bits.get(32);
      bits.get(15);
    }
  }
  uint32_t shape = bits.get(2);
  if (shape == 3 && version != 1) bits.get(4);
  bits.get(1);
  uint32_t ticks = bits.get(16);
  bits.get(1);
  if (bits.get(1)) {
    unsigned width = 1;
    while (width < 16 && ticks > (1u << width)) ++width;
    set_rate(facts, ticks, bits.get(width));
  }
  if (shape == 0) {
    bits.get(1);
    uint32_t width = bits.get(13);
    bits.get(1);
    uint32_t height = bits.get(13);
    if (!bits.over()) set_size(facts, width, height);
  }
  if (bits.over()) return;
  if (x && y && !facts.sample_aspect) facts.sample_aspect = reduced(x, y);
  facts.chroma = "4:2:0";
  facts.bit_depth = 8;
}

}  // namespace

std::string_view chroma_name(unsigned idc) { return kChromas[idc & 3]; }

bool is_high_h264_profile(unsigned profile) {
  for (unsigned p : {100u, 110u, 122u, 244u, 44u, 83u, 86u, 118u, 128u, 138u, 139u, 134u, 135u})
    if (p == profile) return true;
  return false;
}

std::string_view h264_profile_name(unsigned profile, unsigned constraints) {
  switch (profile) {
    case 66:
      return constraints & 0x40 ? "Constrained Baseline" : "Baseline";
    case 77:
      return "Main";
    case 88:
      return "Extended";
    case 100:
      return "High";
    case 110:
      return constraints & 0x10 ? "High 10 Intra" : "High 10";
    case 122:
      return constraints & 0x10 ? "High 4:2:2 Intra" : "High 4:2:2";
    case 144:
      return "High 4:4:4";
    case 244:
      return constraints & 0x10 ? "High 4:4:4 Intra" : "High 4:4:4 Predictive";
    default:
      return {};
  }
}

void read_h264_sps(std::string_view nal, VideoFacts& facts) {
  if (nal.size() < 5) return;
  std::string payload = unescaped(nal.substr(1));
  Bits bits(payload);
  unsigned profile = bits.get(8), constraints = bits.get(8);
  bits.get(8);
  if (facts.profile.empty()) facts.profile = h264_profile_name(profile, constraints);
  bits.exp_golomb();
  uint32_t chroma = 1, depth = 8;
  if (is_high_h264_profile(profile)) {
    chroma = bits.exp_golomb();
    if (chroma == 3) bits.get(1);
    depth = bits.exp_golomb() + 8;
    bits.exp_golomb();
    bits.get(1);
    if (bits.get(1))
      for (unsigned i = 0; i < (chroma == 3 ? 12u : 8u); ++i)
        if (bits.get(1)) skip_h264_scaling_list(bits, i < 6 ? 16 : 64);
  }
  if (bits.over() || chroma > 3 || depth > 14) return;
  facts.chroma = kChromas[chroma];
  facts.bit_depth = depth;
  bits.exp_golomb();  // log2_max_frame_num
  uint32_t order = bits.exp_golomb();
  if (order == 0) {
    bits.exp_golomb();
  } else if (order == 1) {
    bits.get(1);
    bits.exp_golomb();
    bits.exp_golomb();
    uint32_t cycle = bits.exp_golomb();
    for (uint32_t i = 0; i < cycle && i < 256 && !bits.over(); ++i) bits.exp_golomb();
  }
  bits.exp_golomb();  // max_num_ref_frames
  bits.get(1);
  uint64_t width = (uint64_t{bits.exp_golomb()} + 1) * 16, height = (uint64_t{bits.exp_golomb()} + 1) * 16;
  bool frames_only = bits.get(1);
  if (!frames_only) {
    bits.get(1);
    height *= 2;
  }
  bits.get(1);
  if (bits.get(1)) {  // cropping, in units of chroma samples
    uint64_t left = bits.exp_golomb(), right = bits.exp_golomb(), top = bits.exp_golomb(),
             bottom = bits.exp_golomb();
    uint64_t across = (left + right) * (chroma == 1 || chroma == 2 ? 2 : 1);
    uint64_t down = (top + bottom) * (chroma == 1 ? 2 : 1) * (frames_only ? 1 : 2);
    width -= std::min(width, across);
    height -= std::min(height, down);
  }
  if (bits.over()) return;
  set_size(facts, width, height);
  if (!bits.get(1)) return;
  read_vui_head(bits, facts);
  if (!bits.get(1)) return;
  uint64_t units = bits.get(32), scale = bits.get(32);
  if (!bits.over()) set_rate(facts, scale, units * 2);
}

void read_hevc_sps(std::string_view nal, VideoFacts& facts) {
  if (nal.size() < 16) return;
  std::string payload = unescaped(nal.substr(2));
  Bits bits(payload);
  bits.get(4);
  uint32_t layers = bits.get(3);
  bits.get(1);
  bits.get(3);
  static constexpr const char* kProfiles[] = {"", "Main", "Main 10", "Main Still Picture", "Rext"};
  uint32_t profile = bits.get(5);
  if (profile < std::size(kProfiles) && facts.profile.empty()) facts.profile = kProfiles[profile];
  for (int i = 0; i < 11; ++i) bits.get(8);  // compatibility, constraints, level
  uint32_t there = 0;
  for (uint32_t i = 0; i < (layers ? 8 : 0); ++i) {
    uint32_t flags = bits.get(2);
    if (i < layers) there = there << 2 | flags;
  }
  for (uint32_t i = 0; i < layers; ++i) {
    uint32_t flags = there >> 2 * (layers - 1 - i) & 3;
    for (uint32_t n = (flags & 2 ? 11 : 0) + (flags & 1); n > 0; --n) bits.get(8);
  }
  bits.exp_golomb();
  uint32_t chroma = bits.exp_golomb();
  if (chroma > 3) return;
  if (chroma == 3) bits.get(1);
  uint64_t width = bits.exp_golomb(), height = bits.exp_golomb();
  if (bits.get(1)) {
    uint64_t left = bits.exp_golomb(), right = bits.exp_golomb(), top = bits.exp_golomb(),
             bottom = bits.exp_golomb();
    width -= std::min(width, (left + right) * (chroma == 1 || chroma == 2 ? 2 : 1));
    height -= std::min(height, (top + bottom) * (chroma == 1 ? 2 : 1));
  }
  uint32_t depth = bits.exp_golomb() + 8;
  bits.exp_golomb();
  if (bits.over() || depth > 16) return;
  facts.chroma = kChromas[chroma];
  facts.bit_depth = depth;
  set_size(facts, width, height);
  uint32_t order_bits = bits.exp_golomb() + 4;
  if (order_bits > 16) return;
  bool each = bits.get(1);
  for (uint32_t i = each ? 0 : layers; i <= layers; ++i)
    for (int n = 0; n < 3; ++n) bits.exp_golomb();
  for (int n = 0; n < 6; ++n) bits.exp_golomb();
  if (bits.get(1) && bits.get(1)) skip_hevc_scaling_lists(bits);
  bits.get(2);
  if (bits.get(1)) {  // uncoded blocks
    bits.get(8);
    bits.exp_golomb();
    bits.exp_golomb();
    bits.get(1);
  }
  if (!skip_hevc_reference_sets(bits)) return;
  if (bits.get(1)) {
    uint32_t count = bits.exp_golomb();
    if (count > 32) return;
    for (uint32_t i = 0; i < count; ++i) bits.get(order_bits + 1);
  }
  bits.get(2);
  if (!bits.get(1)) return;
  read_vui_head(bits, facts);
  bits.get(3);
  if (bits.get(1))
    for (int n = 0; n < 4; ++n) bits.exp_golomb();
  if (!bits.get(1)) return;
  uint64_t units = bits.get(32), scale = bits.get(32);
  if (!bits.over()) set_rate(facts, scale, units);
}

bool read_coded_video(std::string_view stream, std::string_view codec, VideoFacts& facts) {
  bool found = false;
  for (size_t at = stream.find("\0\0\1", 0, 3); at != std::string_view::npos;
       at = stream.find("\0\0\1", at + 3, 3)) {
    if (at + 4 >= stream.size()) break;
    std::string_view unit = stream.substr(at + 3);
    unit = unit.substr(0, unit.find(std::string_view("\0\0\1", 3)));
    if (unit.size() < 2) continue;
    unsigned code = u8(unit.data());
    if (codec == "h264" && (code & 0x1F) == 7) {
      read_h264_sps(unit, facts);
      return true;
    }
    if (codec == "hevc" && (code >> 1 & 0x3F) == 33) {
      read_hevc_sps(unit, facts);
      return true;
    }
    if (codec == "mpeg1video" || codec == "mpeg2video") {
      if (code == 0xB3 && !found) {
        read_mpeg_sequence(unit.substr(1), facts);
        found = true;
      } else if (code == 0xB5 && found) {
        read_mpeg_extension(unit.substr(1), facts);
      } else if (code == 0 && found) {
        break;  // the first picture
      }
    }
    if (codec == "mpeg4") {
      if (code == 0xB0 && facts.profile.empty()) {
        unsigned level = u8(unit.data() + 1);
        if (level <= 0x0F) facts.profile = "Simple Profile";
        if (level >= 0xF0) facts.profile = "Advanced Simple Profile";
      } else if (code >= 0x20 && code <= 0x2F) {
        read_mpeg4_layer(unit.substr(1), facts);
        return true;
      }
    }
  }
  return found;
}

}  // namespace millrace::scan
