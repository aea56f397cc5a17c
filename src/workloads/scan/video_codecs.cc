#include "workloads/scan/video_codecs.h"

#include <algorithm>
#include <iterator>

#include "base/strings.h"
#include "workloads/scan/bit_reader.h"
#include "workloads/scan/media_color.h"
#include "workloads/scan/video_parameters.h"

namespace millrace::scan {
namespace {

struct CodecRow {
  std::string_view id;
  std::string_view codec;
};

constexpr CodecRow kVideoFourccs[] = {
    {"avc1", "h264"},       {"avc2", "h264"},       {"avc3", "h264"},       {"avc4", "h264"},
    {"h264", "h264"},       {"H264", "h264"},       {"x264", "h264"},       {"X264", "h264"},
    {"dva1", "h264"},       {"dvav", "h264"},       {"rv64", "h264"},       {"ai5p", "h264"},
    {"ai5q", "h264"},       {"ai52", "h264"},       {"ai53", "h264"},       {"ai55", "h264"},
    {"ai56", "h264"},       {"ai1p", "h264"},       {"ai1q", "h264"},       {"ai12", "h264"},
    {"ai13", "h264"},       {"ai15", "h264"},       {"ai16", "h264"},       {"AVin", "h264"},
    {"hvc1", "hevc"},       {"hev1", "hevc"},       {"dvh1", "hevc"},       {"dvhe", "hevc"},
    {"vvc1", "vvc"},        {"vvi1", "vvc"},        {"av01", "av1"},        {"vp08", "vp8"},
    {"VP80", "vp8"},        {"vp09", "vp9"},        {"VP90", "vp9"},        {"mp4v", "mpeg4"},
    {"DIVX", "mpeg4"},      {"XVID", "mpeg4"},      {"xvid", "mpeg4"},      {"DX50", "mpeg4"},
    {"3IV2", "mpeg4"},      {"FMP4", "mpeg4"},      {"apch", "prores"},     {"apcn", "prores"},
    {"apcs", "prores"},     {"apco", "prores"},     {"ap4h", "prores"},     {"ap4x", "prores"},
    {"aprn", "prores_raw"}, {"aprh", "prores_raw"}, {"AVdn", "dnxhd"},      {"AVdh", "dnxhd"},
    {"jpeg", "mjpeg"},      {"mjpa", "mjpeg"},      {"AVDJ", "mjpeg"},      {"AVRn", "mjpeg"},
    {"dmb1", "mjpeg"},      {"MJPG", "mjpeg"},      {"mjpb", "mjpegb"},     {"png ", "png"},
    {"MPNG", "png"},        {"rle ", "qtrle"},      {"SVQ1", "svq1"},       {"svq1", "svq1"},
    {"svqi", "svq1"},       {"SVQ3", "svq3"},       {"cvid", "cinepak"},    {"rpza", "rpza"},
    {"smc ", "smc"},        {"s263", "h263"},       {"h263", "h263"},       {"H263", "h263"},
    {"dvc ", "dvvideo"},    {"dvcp", "dvvideo"},    {"dvpp", "dvvideo"},    {"dv5n", "dvvideo"},
    {"dv5p", "dvvideo"},    {"dvhp", "dvvideo"},    {"dvh2", "dvvideo"},    {"dvh3", "dvvideo"},
    {"dvh4", "dvvideo"},    {"dvh5", "dvvideo"},    {"dvh6", "dvvideo"},    {"dvhq", "dvvideo"},
    {"v210", "v210"},       {"v308", "v308"},       {"v408", "v408"},       {"v410", "v410"},
    {"R10k", "r10k"},       {"r210", "r210"},       {"raw ", "rawvideo"},   {"2vuy", "rawvideo"},
    {"2Vuy", "rawvideo"},   {"yuvs", "rawvideo"},   {"yuv2", "rawvideo"},   {"yv12", "rawvideo"},
    {"I420", "rawvideo"},   {"b48r", "rawvideo"},   {"b16g", "rawvideo"},   {"b64a", "rawvideo"},
    {"mjp2", "jpeg2000"},   {"CFHD", "cfhd"},       {"Hap1", "hap"},        {"Hap5", "hap"},
    {"HapY", "hap"},        {"HapA", "hap"},        {"HapM", "hap"},        {"Hap7", "hap"},
    {"mp1v", "mpeg1video"}, {"m1v ", "mpeg1video"}, {"mpeg", "mpeg1video"}, {"m2v1", "mpeg2video"},
    {"mp2v", "mpeg2video"}, {"hdv1", "mpeg2video"}, {"hdv2", "mpeg2video"}, {"hdv3", "mpeg2video"},
    {"hdv5", "mpeg2video"}, {"hdv6", "mpeg2video"}, {"mx5n", "mpeg2video"}, {"mx5p", "mpeg2video"},
    {"mx4n", "mpeg2video"}, {"mx4p", "mpeg2video"}, {"mx3n", "mpeg2video"}, {"mx3p", "mpeg2video"},
    {"xdv1", "mpeg2video"}, {"xdv2", "mpeg2video"}, {"xdv3", "mpeg2video"}, {"xdv6", "mpeg2video"},
    {"xdvb", "mpeg2video"}, {"xd54", "mpeg2video"}, {"xd55", "mpeg2video"}, {"xd59", "mpeg2video"},
    {"xd5a", "mpeg2video"}, {"xd5b", "mpeg2video"}, {"xd5c", "mpeg2video"}, {"xd5d", "mpeg2video"},
    {"xd5e", "mpeg2video"}, {"xd5f", "mpeg2video"}, {"gif ", "gif"},        {"tiff", "tiff"},
    {"8BPS", "8bps"},       {"icod", "aic"},        {"WRLE", "msrle"},      {"IV32", "indeo3"},
    {"IV41", "indeo4"},     {"IV50", "indeo5"},     {"FFV1", "ffv1"},       {"MAGY", "magicyuv"},
    {"drac", "dirac"},      {"vc-1", "vc1"},        {"WMV3", "wmv3"},       {"FPS1", "fraps"},
    {"ULRG", "utvideo"},    {"HFYU", "huffyuv"},    {"FFVH", "ffvhuff"},    {"theo", "theora"},
};

constexpr CodecRow kAudioFourccs[] = {
    {"mp4a", "aac"},          {"ac-3", "ac3"},
    {"sac3", "ac3"},          {"ec-3", "eac3"},
    {"Opus", "opus"},         {"fLaC", "flac"},
    {"alac", "alac"},         {".mp3", "mp3"},
    {"mp3 ", "mp3"},          {std::string_view("ms\0U", 4), "mp3"},
    {"samr", "amr_nb"},       {"sawb", "amr_wb"},
    {"ulaw", "pcm_mulaw"},    {"alaw", "pcm_alaw"},
    {"ima4", "adpcm_ima_qt"}, {"MAC3", "mace3"},
    {"MAC6", "mace6"},        {"QDM2", "qdm2"},
    {"QDMC", "qdmc"},         {"agsm", "gsm"},
    {"dtsc", "dts"},          {"dtsh", "dts"},
    {"dtsl", "dts"},          {"dtse", "dts"},
    {"DTS ", "dts"},          {"mlpa", "truehd"},
    {"Qclp", "qcelp"},        {"sqcp", "qcelp"},
    {"sevc", "evrc"},         {"ac-4", "ac4"},
};

constexpr CodecRow kMatroskaCodecs[] = {
    {"V_MPEG4/ISO/AVC", "h264"},
    {"V_MPEGH/ISO/HEVC", "hevc"},
    {"V_AV1", "av1"},
    {"V_VP8", "vp8"},
    {"V_VP9", "vp9"},
    {"V_MPEG4/ISO/ASP", "mpeg4"},
    {"V_MPEG4/ISO/SP", "mpeg4"},
    {"V_MPEG4/ISO/AP", "mpeg4"},
    {"V_MPEG4/MS/V3", "msmpeg4v3"},
    {"V_MPEG2", "mpeg2video"},
    {"V_MPEG1", "mpeg1video"},
    {"V_THEORA", "theora"},
    {"V_PRORES", "prores"},
    {"V_FFV1", "ffv1"},
    {"V_MJPEG", "mjpeg"},
    {"V_UNCOMPRESSED", "rawvideo"},
    {"V_DIRAC", "dirac"},
    {"V_SNOW", "snow"},
    {"V_REAL/RV10", "rv10"},
    {"V_REAL/RV20", "rv20"},
    {"V_REAL/RV30", "rv30"},
    {"V_REAL/RV40", "rv40"},
    {"A_AC3", "ac3"},
    {"A_EAC3", "eac3"},
    {"A_DTS", "dts"},
    {"A_TRUEHD", "truehd"},
    {"A_MLP", "mlp"},
    {"A_OPUS", "opus"},
    {"A_VORBIS", "vorbis"},
    {"A_FLAC", "flac"},
    {"A_MPEG/L3", "mp3"},
    {"A_MPEG/L2", "mp2"},
    {"A_MPEG/L1", "mp1"},
    {"A_ALAC", "alac"},
    {"A_WAVPACK4", "wavpack"},
    {"A_TTA1", "tta"},
};

// Only what video for Windows names otherwise than QuickTime; in capital letters.
constexpr CodecRow kRiffFourccs[] = {
    {"DIV3", "msmpeg4v3"},  {"DIV4", "msmpeg4v3"},  {"DIV5", "msmpeg4v3"},  {"DIV6", "msmpeg4v3"},
    {"MP43", "msmpeg4v3"},  {"MPG3", "msmpeg4v3"},  {"AP41", "msmpeg4v3"},  {"MP42", "msmpeg4v2"},
    {"DIV2", "msmpeg4v2"},  {"MPG4", "msmpeg4v1"},  {"MP41", "msmpeg4v1"},  {"WMV1", "wmv1"},
    {"WMV2", "wmv2"},       {"WMV3", "wmv3"},       {"WVC1", "vc1"},        {"WMVA", "vc1"},
    {"MSS1", "mss1"},       {"MSS2", "mss2"},       {"DVSD", "dvvideo"},    {"DVHD", "dvvideo"},
    {"DVSL", "dvvideo"},    {"DV25", "dvvideo"},    {"DV50", "dvvideo"},    {"CDVC", "dvvideo"},
    {"MPG1", "mpeg1video"}, {"MPG2", "mpeg2video"}, {"MPEG", "mpeg2video"}, {"MSVC", "msvideo1"},
    {"CRAM", "msvideo1"},   {"TSCC", "tscc"},       {"TSC2", "tscc2"},      {"LAGS", "lagarith"},
    {"ULRA", "utvideo"},    {"ULY0", "utvideo"},    {"ULY2", "utvideo"},    {"ULY4", "utvideo"},
    {"ULH0", "utvideo"},    {"ULH2", "utvideo"},    {"ULH4", "utvideo"},    {"YUY2", "rawvideo"},
    {"UYVY", "rawvideo"},   {"IYUV", "rawvideo"},   {"Y800", "rawvideo"},   {"MJ2C", "jpeg2000"},
    {"LJPG", "mjpeg"},      {"VP31", "vp3"},        {"VP60", "vp6"},        {"VP61", "vp6"},
    {"VP62", "vp6"},        {"VP6F", "vp6f"},       {"M4S2", "mpeg4"},      {"RMP4", "mpeg4"},
    {"BLZ0", "mpeg4"},      {"MP4V", "mpeg4"},      {"MP4S", "mpeg4"},      {"HEVC", "hevc"},
    {"H265", "hevc"},       {"FLV1", "flv1"},       {"ZLIB", "zlib"},       {"MSZH", "mszh"},
    {"CSCD", "cscd"},       {"ZMBV", "zmbv"},       {"IV31", "indeo3"},     {"M8RG", "magicyuv"},
    {"M8RA", "magicyuv"},   {"M8Y0", "magicyuv"},   {"M8Y2", "magicyuv"},   {"M8Y4", "magicyuv"},
    {"MRLE", "msrle"},
};

template <size_t N>
std::string_view look_up(const CodecRow (&rows)[N], std::string_view id) {
  for (const CodecRow& row : rows)
    if (row.id == id) return row.codec;
  return {};
}

}  // namespace

std::string_view video_codec_of_fourcc(std::string_view fourcc) { return look_up(kVideoFourccs, fourcc); }
std::string_view video_codec_of_riff(std::string_view fourcc) {
  if (fourcc == std::string_view("\0\0\0\0", 4) || fourcc == "DIB ") return "rawvideo";
  if (fourcc == std::string_view("\1\0\0\0", 4)) return "msrle";
  std::string upper(fourcc);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  if (std::string_view codec = look_up(kRiffFourccs, upper); !codec.empty()) return codec;
  if (std::string_view codec = look_up(kVideoFourccs, fourcc); !codec.empty()) return codec;
  if (std::string_view codec = look_up(kVideoFourccs, upper); !codec.empty()) return codec;
  return look_up(kVideoFourccs, base::to_lower(fourcc));
}
std::string_view audio_codec_of_fourcc(std::string_view fourcc) { return look_up(kAudioFourccs, fourcc); }

std::string_view codec_of_object_type(unsigned object_type) {
  switch (object_type) {
    case 0x20:
      return "mpeg4";
    case 0x21:
      return "h264";
    case 0x23:
      return "hevc";
    case 0x40:
    case 0x66:
    case 0x67:
    case 0x68:
      return "aac";
    case 0x60:
    case 0x61:
    case 0x62:
    case 0x63:
    case 0x64:
    case 0x65:
      return "mpeg2video";
    case 0x69:
    case 0x6B:
      return "mp3";
    case 0x6A:
      return "mpeg1video";
    case 0x6C:
      return "mjpeg";
    case 0x6D:
      return "png";
    case 0x6E:
      return "jpeg2000";
    case 0xA3:
      return "vc1";
    case 0xA5:
      return "ac3";
    case 0xA6:
      return "eac3";
    case 0xA9:
      return "dts";
    case 0xAD:
      return "opus";
    case 0xDD:
      return "vorbis";
    default:
      return {};
  }
}

std::string_view codec_of_matroska(std::string_view codec_id) {
  if (codec_id.starts_with("A_AAC")) return "aac";
  if (codec_id.starts_with("A_DTS")) return "dts";
  if (codec_id.starts_with("A_AC3")) return "ac3";
  return look_up(kMatroskaCodecs, codec_id);
}

std::string pcm_name(unsigned bits, bool is_float, bool big_endian, bool is_signed) {
  std::string name = "pcm_";
  name += is_float ? 'f' : is_signed ? 's' : 'u';
  name += std::to_string(bits);
  if (bits > 8) name += big_endian ? "be" : "le";
  return name;
}

std::string_view prores_profile(std::string_view fourcc) {
  static constexpr CodecRow kProfiles[] = {{"apco", "Proxy"}, {"apcs", "LT"},   {"apcn", "Standard"},
                                           {"apch", "HQ"},    {"ap4h", "4444"}, {"ap4x", "XQ"}};
  return look_up(kProfiles, fourcc);
}

void set_color_codes(VideoFacts& facts, unsigned primaries, unsigned transfer, unsigned matrix) {
  if (facts.color_primaries.empty()) facts.color_primaries = color_primaries_name(primaries);
  if (facts.color_transfer.empty()) facts.color_transfer = color_transfer_name(transfer);
  if (facts.color_matrix.empty()) facts.color_matrix = color_matrix_name(matrix);
}

void read_avc_config(std::string_view record, VideoFacts& facts) {
  if (record.size() < 7 || record[0] != 1) return;
  unsigned profile = u8(record.data() + 1), constraints = u8(record.data() + 2);
  facts.profile = h264_profile_name(profile, constraints);
  if (!is_high_h264_profile(profile)) {
    facts.chroma = "4:2:0";
    facts.bit_depth = 8;
  }
  if ((u8(record.data() + 5) & 31) == 0 || record.size() < 8) return;
  size_t length = be16(record.data() + 6);
  read_h264_sps(record.substr(8, length), facts);
}

void read_hevc_config(std::string_view record, VideoFacts& facts) {
  if (record.size() < 23) return;
  static constexpr const char* kProfiles[] = {"", "Main", "Main 10", "Main Still Picture", "Rext"};
  unsigned profile = u8(record.data() + 1) & 31;
  if (profile < std::size(kProfiles)) facts.profile = kProfiles[profile];
  facts.chroma = chroma_name(u8(record.data() + 16) & 3);
  facts.bit_depth = (u8(record.data() + 17) & 7) + 8u;
  size_t at = 23;
  for (unsigned arrays = u8(record.data() + 22); arrays > 0 && at + 3 <= record.size(); --arrays) {
    unsigned type = u8(record.data() + at) & 0x3F, units = be16(record.data() + at + 1);
    at += 3;
    for (; units > 0 && at + 2 <= record.size(); --units) {
      size_t length = be16(record.data() + at);
      if (type == 33) return read_hevc_sps(record.substr(at + 2, length), facts);
      at += 2 + length;
    }
  }
}

void read_av1_config(std::string_view record, VideoFacts& facts) {
  if (record.size() < 4 || u8(record.data()) != 0x81) return;
  static constexpr const char* kProfiles[] = {"Main", "High", "Professional"};
  unsigned profile = u8(record.data() + 1) >> 5, flags = u8(record.data() + 2);
  if (profile < std::size(kProfiles)) facts.profile = kProfiles[profile];
  bool high = flags & 0x40, twelve = flags & 0x20, mono = flags & 0x10, sub_x = flags & 8, sub_y = flags & 4;
  facts.bit_depth = high ? (profile == 2 && twelve ? 12 : 10) : 8;
  facts.chroma = mono ? "4:0:0" : sub_x && sub_y ? "4:2:0" : sub_x ? "4:2:2" : "4:4:4";
}

void read_vp_config(std::string_view record, VideoFacts& facts) {
  // A full box: version and flags first.
  if (record.size() < 12 || record[0] != 1) return;
  facts.profile = "Profile " + std::to_string(u8(record.data() + 4));
  unsigned packed = u8(record.data() + 6);
  facts.bit_depth = packed >> 4;
  unsigned chroma = packed >> 1 & 7;
  facts.chroma = chroma <= 1 ? "4:2:0" : chroma == 2 ? "4:2:2" : "4:4:4";
  facts.color_range = packed & 1 ? "pc" : "tv";
  set_color_codes(facts, u8(record.data() + 7), u8(record.data() + 8), u8(record.data() + 9));
}

void read_aac_config(std::string_view config, AudioStream& stream) {
  static constexpr uint32_t kRates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                        22050, 16000, 12000, 11025, 8000,  7350};
  Bits bits(config);
  auto object_type = [&] {
    uint32_t type = bits.get(5);
    return type == 31 ? 32 + bits.get(6) : type;
  };
  auto rate = [&]() -> uint32_t {
    uint32_t index = bits.get(4);
    return index == 15 ? bits.get(24) : index < std::size(kRates) ? kRates[index] : 0;
  };
  uint32_t type = object_type();
  uint32_t sample_rate = rate();
  uint32_t channel_config = bits.get(4);
  bool parametric = type == 29;
  if (type == 5 || type == 29) sample_rate = rate();  // spectral band replication doubles the rate
  if (bits.over()) return;
  static constexpr uint8_t kChannels[] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8};
  if (sample_rate) stream.sample_rate_hz = sample_rate;
  if (channel_config < std::size(kChannels) && kChannels[channel_config])
    stream.channels = parametric && channel_config == 1 ? 2 : kChannels[channel_config];
}

void complete_video_facts(VideoFacts& facts) {
  bool planar = facts.codec == "h264" || facts.codec == "hevc" || facts.codec == "av1" ||
                facts.codec == "vp8" || facts.codec == "vp9" || facts.codec == "mpeg4" ||
                facts.codec == "prores" || facts.codec == "mpeg2video" || facts.codec == "mpeg1video" ||
                facts.codec == "dnxhd" || facts.codec == "flv1" || facts.codec == "theora" ||
                facts.codec.starts_with("wmv") || facts.codec.starts_with("msmpeg4");
  if (facts.codec == "h263" || facts.codec == "flv1" || facts.codec.starts_with("wmv") ||
      facts.codec.starts_with("msmpeg4")) {
    facts.bit_depth = 8;
    facts.chroma = "4:2:0";
    facts.pixel_format = "yuv420p";
  }
  if (facts.codec == "vp8") {
    facts.bit_depth = 8;
    facts.chroma = "4:2:0";
  }
  if (facts.codec == "prores" && !facts.chroma.empty() && facts.chroma != "4:2:2") planar = false;
  if (planar && facts.bit_depth && !facts.chroma.empty() && facts.pixel_format.empty()) {
    std::string depth = *facts.bit_depth > 8 ? std::to_string(*facts.bit_depth) + "le" : "";
    if (facts.chroma == "4:0:0") {
      facts.pixel_format = "gray" + depth;
    } else {
      bool full = facts.color_range == "pc" && depth.empty() && facts.codec == "h264";
      facts.pixel_format = full ? "yuvj" : "yuv";
      for (char c : facts.chroma)
        if (c != ':') facts.pixel_format += c;
      facts.pixel_format += 'p';
      facts.pixel_format += depth;
    }
  }
  if (facts.hdr.empty() && facts.color_transfer == "smpte2084") facts.hdr = "HDR10";
  if (facts.hdr.empty() && facts.color_transfer == "arib-std-b67") facts.hdr = "HLG";
  if (facts.sample_aspect && facts.resolution_x && facts.resolution_y) {
    // Both factors are at most 2^31 and 2^32: the products fit.
    Rational sar = *facts.sample_aspect;
    if (sar.num > 0 && sar.num <= INT32_MAX && sar.den <= INT32_MAX && *facts.resolution_y > 0)
      facts.display_aspect = reduced(sar.num * *facts.resolution_x, sar.den * *facts.resolution_y);
  }
}

void take_picture(const VideoFacts& stream, VideoFacts& facts) {
  facts.resolution_x = stream.resolution_x;
  facts.resolution_y = stream.resolution_y;
  facts.codec = stream.codec;
  facts.fourcc = stream.fourcc;
  facts.profile = stream.profile;
  facts.pixel_format = stream.pixel_format;
  facts.bit_depth = stream.bit_depth;
  facts.chroma = stream.chroma;
  facts.color_primaries = stream.color_primaries;
  facts.color_transfer = stream.color_transfer;
  facts.color_matrix = stream.color_matrix;
  facts.color_range = stream.color_range;
  facts.sample_aspect = stream.sample_aspect;
}

}  // namespace millrace::scan
