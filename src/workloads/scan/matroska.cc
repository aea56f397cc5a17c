// Matroska and WebM. Clusters (the media data) are never read; what stands behind them is found through
// SeekHead.
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kUnknown = UINT64_MAX;
constexpr unsigned kTracksMax = 256;
constexpr unsigned kSeeksMax = 64;
constexpr unsigned kClusterHopsMax = 16;  // clusters jumped over when nothing says where Tracks are
constexpr base::TimeMs kEpoch2001_ms = 978307200000;

enum Id : uint32_t {
  kEbml = 0x1A45DFA3,
  kDocType = 0x4282,
  kSegment = 0x18538067,
  kSeekHead = 0x114D9B74,
  kInfo = 0x1549A966,
  kTracks = 0x1654AE6B,
  kCluster = 0x1F43B675,
  kCues = 0x1C53BB6B,
  kTags = 0x1254C367,
};

struct Element {
  uint32_t id = 0;
  uint64_t start = 0, at = 0, size = 0;  // size kUnknown: until something that can't be inside
  uint64_t end() const { return at + size; }
};

struct MatroskaTrack {
  uint64_t uid = 0, type = 0, default_duration_ns = 0;
  std::string codec_id;
  std::string private_data;  // at most 4096 bytes
  uint64_t display_x = 0, display_y = 0, display_unit = 0;
  VideoFacts video;
  AudioStream audio;
  std::optional<int64_t> frames;
};

// A frame rate from nanoseconds a frame: the usual rates are multiples of 1 or of 1000/1001.
Rational rate_of(uint64_t duration_ns) {
  double rate = 1e9 / static_cast<double>(duration_ns);
  for (int64_t den : {1, 1001}) {
    double scaled = rate * (den == 1 ? 1.0 : 1.001);
    double whole = std::round(scaled);
    // A duration in whole nanoseconds is off by half of one.
    if (whole >= 1 && whole < 100000 &&
        std::abs(scaled - whole) / whole < 1.0 / static_cast<double>(duration_ns) + 1e-7)
      return den == 1 ? Rational{static_cast<int64_t>(whole), 1}
                      : reduced(static_cast<int64_t>(whole) * 1000, 1001);
  }
  return reduced(1'000'000'000, static_cast<int64_t>(std::min<uint64_t>(duration_ns, INT64_MAX)));
}

class MatroskaReader {
 public:
  MatroskaReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (tracks_.empty()) corrupt("Matroska without tracks: truncated before them; its end", bytes_.size());
  }

 private:
  Element element(uint64_t at) {
    bytes_.step("Matroska elements");
    Element e;
    e.start = at;
    std::string_view head = bytes_.some(at, 12, "Matroska element");
    if (head.empty()) bytes_.at(at, 1, "Matroska element");
    unsigned first = u8(head.data());
    unsigned id_size = static_cast<unsigned>(std::countl_zero(static_cast<uint8_t>(first))) + 1;
    if (id_size > 4) corrupt("not a Matroska element", at);
    if (head.size() <= id_size) bytes_.at(at, id_size + 1, "Matroska element");
    for (unsigned i = 0; i < id_size; ++i) e.id = e.id << 8 | u8(head.data() + i);
    unsigned lead = u8(head.data() + id_size);
    unsigned size_size = static_cast<unsigned>(std::countl_zero(static_cast<uint8_t>(lead))) + 1;
    if (size_size > 8) corrupt("Matroska element with a size of no known width", at);
    if (head.size() < id_size + size_size) bytes_.at(at, id_size + size_size, "Matroska element");
    uint64_t size = lead & ((1u << (8 - size_size)) - 1);
    bool all_ones = size == (1u << (8 - size_size)) - 1;
    for (unsigned i = 1; i < size_size; ++i) {
      unsigned byte = u8(head.data() + id_size + i);
      size = size << 8 | byte;
      all_ones = all_ones && byte == 0xFF;
    }
    e.at = at + id_size + size_size;
    e.size = all_ones ? kUnknown : size;
    return e;
  }

  // Calls f(element) for the children of `parent`, which has a known size.
  template <typename Function>
  void each(const Element& parent, Function&& f) {
    if (parent.size == kUnknown) corrupt("Matroska element of unknown size where none may be", parent.start);
    uint64_t end = parent.end();
    check_end(end, bytes_.size(), "Matroska element");
    for (uint64_t at = parent.at; at < end;) {
      Element child = element(at);
      if (child.size == kUnknown || child.size > end - std::min(child.at, end))
        corrupt("Matroska element runs over the one around it", at);
      f(static_cast<const Element&>(child));
      at = child.end();
    }
  }

  uint64_t integer(const Element& e) {
    if (e.size > 8) corrupt("Matroska number of " + std::to_string(e.size) + " bytes", e.start);
    uint64_t value = 0;
    for (char c : bytes_.at(e.at, static_cast<size_t>(e.size), "Matroska number"))
      value = value << 8 | u8(&c);
    return value;
  }
  double real(const Element& e) {
    if (e.size == 4)
      return static_cast<double>(std::bit_cast<float>(bytes_.read_be32(e.at, "Matroska number")));
    if (e.size == 8) return std::bit_cast<double>(bytes_.read_be64(e.at, "Matroska number"));
    return 0;
  }
  std::string text(const Element& e) {
    return clean_text(bytes_.at(e.at, static_cast<size_t>(std::min<uint64_t>(e.size, 255)), "Matroska text"),
                      255);
  }

  void walk() {
    Element ebml = element(0);
    if (ebml.id != kEbml) corrupt("not an EBML header", 0);
    facts_.container = "matroska";
    each(ebml, [&](const Element& e) {
      if (e.id == kDocType && text(e) == "webm") facts_.container = "webm";
    });
    Element segment = element(ebml.end());
    for (int i = 0; i < 16 && segment.id != kSegment && segment.size != kUnknown; ++i)
      segment = element(segment.end());
    if (segment.id != kSegment) corrupt("no Matroska segment", segment.start);
    segment_ = segment.at;
    uint64_t end = segment.size == kUnknown ? bytes_.size() : segment.end();
    bool cut = segment.size != kUnknown && (segment.size > bytes_.size() || end > bytes_.size());

    unsigned clusters = 0;
    for (uint64_t at = segment_; at < std::min(end, bytes_.size());) {
      Element e = element(at);
      if (e.id == kCluster) {
        // Found before the media data, or told where: done.
        if (!tracks_.empty() || !seeks_.empty() || ++clusters > kClusterHopsMax || e.size == kUnknown) break;
      } else {
        read_top(e);
      }
      if (e.size == kUnknown) break;
      if (e.size > bytes_.size()) {
        corrupt("truncated: a Matroska element of " + std::to_string(e.size) + " bytes", e.start);
      }
      at = e.end();
    }
    follow_seeks();
    if (cut)
      throw base::CorruptError("truncated: the Matroska segment of " + std::to_string(segment.size) +
                               " bytes at offset " + std::to_string(segment.at) + ", the file has " +
                               std::to_string(bytes_.size()));
  }

  void read_top(const Element& e) {
    for (uint64_t done : done_)
      if (done == e.start) return;
    switch (e.id) {
      case kSeekHead:
        done_.push_back(e.start);
        each(e, [&](const Element& seek) { read_seek(seek); });
        break;
      case kInfo:
        done_.push_back(e.start);
        each(e, [&](const Element& child) { read_info(child); });
        break;
      case kTracks:
        done_.push_back(e.start);
        each(e, [&](const Element& child) {
          if (child.id == 0xAE) read_track(child);
        });
        break;
      case kTags:
        done_.push_back(e.start);
        each(e, [&](const Element& child) {
          if (child.id == 0x7373) read_tag(child);
        });
        break;
      default:
        break;
    }
    if (done_.size() > 1000) throw BudgetError("more than 1000 Matroska headers");
  }

  void read_seek(const Element& seek) {
    if (seek.id != 0x4DBB) return;
    uint64_t id = 0, position = 0;
    each(seek, [&](const Element& e) {
      if (e.id == 0x53AB) id = integer(e);
      if (e.id == 0x53AC) position = integer(e);
    });
    if ((id == kInfo || id == kTracks || id == kTags || id == kSeekHead) && seeks_.size() < kSeeksMax)
      seeks_.emplace_back(static_cast<uint32_t>(id), position);
  }

  void follow_seeks() {
    for (size_t i = 0; i < seeks_.size(); ++i) {  // may grow: a SeekHead may point to another
      auto [id, position] = seeks_[i];
      if (position > bytes_.size() || segment_ + position >= bytes_.size()) {
        if (id != kTags) missing_ = true;
        continue;
      }
      Element e = element(segment_ + position);
      if (e.id == id) read_top(e);
    }
    if (missing_ && tracks_.empty())
      corrupt("truncated: Matroska tracks stand beyond the end", bytes_.size());
  }

  void read_info(const Element& e) {
    switch (e.id) {
      case 0x2AD7B1:
        scale_ns_ = integer(e);
        break;
      case 0x4489:
        duration_ = real(e);
        break;
      case 0x4D80:
        facts_.encoder = text(e);
        break;
      case 0x5741:
        if (facts_.encoder.empty()) facts_.encoder = text(e);
        break;
      case 0x4461:
        if (e.size == 8)
          facts_.creation_time_ms = kEpoch2001_ms + static_cast<int64_t>(integer(e)) / 1'000'000;
        break;
      default:
        break;
    }
  }

  void read_track(const Element& entry) {
    if (tracks_.size() >= kTracksMax) throw BudgetError("more than 256 tracks");
    MatroskaTrack& track = tracks_.emplace_back();
    each(entry, [&](const Element& e) {
      switch (e.id) {
        case 0x73C5:
          track.uid = integer(e);
          break;
        case 0x83:
          track.type = integer(e);
          break;
        case 0x86:
          track.codec_id = text(e);
          break;
        case 0x63A2:
          track.private_data =
              bytes_.at(e.at, static_cast<size_t>(std::min<uint64_t>(e.size, 4096)), "CodecPrivate");
          break;
        case 0x23E383:
          track.default_duration_ns = integer(e);
          break;
        case 0x22B59C:
          track.audio.language = text(e);
          if (track.audio.language == "und") track.audio.language.clear();
          break;
        case 0xE0:
          each(e, [&](const Element& v) { read_video(v, track); });
          break;
        case 0xE1:
          each(e, [&](const Element& a) { read_audio(a, track); });
          break;
        default:
          break;
      }
    });
    name_codec(track);
  }

  void read_video(const Element& e, MatroskaTrack& track) {
    auto small = [&](std::optional<uint32_t>& fact) {
      if (uint64_t n = integer(e); n > 0 && n <= INT32_MAX) fact = static_cast<uint32_t>(n);
    };
    switch (e.id) {
      case 0xB0:
        small(track.video.resolution_x);
        break;
      case 0xBA:
        small(track.video.resolution_y);
        break;
      case 0x54B0:
        track.display_x = integer(e);
        break;
      case 0x54BA:
        track.display_y = integer(e);
        break;
      case 0x54B2:
        track.display_unit = integer(e);
        break;
      case 0x55B0:
        each(e, [&](const Element& c) { read_colour(c, track.video); });
        break;
      case 0x7670:
        each(e, [&](const Element& p) {
          // The roll turns counter-clockwise, in degrees.
          if (p.id != 0x7675) return;
          double roll = real(p);
          for (int turn : {0, 90, 180, 270})
            if (roll == turn || roll == turn - 360) track.video.rotation = (360 - turn) % 360;
        });
        break;
      default:
        break;
    }
  }

  void read_colour(const Element& e, VideoFacts& video) {
    switch (e.id) {
      case 0x55B1:
        set_color_codes(video, 2, 2, static_cast<unsigned>(std::min<uint64_t>(integer(e), 255)));
        break;
      case 0x55B2:
        if (uint64_t bits = integer(e); bits > 0 && bits <= 32) video.bit_depth = static_cast<uint32_t>(bits);
        break;
      case 0x55B9: {
        uint64_t range = integer(e);
        if (range == 1 || range == 2) video.color_range = range == 1 ? "tv" : "pc";
        break;
      }
      case 0x55BA:
        set_color_codes(video, 2, static_cast<unsigned>(std::min<uint64_t>(integer(e), 255)), 2);
        break;
      case 0x55BB:
        set_color_codes(video, static_cast<unsigned>(std::min<uint64_t>(integer(e), 255)), 2, 2);
        break;
      default:
        break;
    }
  }

  void read_audio(const Element& e, MatroskaTrack& track) {
    switch (e.id) {
      case 0xB5:
      case 0x78B5: {
        double rate = real(e);
        if (rate >= 1 && rate < 1e9) track.audio.sample_rate_hz = static_cast<uint32_t>(std::llround(rate));
        break;
      }
      case 0x9F:
        if (uint64_t n = integer(e); n > 0 && n < 1000) track.audio.channels = static_cast<uint32_t>(n);
        break;
      case 0x6264:
        if (uint64_t n = integer(e); n > 0 && n <= 64) track.audio.bit_depth = static_cast<uint32_t>(n);
        break;
      default:
        break;
    }
  }

  void name_codec(MatroskaTrack& track) {
    std::string codec(codec_of_matroska(track.codec_id));
    std::string_view id = track.codec_id, data = track.private_data;
    unsigned bits = track.audio.bit_depth.value_or(16);
    if (id == "A_PCM/INT/LIT")
      codec = pcm_name(bits, false, false, bits > 8);
    else if (id == "A_PCM/INT/BIG")
      codec = pcm_name(bits, false, true, bits > 8);
    else if (id == "A_PCM/FLOAT/IEEE")
      codec = pcm_name(bits, true, false, true);
    else if (id == "V_MS/VFW/FOURCC" && data.size() >= 20)  // BITMAPINFOHEADER.biCompression
      codec = video_codec_of_riff(data.substr(16, 4));
    else if (id == "V_QUICKTIME" && data.size() >= 8)  // a QuickTime sample description
      codec = video_codec_of_fourcc(data.substr(4, 4));
    track.video.codec = codec;
    track.video.fourcc = track.codec_id;
    if (codec == "h264" && id == "V_MPEG4/ISO/AVC") read_avc_config(data, track.video);
    if (codec == "hevc") read_hevc_config(data, track.video);
    if (codec == "av1") read_av1_config(data, track.video);
    if (codec == "aac" && data.size() >= 2) read_aac_config(data.substr(0, 64), track.audio);
    if (codec == "prores" && data.size() >= 4) {
      // The private data are the four letters that QuickTime has.
      track.video.profile = prores_profile(data.substr(0, 4));
      bool four = data[2] == '4';
      track.video.chroma = four ? "4:4:4" : "4:2:2";
      track.video.bit_depth = four ? 12 : 10;
    }
    if (codec == "vp9" && track.video.chroma.empty()) {
      // CodecPrivate of VP9: pairs of id, length, value; 1 profile, 3 bit depth, 4 chroma.
      for (size_t i = 0; i + 2 < data.size(); i += 2u + u8(data.data() + i + 1)) {
        unsigned value = u8(data.data() + i + 2);
        if (data[i] == 1) track.video.profile = "Profile " + std::to_string(value);
        if (data[i] == 3 && value <= 12) track.video.bit_depth = value;
        if (data[i] == 4) track.video.chroma = value <= 1 ? "4:2:0" : value == 2 ? "4:2:2" : "4:4:4";
      }
    }
    track.audio.codec = codec;
  }

  void read_tag(const Element& tag) {
    uint64_t uid = 0;
    each(tag, [&](const Element& e) {
      if (e.id == 0x63C0)
        each(e, [&](const Element& target) {
          if (target.id == 0x63C5) uid = integer(target);
        });
      if (e.id != 0x67C8) return;
      std::string name, value;
      each(e, [&](const Element& part) {
        if (part.id == 0x45A3) name = text(part);
        if (part.id == 0x4487) value = text(part);
      });
      if (name == "NUMBER_OF_FRAMES" && uid != 0 && frame_tags_.size() < kTracksMax) {
        if (auto frames = base::parse_number<int64_t>(value); frames && *frames >= 0)
          frame_tags_.emplace_back(uid, *frames);
      } else if (name == "TIMECODE" && facts_.timecode.empty()) {
        facts_.timecode = value;
      }
    });
  }

  void conclude() {
    double duration = duration_ * static_cast<double>(scale_ns_) / 1e9;
    if (duration > 0 && duration < 1e12) {
      facts_.duration_s = duration;
      double rate = static_cast<double>(bytes_.size()) * 8 / duration;
      if (rate < 1e15) facts_.bit_rate = static_cast<int64_t>(rate);
    }
    for (MatroskaTrack& track : tracks_) {
      if (track.type == 1 && facts_.video_streams++ == 0)
        adopt(track);
      else if (track.type == 2)
        facts_.audio_streams.push_back(track.audio);
      else if (track.type == 17)
        ++facts_.subtitle_streams;
    }
    complete_video_facts(facts_);
  }

  void adopt(const MatroskaTrack& track) {
    const VideoFacts& v = track.video;
    facts_.resolution_x = v.resolution_x;
    facts_.resolution_y = v.resolution_y;
    facts_.codec = v.codec;
    facts_.fourcc = v.fourcc;
    facts_.profile = v.profile;
    facts_.bit_depth = v.bit_depth;
    facts_.chroma = v.chroma;
    facts_.color_primaries = v.color_primaries;
    facts_.color_transfer = v.color_transfer;
    facts_.color_matrix = v.color_matrix;
    facts_.color_range = v.color_range;
    facts_.rotation = v.rotation;
    facts_.sample_aspect = v.sample_aspect;
    if (track.default_duration_ns) facts_.fps = rate_of(track.default_duration_ns);
    for (auto& [uid, frames] : frame_tags_)
      if (uid == track.uid) facts_.frame_count = frames;
    // The display size gives the shape of a pixel; units 0 (pixels) and 3 (aspect) both do.
    constexpr uint64_t kMax = INT32_MAX;
    if (track.display_x && track.display_y && v.resolution_x && v.resolution_y && track.display_x <= kMax &&
        track.display_y <= kMax && (track.display_unit == 0 || track.display_unit == 3)) {
      Rational sar = reduced(static_cast<int64_t>(track.display_x * *v.resolution_y),
                             static_cast<int64_t>(track.display_y * *v.resolution_x));
      facts_.sample_aspect = sar;
    }
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  uint64_t segment_ = 0;
  uint64_t scale_ns_ = 1'000'000;
  double duration_ = 0;
  bool missing_ = false;
  std::vector<MatroskaTrack> tracks_;
  std::vector<std::pair<uint32_t, uint64_t>> seeks_;
  std::vector<uint64_t> done_;
  std::vector<std::pair<uint64_t, int64_t>> frame_tags_;
};

}  // namespace

void read_matroska(MediaBytes& bytes, VideoFacts& facts) { MatroskaReader(bytes, facts).read(); }

}  // namespace millrace::scan
