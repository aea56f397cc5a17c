#include "workloads/scan/audio_headers.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/strings.h"
#include "workloads/scan/bit_reader.h"
#include "workloads/scan/video_codecs.h"

namespace millrace::scan {
namespace {

struct WaveTag {
  uint16_t tag;
  std::string_view codec;
};
// Registered format tags (RFC 2361 and Microsoft's mmreg.h), but PCM.
constexpr WaveTag kWaveTags[] = {
    {0x0002, "adpcm_ms"},      {0x0006, "pcm_alaw"},      {0x0007, "pcm_mulaw"},
    {0x000A, "wmavoice"},      {0x0010, "adpcm_ima_oki"}, {0x0011, "adpcm_ima_wav"},
    {0x0022, "truespeech"},    {0x0031, "gsm_ms"},        {0x0042, "g723_1"},
    {0x0045, "adpcm_g726"},    {0x0050, "mp2"},           {0x0055, "mp3"},
    {0x0057, "amr_nb"},        {0x0058, "amr_wb"},        {0x0061, "adpcm_ima_dk4"},
    {0x0062, "adpcm_ima_dk3"}, {0x0064, "adpcm_g726"},    {0x0069, "adpcm_ima_wav"},
    {0x0075, "metasound"},     {0x0092, "ac3"},           {0x00FF, "aac"},
    {0x0111, "adpcm_g722"},    {0x0130, "sipr"},          {0x0135, "acelp.kelvin"},
    {0x0160, "wmav1"},         {0x0161, "wmav2"},         {0x0162, "wmapro"},
    {0x0163, "wmalossless"},   {0x0166, "xma2"},          {0x0270, "atrac3"},
    {0x028F, "adpcm_g722"},    {0x0401, "imc"},           {0x0402, "iac"},
    {0x1500, "gsm_ms"},        {0x1501, "truespeech"},    {0x1600, "aac"},
    {0x1602, "aac_latm"},      {0x1610, "aac"},           {0x2000, "ac3"},
    {0x2001, "dts"},           {0x2048, "sonic"},         {0x4143, "aac"},
    {0x566F, "vorbis"},        {0x5756, "wavpack"},       {0x674F, "vorbis"},
    {0x6750, "vorbis"},        {0x6751, "vorbis"},        {0x704F, "opus"},
    {0x706D, "aac"},           {0xA106, "aac"},           {0xA109, "speex"},
    {0xF1AC, "flac"},
};

constexpr uint32_t kAacRates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                  22050, 16000, 12000, 11025, 8000,  7350};

// ETSI TS 102 366 sections 4.3 and E.1.
bool read_ac3(std::string_view data, AudioStream& stream) {
  if (data.size() < 8 || be16(data.data()) != 0x0B77) return false;
  static constexpr uint32_t kRates[] = {48000, 44100, 32000, 0};
  static constexpr uint8_t kChannels[] = {2, 1, 2, 3, 3, 4, 4, 5};
  static constexpr std::string_view kLayouts[] = {"stereo",    "mono", "stereo",     "3.0",
                                                  "3.0(back)", "4.0",  "quad(side)", "5.0(side)"};
  unsigned id = u8(data.data() + 5) >> 3;
  uint32_t mode = 0, low = 0;
  if (id > 10) {
    Bits bits(data.substr(2));
    bits.get(5 + 11);
    uint32_t rate = bits.get(2);
    uint32_t second = bits.get(2);
    stream.codec = "eac3";
    stream.sample_rate_hz = rate < 3 ? kRates[rate] : kRates[second & 3] / 2;
    mode = bits.get(3);
    low = bits.get(1);
  } else {
    stream.codec = "ac3";
    stream.sample_rate_hz = kRates[u8(data.data() + 4) >> 6];
    Bits bits(data.substr(6));
    mode = bits.get(3);
    if ((mode & 1) && mode != 1) bits.get(2);
    if (mode & 4) bits.get(2);
    if (mode == 2) bits.get(2);
    low = bits.get(1);
    static constexpr uint16_t kKilobits[] = {32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                             192, 224, 256, 320, 384, 448, 512, 576, 640};
    unsigned code = (u8(data.data() + 4) & 0x3F) >> 1;
    if (code < std::size(kKilobits)) stream.bit_rate = kKilobits[code] * 1000;
  }
  if (stream.sample_rate_hz == 0u) return false;
  stream.channels = kChannels[mode] + low;
  stream.channel_layout = low ? (mode == 7   ? "5.1(side)"
                                 : mode == 2 ? "2.1"
                                 : mode == 3 ? "3.1"
                                             : "")
                              : kLayouts[mode];
  return true;
}

std::string latin1_or_utf16(std::string_view text) {
  // ID3v2.4 section 4: the first byte tells the encoding.
  if (text.empty()) return {};
  char encoding = text[0];
  text.remove_prefix(1);
  if (encoding == 0) {
    std::string utf8;
    for (char c : text.substr(0, text.find('\0'))) {
      auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80) {
        utf8 += c;
      } else {
        utf8 += static_cast<char>(0xC0 | byte >> 6);
        utf8 += static_cast<char>(0x80 | (byte & 0x3F));
      }
    }
    return clean_text(utf8);
  }
  if (encoding == 3) return clean_text(text);
  if (encoding != 1 && encoding != 2) return {};
  bool little = encoding == 1 && text.starts_with("\xFF\xFE");
  if (encoding == 1 && text.size() >= 2) text.remove_prefix(2);
  std::string swapped;
  for (size_t i = 0; i + 2 <= text.size(); i += 2) {
    swapped += text[i + (little ? 1 : 0)];
    swapped += text[i + (little ? 0 : 1)];
  }
  return clean_text(utf16be_text(swapped));
}

}  // namespace

std::optional<MpegAudioFrame> mpeg_audio_frame(uint32_t header) {
  static constexpr uint16_t kKilobits[5][15] = {
      {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},  // MPEG-1, layers 1 to 3
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
      {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},  // MPEG-2, layer 1
      {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}};      // MPEG-2, layers 2 and 3
  static constexpr uint32_t kRates[] = {44100, 48000, 32000};
  unsigned version = header >> 19 & 3, layer = header >> 17 & 3, rate = header >> 10 & 3;
  unsigned kilobits = header >> 12 & 15;
  if (header >> 21 != 0x7FF || version == 1 || layer == 0 || rate == 3 || kilobits == 0 || kilobits == 15)
    return std::nullopt;
  MpegAudioFrame frame;
  frame.layer = 4 - layer;
  frame.version = version == 3 ? 1 : version == 2 ? 2 : 3;
  frame.rate_hz = kRates[rate] >> (frame.version - 1);
  size_t row = frame.version == 1 ? frame.layer - 1 : frame.layer == 1 ? 3 : 4;
  frame.bit_rate = kKilobits[row][kilobits] * 1000u;
  frame.channels = (header >> 6 & 3) == 3 ? 1 : 2;
  uint32_t padding = header >> 9 & 1;
  if (frame.layer == 1) {
    frame.samples = 384;
    frame.bytes = (12 * frame.bit_rate / frame.rate_hz + padding) * 4;
  } else {
    frame.samples = frame.layer == 3 && frame.version != 1 ? 576 : 1152;
    frame.bytes = frame.samples / 8 * frame.bit_rate / frame.rate_hz + padding;
  }
  return frame;
}

std::string_view mpeg_audio_codec(const MpegAudioFrame& frame) {
  return frame.layer == 1 ? "mp1" : frame.layer == 2 ? "mp2" : "mp3";
}

std::optional<AdtsFrame> adts_frame(std::string_view data) {
  if (data.size() < 7 || (be16(data.data()) & 0xFFF6) != 0xFFF0) return std::nullopt;
  Bits bits(data.substr(2));
  bits.get(2);
  uint32_t rate = bits.get(4);
  bits.get(1);
  uint32_t channels = bits.get(3);
  bits.get(4);
  AdtsFrame frame;
  frame.bytes = bits.get(13);
  bits.get(11);
  frame.samples = (bits.get(2) + 1) * 1024;
  if (rate >= std::size(kAacRates) || frame.bytes < 7) return std::nullopt;
  frame.rate_hz = kAacRates[rate];
  frame.channels = channels == 7 ? 8 : channels;
  return frame;
}

bool read_coded_audio(std::string_view data, std::string_view codec, AudioStream& stream) {
  if (codec == "ac3" || codec == "eac3") return read_ac3(data, stream);
  if (codec == "aac") {
    auto frame = adts_frame(data);
    if (!frame) return false;
    stream.sample_rate_hz = frame->rate_hz;
    if (frame->channels) stream.channels = frame->channels;
    return true;
  }
  if (codec == "mp1" || codec == "mp2" || codec == "mp3") {
    auto frame = data.size() >= 4 ? mpeg_audio_frame(be32(data.data())) : std::nullopt;
    if (!frame) return false;
    stream.codec = mpeg_audio_codec(*frame);
    stream.sample_rate_hz = frame->rate_hz;
    stream.channels = frame->channels;
    stream.bit_rate = frame->bit_rate;
    return true;
  }
  return false;
}

std::optional<WaveFormat> read_wave_format(std::string_view data, AudioStream& stream) {
  if (data.size() < 14) return std::nullopt;
  WaveFormat format;
  format.tag = le16(data.data());
  if (uint16_t channels = le16(data.data() + 2)) stream.channels = channels;
  if (uint32_t rate = le32(data.data() + 4)) stream.sample_rate_hz = rate;
  format.bytes_per_second = le32(data.data() + 8);
  format.block_bytes = le16(data.data() + 12);
  unsigned bits = data.size() >= 16 ? le16(data.data() + 14) : 8;
  if (format.tag == 0xFFFE && data.size() >= 40) {
    uint32_t mask = le32(data.data() + 20);
    if (static_cast<uint32_t>(__builtin_popcount(mask)) == stream.channels.value_or(0))
      stream.channel_layout = layout_of_mask(mask);
    format.tag = le16(data.data() + 24);
  }
  if (format.tag == 1 && bits >= 1 && bits <= 64) {
    unsigned width = (bits + 7) / 8 * 8;
    stream.codec = pcm_name(width, false, false, width > 8);
    stream.bit_depth = bits;
  } else if (format.tag == 3 && (bits == 32 || bits == 64)) {
    stream.codec = pcm_name(bits, true, false, true);
    stream.bit_depth = bits;
  } else {
    for (const WaveTag& row : kWaveTags)
      if (row.tag == format.tag) stream.codec = row.codec;
  }
  if (format.bytes_per_second && format.bytes_per_second < UINT32_MAX / 8)
    stream.bit_rate = int64_t{format.bytes_per_second} * 8;
  return format;
}

std::string_view layout_of_mask(uint32_t mask) {
  switch (mask) {
    case 0x3:
      return "stereo";
    case 0x4:
      return "mono";
    case 0x7:
      return "3.0";
    case 0xB:
      return "2.1";
    case 0xF:
      return "3.1";
    case 0x33:
      return "quad";
    case 0x37:
      return "5.0";
    case 0x3F:
      return "5.1";
    case 0x103:
      return "3.0(back)";
    case 0x107:
      return "4.0";
    case 0x10F:
      return "4.1";
    case 0x13F:
      return "6.1(back)";
    case 0x603:
      return "quad(side)";
    case 0x607:
      return "5.0(side)";
    case 0x60F:
      return "5.1(side)";
    case 0x637:
      return "7.0";
    case 0x63F:
      return "7.1";
    case 0x6CF:
      return "7.1(wide-side)";
    case 0x70F:
      return "6.1";
    case 0xFF:
      return "7.1(wide)";
    default:
      return {};
  }
}

std::string_view layout_of_count(uint32_t channels) {
  return channels == 1 ? "mono" : channels == 2 ? "stereo" : std::string_view();
}

std::string_view layout_of_xiph(uint32_t channels) {
  static constexpr std::string_view kLayouts[] = {"",    "mono", "stereo", "3.0", "quad",
                                                  "5.0", "5.1",  "6.1",    "7.1"};
  return channels < std::size(kLayouts) ? kLayouts[channels] : std::string_view();
}

void read_vorbis_comments(std::string_view data, VideoFacts& facts) {
  auto text = [&]() -> std::optional<std::string_view> {
    if (data.size() < 4) return std::nullopt;
    uint32_t length = le32(data.data());
    if (length > data.size() - 4) return std::nullopt;
    std::string_view found = data.substr(4, length);
    data.remove_prefix(4 + size_t{length});
    return found;
  };
  auto vendor = text();
  if (!vendor || data.size() < 4) return;
  if (facts.encoder.empty()) facts.encoder = clean_text(*vendor, 255);
  uint32_t count = std::min<uint32_t>(le32(data.data()), 1000);
  data.remove_prefix(4);
  for (uint32_t i = 0; i < count; ++i) {
    auto comment = text();
    if (!comment) return;
    size_t equals = comment->find('=');
    if (equals == std::string_view::npos || equals > 32) continue;
    std::string name = base::to_lower(comment->substr(0, equals));
    std::string_view value = comment->substr(equals + 1);
    SoundFacts& sound = facts.sound;
    std::string* fact = name == "title"         ? &sound.title
                        : name == "artist"      ? &sound.artist
                        : name == "album"       ? &sound.album
                        : name == "encoder"     ? &facts.encoder
                        : name == "description" ? &sound.description
                                                : nullptr;
    if (fact) *fact = clean_text(value);
  }
}

uint64_t id3_size(std::string_view head) {
  if (head.size() < 10 || !head.starts_with("ID3")) return 0;
  uint64_t size = 0;
  for (size_t i = 6; i < 10; ++i) size = size << 7 | (u8(head.data() + i) & 0x7F);
  return size + 10 + (u8(head.data() + 5) & 0x10 ? 10 : 0);
}

void read_id3(std::string_view data, VideoFacts& facts) {
  if (data.size() < 10 || u8(data.data() + 5) & 0x80) return;  // unsynchronised tags are rare and not read
  unsigned version = u8(data.data() + 3);
  bool extended = u8(data.data() + 5) & 0x40;
  if (version < 2 || version > 4 || (extended && version == 2)) return;
  size_t at = 10;
  if (extended && data.size() >= 14) {
    uint32_t size = be32(data.data() + 10);
    at += version == 3 ? size_t{4} + size : size_t{size};
  }
  const size_t head = version == 2 ? 6 : 10;
  while (at + head <= data.size() && data[at] != '\0') {
    std::string_view id = data.substr(at, version == 2 ? 3 : 4);
    uint64_t size = 0;
    if (version == 2) {
      size = be32(data.data() + at + 2) & 0xFFFFFF;
    } else if (version == 3) {
      size = be32(data.data() + at + 4);
    } else {
      for (size_t i = 0; i < 4; ++i) size = size << 7 | (u8(data.data() + at + 4 + i) & 0x7F);
    }
    if (size == 0 || size > data.size() - at - head) return;
    std::string_view content = data.substr(at + head, static_cast<size_t>(size));
    std::string* fact = id == "TIT2" || id == "TT2"   ? &facts.sound.title
                        : id == "TPE1" || id == "TP1" ? &facts.sound.artist
                        : id == "TALB" || id == "TAL" ? &facts.sound.album
                        : id == "TSSE" || id == "TSS" ? &facts.encoder
                                                      : nullptr;
    if (fact && fact->empty()) *fact = latin1_or_utf16(content.substr(0, 2048));
    at += head + static_cast<size_t>(size);
  }
}

void set_bit_rate(VideoFacts& facts, uint64_t size) {
  if (facts.bit_rate || !facts.duration_s || !(*facts.duration_s > 0)) return;
  double rate = static_cast<double>(size) * 8 / *facts.duration_s;
  if (rate < 1e15) facts.bit_rate = static_cast<int64_t>(rate);
}

}  // namespace millrace::scan
