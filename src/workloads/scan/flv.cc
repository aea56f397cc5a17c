// Flash video: a note in front (onMetaData), then tags.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <string>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr unsigned kTagsMax = 512;        // looked at until both streams have shown what they are
constexpr size_t kScriptMax = 64 * 1024;  // of onMetaData
constexpr int kNestingMax = 8;

// Numbers and texts of an AMF 0 value (Adobe AMF 0 section 2), by the name of the member they stand under.
class AmfReader {
 public:
  explicit AmfReader(std::string_view data) : data_(data) {}
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;

  void read() {
    value("", 0);  // the name of the event
    if (!bad_) value("", 0);
  }

 private:
  std::string_view take(size_t size) {
    if (bad_ || size > data_.size() - at_) {
      bad_ = true;
      return {};
    }
    std::string_view taken = data_.substr(at_, size);
    at_ += size;
    return taken;
  }
  uint32_t number(size_t size) {
    std::string_view p = take(size);
    uint32_t n = 0;
    for (char c : p) n = n << 8 | u8(&c);
    return n;
  }
  void members(int depth) {
    while (!bad_ && at_ < data_.size()) {
      std::string name(take(number(2)));
      if (name.empty() && at_ < data_.size() && data_[at_] == 9) {
        ++at_;
        return;
      }
      value(name, depth + 1);
    }
  }
  void value(const std::string& name, int depth) {
    if (depth > kNestingMax) bad_ = true;
    std::string_view marker = take(1);
    if (bad_) return;
    switch (marker[0]) {
      case 0:
        if (std::string_view p = take(8); p.size() == 8 && numbers.size() < 100)
          numbers.emplace(name, std::bit_cast<double>(be64(p.data())));
        break;
      case 1:
        take(1);
        break;
      case 2: {
        std::string_view text = take(number(2));
        if (texts.size() < 100) texts.emplace(name, clean_text(text, 255));
        break;
      }
      case 3:
        members(depth);
        break;
      case 5:
      case 6:
        break;
      case 8:
        take(4);
        members(depth);
        break;
      case 10:
        for (uint32_t n = number(4); n > 0 && !bad_; --n) value("", depth + 1);
        break;
      case 11:
        take(10);
        break;
      case 12:
        take(number(4));
        break;
      default:
        bad_ = true;
    }
  }

  std::string_view data_;
  size_t at_ = 0;
  bool bad_ = false;
};

class FlvReader {
 public:
  FlvReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    facts_.container = "flv";
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (!video_ && !audio_) corrupt("FLV without a stream, its end", bytes_.size());
    check_whole();
  }

 private:
  void walk() {
    std::string_view head = bytes_.at(0, 9, "FLV header");
    if (!head.starts_with("FLV")) corrupt("not an FLV file", 0);
    unsigned flags = u8(head.data() + 4);
    bool wants_audio = flags & 4, wants_video = flags & 1;
    uint64_t at = uint64_t{be32(head.data() + 5)} + 4;
    for (unsigned tags = 0; tags < kTagsMax && at < bytes_.size(); ++tags) {
      bytes_.step("FLV tags");
      std::string_view p = bytes_.at(at, 11, "FLV tag");
      unsigned type = u8(p.data()) & 0x1F;
      uint32_t size = be32(p.data()) & 0xFFFFFF;
      uint64_t start = at + 11;
      check_end(start + size, bytes_.size(), "FLV tag");
      auto content = [&](size_t max) {
        return bytes_.at(start, static_cast<size_t>(std::min<uint64_t>(size, max)), "FLV tag");
      };
      if (type == 18 && !noted_)
        read_note(content(kScriptMax));
      else if (type == 9 && size > 0)
        read_video(content(2048));
      else if (type == 8 && size > 0)
        read_audio(content(64));
      else if (type != 8 && type != 9 && type != 18)
        corrupt("not an FLV tag", at);
      at = start + size + 4;
      if (noted_ && (video_ || !wants_video) && (audio_ || !wants_audio)) break;
    }
  }

  void read_note(std::string_view p) {
    AmfReader amf(p);
    amf.read();
    noted_ = true;
    auto number = [&](const char* name) {
      auto found = amf.numbers.find(name);
      return found == amf.numbers.end() || !std::isfinite(found->second) ? 0.0 : found->second;
    };
    if (double d = number("duration"); d > 0 && d < 1e9) facts_.duration_s = d;
    if (double r = number("framerate"); r > 0 && r < 1000) {
      // Written as a decimal: the usual rates are whole or whole * 1000/1001.
      double whole = std::round(r), ntsc = std::round(r * 1.001);
      if (std::abs(r - whole) < 1e-4)
        facts_.fps = Rational{static_cast<int64_t>(whole), 1};
      else if (std::abs(r * 1.001 - ntsc) < 5e-3)
        facts_.fps = reduced(static_cast<int64_t>(ntsc) * 1000, 1001);
      else
        facts_.fps = reduced(std::llround(r * 1000), 1000);
    }
    if (double w = number("width"), h = number("height"); w >= 1 && h >= 1 && w < 65536 && h < 65536) {
      facts_.resolution_x = static_cast<uint32_t>(w);
      facts_.resolution_y = static_cast<uint32_t>(h);
    }
    for (const char* name : {"encoder", "metadatacreator"})
      if (auto found = amf.texts.find(name); found != amf.texts.end() && facts_.encoder.empty())
        facts_.encoder = found->second;
  }

  void read_video(std::string_view p) {
    if (video_ && !config_missing_) return;
    unsigned first = u8(p.data());
    if (first & 0x80) {  // enhanced: a code of four letters
      if (p.size() < 5) return;
      video_ = true;
      facts_.fourcc = clean_text(p.substr(1, 4));
      facts_.codec = video_codec_of_fourcc(p.substr(1, 4));
      if ((first & 15) == 0 && facts_.codec == "hevc") read_hevc_config(p.substr(5), facts_);
      if ((first & 15) == 0 && facts_.codec == "av1") read_av1_config(p.substr(5), facts_);
      return;
    }
    static constexpr std::string_view kCodecs[] = {
        "", "", "flv1", "flashsv", "vp6f", "vp6a", "flashsv2", "h264", "", "", "", "", "hevc", "av1", "", ""};
    unsigned codec = first & 15;
    video_ = true;
    facts_.codec = kCodecs[codec];
    config_missing_ = false;
    if ((codec == 7 || codec == 12) && p.size() > 5) {
      if (p[1] == 0)
        codec == 7 ? read_avc_config(p.substr(5), facts_) : read_hevc_config(p.substr(5), facts_);
      else
        config_missing_ = true;
    } else if (codec == 2 && p.size() >= 9) {  // the picture header of Sorenson's H.263
      uint64_t bits = be64(p.data() + 1);
      unsigned format = bits >> 31 & 7;
      static constexpr uint16_t kSizes[][2] = {{0, 0},    {0, 0},     {352, 288}, {176, 144},
                                               {128, 96}, {320, 240}, {160, 120}};
      if (format == 0)
        set_size(bits >> 23 & 0xFF, bits >> 15 & 0xFF);
      else if (format == 1)
        set_size(bits >> 15 & 0xFFFF, (bits << 1 | u8(p.data() + 8) >> 7) & 0xFFFF);
      else if (format < 7)
        set_size(kSizes[format][0], kSizes[format][1]);
    }
  }

  void set_size(uint64_t width, uint64_t height) {
    if (width == 0 || height == 0) return;
    facts_.resolution_x = static_cast<uint32_t>(width);
    facts_.resolution_y = static_cast<uint32_t>(height);
  }

  void read_audio(std::string_view p) {
    if (audio_) return;
    audio_ = true;
    unsigned first = u8(p.data());
    static constexpr std::string_view kCodecs[] = {
        "pcm_s16be", "adpcm_swf", "mp3", "pcm_s16le", "nellymoser", "nellymoser", "nellymoser", "pcm_alaw",
        "pcm_mulaw", "",          "aac", "speex",     "",           "",           "mp3",        ""};
    static constexpr uint32_t kRates[] = {5512, 11025, 22050, 44100};
    AudioStream& stream = facts_.audio_streams.emplace_back();
    unsigned codec = first >> 4;
    stream.codec = kCodecs[codec];
    stream.sample_rate_hz = codec == 4 || codec == 11   ? 16000
                            : codec == 5 || codec == 14 ? 8000
                                                        : kRates[first >> 2 & 3];
    stream.channels = first & 1 ? 2 : 1;
    if ((codec == 0 || codec == 3) && !(first & 2)) stream.codec = "pcm_u8";
    if (codec == 10 && p.size() > 3 && p[1] == 0) read_aac_config(p.substr(2), stream);
    if (codec == 2 || codec == 14) read_coded_audio(p.substr(1), "mp3", stream);
  }

  // The last four bytes tell where the last tag begins, and that tag when it plays.
  void check_whole() {
    if (bytes_.size() < 24) return;
    uint64_t last = bytes_.read_be32(bytes_.size() - 4, "end of FLV");
    if (last < 11 || last > bytes_.size() - 13)
      corrupt("truncated: the last FLV tag is not whole, end", bytes_.size());
    std::string_view p = bytes_.at(bytes_.size() - 4 - last, 11, "last FLV tag");
    unsigned type = u8(p.data()) & 0x1F;
    if ((type != 8 && type != 9 && type != 18) || (be32(p.data()) & 0xFFFFFF) + 11 != last)
      corrupt("truncated: the last FLV tag is not whole, end", bytes_.size());
    uint64_t time_ms = be32(p.data() + 4) >> 8 | uint64_t{u8(p.data() + 7)} << 24;
    if (!facts_.duration_s && time_ms > 0) {
      facts_.duration_s = static_cast<double>(time_ms) / 1000;
      set_bit_rate(facts_, bytes_.size());
    }
  }

  void conclude() {
    if (video_) facts_.video_streams = 1;
    set_bit_rate(facts_, bytes_.size());
    if (facts_.codec == "h264" && facts_.fourcc.empty()) facts_.fourcc = "avc1";
    complete_video_facts(facts_);
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  bool noted_ = false, video_ = false, audio_ = false, config_missing_ = false;
};

}  // namespace

void read_flv(MediaBytes& bytes, VideoFacts& facts) { FlvReader(bytes, facts).read(); }

}  // namespace millrace::scan
