// ASF: WMV and WMA. All that is wanted stands in the header object.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/strings.h"
#include "workloads/scan/asf_packets.h"
#include "workloads/scan/audio_headers.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

constexpr size_t kStreamsMax = 127;
constexpr int kNestingMax = 8;
constexpr uint64_t kEpoch1601_ms = 11644473600000;

// ASF section 10: as bytes, mixed endian as GUIDs are.
constexpr std::string_view kHeader = "\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"sv;
constexpr std::string_view kFile = "\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65"sv;
constexpr std::string_view kStream = "\x91\x07\xDC\xB7\xB7\xA9\xCF\x11\x8E\xE6\x00\xC0\x0C\x20\x53\x65"sv;
constexpr std::string_view kExtension = "\xB5\x03\xBF\x5F\x2E\xA9\xCF\x11\x8E\xE3\x00\xC0\x0C\x20\x53\x65"sv;
constexpr std::string_view kContent = "\x33\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"sv;
constexpr std::string_view kMoreContent =
    "\x40\xA4\xD0\xD2\x07\xE3\xD2\x11\x97\xF0\x00\xA0\xC9\x5E\xA8\x50"sv;
constexpr std::string_view kStreamMore = "\xCB\xA5\xE6\x14\x72\xC6\x32\x43\x83\x99\xA9\x69\x52\x06\x5B\x5A"sv;
constexpr std::string_view kMetadata = "\xEA\xCB\xF8\xC5\xAF\x5B\x77\x48\x84\x67\xAA\x8C\x44\xFA\x4C\xCA"sv;
constexpr std::string_view kData = "\x36\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"sv;
constexpr std::string_view kAudio = "\x40\x9E\x69\xF8\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B"sv;
constexpr std::string_view kVideo = "\xC0\xEF\x19\xBC\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B"sv;

struct Object {
  std::string id;
  uint64_t at = 0, end = 0;
  uint64_t size() const { return end - at; }
};

struct AsfStream {
  unsigned number = 0;
  bool is_video = false;
  VideoFacts video;
  AudioStream audio;
};

std::string utf16le_text(std::string_view raw) {
  std::string swapped;
  for (size_t i = 0; i + 2 <= raw.size(); i += 2) {
    swapped += raw[i + 1];
    swapped += raw[i];
  }
  return clean_text(utf16be_text(swapped));
}

class AsfReader {
 public:
  AsfReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    facts_.container = "asf";
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (streams_.empty()) corrupt("ASF without a stream, its end", bytes_.size());
  }

 private:
  Object object(uint64_t at) {
    bytes_.step("ASF objects");
    std::string_view p = bytes_.at(at, 24, "ASF object");
    Object object{std::string(p.substr(0, 16)), at + 24, 0};
    uint64_t size = le64(p.data() + 16);
    if (size < 24 || size > UINT64_MAX / 2) corrupt("ASF object of " + std::to_string(size) + " bytes", at);
    object.end = at + size;
    return object;
  }

  void walk() {
    Object header = object(0);
    if (header.id != kHeader || header.size() < 6) corrupt("not an ASF file", 0);
    check_end(header.end, bytes_.size(), "ASF header");
    each(header.at + 6, header.end);
    if (bytes_.size() - header.end < 24) throw base::CorruptError("truncated: ASF without its data");
    Object data = object(header.end);
    if (data.id != kData) corrupt("ASF without its data", header.end);
    for (const AsfStream& stream : streams_)
      if (stream.is_video) {
        measure_rate(asf_frame_times(bytes_, data.at + 26, broadcast_ ? bytes_.size() : data.end,
                                     packet_bytes_, stream.number));
        break;
      }
    if (!broadcast_) check_end(data.end, bytes_.size(), "ASF data");
  }

  // Few writers state a rate, and fewer keep to it: the first frames tell, to a millisecond.
  void measure_rate(std::vector<uint32_t> times) {
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    if (times.size() < 5) return;
    double span_ms = times.back() - times.front();
    double rate = static_cast<double>(times.size() - 1) * 1000 / span_ms;
    double slack = rate * 1.5 / span_ms;  // of a millisecond and a half
    double best = slack;
    for (int64_t den : {int64_t{1}, int64_t{1001}}) {
      double factor = den == 1 ? 1.0 : 1.001;
      double whole = std::round(rate * factor), distance = std::abs(whole / factor - rate);
      if (whole < 1 || whole > 1000 || distance >= best) continue;
      best = distance;
      measured_ = den == 1 ? Rational{static_cast<int64_t>(whole), 1}
                           : reduced(static_cast<int64_t>(whole) * 1000, 1001);
    }
  }

  void each(uint64_t at, uint64_t end) {
    if (depth_ >= kNestingMax) throw BudgetError("ASF objects nest more than 8 deep");
    ++depth_;
    while (at < end && end - at >= 24) {
      Object o = object(at);
      if (o.end > end) corrupt("ASF object runs over the one around it", at);
      if (o.id == kFile)
        read_file(o);
      else if (o.id == kStream)
        read_stream(o);
      else if (o.id == kExtension && o.size() >= 22)
        each(o.at + 22, std::min(o.end, o.at + 22 + bytes_.read_le32(o.at + 18, "ASF header extension")));
      else if (o.id == kStreamMore)
        read_more(o);
      else if (o.id == kContent)
        read_content(o);
      else if (o.id == kMoreContent)
        read_pairs(o);
      else if (o.id == kMetadata)
        read_metadata(o);
      at = o.end;
    }
    --depth_;
  }

  void read_file(const Object& o) {
    std::string_view p = bytes_.at(o.at, 80, "ASF file properties");
    uint64_t created = le64(p.data() + 24), play = le64(p.data() + 40), preroll_ms = le64(p.data() + 56);
    broadcast_ = le32(p.data() + 64) & 1;
    packet_bytes_ = le32(p.data() + 68);
    if (created / 10000 > kEpoch1601_ms && created < uint64_t{1} << 62)
      facts_.creation_time_ms = static_cast<base::TimeMs>(created / 10000 - kEpoch1601_ms);
    if (!broadcast_ && play / 10000 > preroll_ms && play < uint64_t{1} << 60)
      facts_.duration_s = static_cast<double>(play) / 1e7 - static_cast<double>(preroll_ms) / 1000;
  }

  AsfStream& stream_of(unsigned number) {
    for (AsfStream& stream : streams_)
      if (stream.number == number) return stream;
    if (streams_.size() >= kStreamsMax) throw BudgetError("more than 127 ASF streams");
    streams_.emplace_back().number = number;
    return streams_.back();
  }

  void read_stream(const Object& o) {
    std::string_view p = bytes_.at(o.at, static_cast<size_t>(std::clamp<uint64_t>(o.size(), 54, 4096)),
                                   "ASF stream properties");
    std::string_view type = p.substr(0, 16);
    size_t specific = le32(p.data() + 40);
    unsigned number = le16(p.data() + 48) & 0x7F;
    if (type != kAudio && type != kVideo) return;
    std::string_view data = p.substr(54, specific);
    AsfStream& stream = stream_of(number);
    stream.is_video = type == kVideo;
    if (!stream.is_video) {
      read_wave_format(data, stream.audio);
      return;
    }
    if (data.size() < 11 + 40) return;
    uint32_t width = le32(data.data()), height = le32(data.data() + 4);
    if (width && height && width < 65536 && height < 65536) {
      stream.video.resolution_x = width;
      stream.video.resolution_y = height;
    }
    std::string_view fourcc = data.substr(11 + 16, 4);
    stream.video.fourcc = clean_text(fourcc);
    stream.video.codec = video_codec_of_riff(fourcc);
  }

  // Extended stream properties: the time of a frame, and perhaps the stream's own properties behind names.
  void read_more(const Object& o) {
    std::string_view p = bytes_.at(o.at, 64, "ASF extended stream properties");
    unsigned number = le16(p.data() + 48) & 0x7F;
    uint64_t frame = le64(p.data() + 52);  // in 100 ns
    unsigned names = le16(p.data() + 60), extensions = le16(p.data() + 62);
    if (frame > 0 && frame < 100'000'000) frame_times_.emplace_back(number, frame);
    uint64_t at = o.at + 64;
    for (; names > 0; --names) at += 4u + bytes_.read_le16(at + 2, "ASF stream name");
    for (; extensions > 0; --extensions) {
      bytes_.step("ASF payload extensions");
      at += 22u + uint64_t{bytes_.read_le32(at + 18, "ASF payload extension")};
    }
    if (at < o.end) each(at, o.end);
  }

  void read_content(const Object& o) {
    std::string_view p =
        bytes_.at(o.at, static_cast<size_t>(std::clamp<uint64_t>(o.size(), 10, 16 * 1024)), "ASF content");
    size_t title = le16(p.data()), author = le16(p.data() + 2);
    if (10 + title + author > p.size()) return;
    facts_.sound.title = utf16le_text(p.substr(10, title));
    facts_.sound.artist = utf16le_text(p.substr(10 + title, author));
  }

  void read_pairs(const Object& o) {
    uint64_t at = o.at + 2;
    for (unsigned count = bytes_.read_le16(o.at, "ASF content"); count > 0 && at + 6 <= o.end; --count) {
      bytes_.step("ASF content");
      unsigned length = bytes_.read_le16(at, "ASF content");
      std::string name = utf16le_text(bytes_.at(at + 2, length, "ASF content"));
      at += 2u + length;
      unsigned type = bytes_.read_le16(at, "ASF content"), size = bytes_.read_le16(at + 2, "ASF content");
      if (type == 0 && size < 2048) {
        if (name == "WM/EncodingSettings" || name == "WM/ToolName")
          facts_.encoder = utf16le_text(bytes_.at(at + 4, size, "ASF content"));
        if (name == "WM/AlbumTitle")
          facts_.sound.album = utf16le_text(bytes_.at(at + 4, size, "ASF content"));
      }
      at += 4u + size;
    }
  }

  // Metadata object, section 4.7: among others the shape of pixels.
  void read_metadata(const Object& o) {
    uint64_t at = o.at + 2;
    for (unsigned count = bytes_.read_le16(o.at, "ASF metadata"); count > 0 && at + 12 <= o.end; --count) {
      bytes_.step("ASF metadata");
      std::string_view p = bytes_.at(at, 12, "ASF metadata");
      unsigned number = le16(p.data() + 2), length = le16(p.data() + 4), type = le16(p.data() + 6);
      uint32_t size = le32(p.data() + 8);
      std::string name = utf16le_text(bytes_.at(at + 12, length, "ASF metadata"));
      uint64_t value = at + 12 + length;
      if (type == 3 && size == 4 && name.starts_with("AspectRatio")) {
        uint32_t n = bytes_.read_le32(value, "ASF metadata");
        if (n > 0 && n < 65536) (name == "AspectRatioX" ? aspect_x_ : aspect_y_) = {number, n};
      }
      at = value + size;
    }
  }

  void conclude() {
    for (AsfStream& stream : streams_) {
      if (!stream.is_video) {
        facts_.audio_streams.push_back(stream.audio);
        continue;
      }
      if (facts_.video_streams++ > 0) continue;
      facts_.codec = stream.video.codec;
      facts_.fourcc = stream.video.fourcc;
      facts_.resolution_x = stream.video.resolution_x;
      facts_.resolution_y = stream.video.resolution_y;
      for (auto [number, time] : frame_times_) {
        if (number != stream.number) continue;
        double rate = 1e7 / static_cast<double>(time), ntsc = rate * 1.001;
        if (std::abs(rate - std::round(rate)) < 1e-3 && rate >= 1)
          facts_.fps = Rational{std::llround(rate), 1};
        else if (std::abs(ntsc - std::round(ntsc)) < 1e-3 && rate >= 1)
          facts_.fps = reduced(std::llround(ntsc) * 1000, 1001);
        else
          facts_.fps = reduced(10'000'000, static_cast<int64_t>(time));
      }
      if (measured_ && (!facts_.fps || std::abs(facts_.fps->value() / measured_->value() - 1) > 0.02))
        facts_.fps = measured_;
      if (aspect_x_.second && aspect_y_.second && (aspect_x_.first == 0 || aspect_x_.first == stream.number))
        facts_.sample_aspect = reduced(aspect_x_.second, aspect_y_.second);
    }
    if (facts_.duration_s && facts_.audio_streams.size() == 1 && facts_.video_streams == 0)
      facts_.audio_streams[0].duration_s = facts_.duration_s;
    set_bit_rate(facts_, bytes_.size());
    complete_video_facts(facts_);
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  std::vector<AsfStream> streams_;
  std::vector<std::pair<unsigned, uint64_t>> frame_times_;
  std::pair<unsigned, uint32_t> aspect_x_{}, aspect_y_{};  // stream (0: all), value
  std::optional<Rational> measured_;
  uint32_t packet_bytes_ = 0;
  int depth_ = 0;
  bool broadcast_ = false;
};

}  // namespace

void read_asf(MediaBytes& bytes, VideoFacts& facts) { AsfReader(bytes, facts).read(); }

}  // namespace millrace::scan
