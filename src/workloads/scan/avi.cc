// AVI with its OpenDML extensions: files beyond 1 GiB are several RIFF chunks in a row.
#include <algorithm>
#include <vector>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"
#include "workloads/scan/video_parameters.h"

namespace millrace::scan {
namespace {

constexpr size_t kStreamsMax = 100;
constexpr size_t kRiffsMax = 4096;
constexpr unsigned kFirstChunksMax = 64;  // of the media data, until the first frame of video

struct Chunk {
  std::string id, list;  // `list`: the type of a LIST or RIFF
  uint64_t at = 0, end = 0;
  uint64_t next() const { return end + ((end - at) & 1); }
};

struct AviStream {
  std::string type;  // "vids", "auds", "txts"
  uint32_t scale = 0, rate = 0, length = 0, sample_bytes = 0;
  VideoFacts video;
  AudioStream audio;
};

class AviReader {
 public:
  AviReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    facts_.container = "avi";
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (streams_.empty()) corrupt("AVI without a stream, its end", bytes_.size());
    if (!movie_) corrupt("truncated: AVI without its media data, end", bytes_.size());
  }

 private:
  Chunk chunk(uint64_t at) {
    bytes_.step("chunks");
    std::string_view p = bytes_.at(at, 8, "chunk");
    Chunk c{std::string(p.substr(0, 4)), "", at + 8, at + 8 + le32(p.data() + 4)};
    if ((c.id == "LIST" || c.id == "RIFF") && c.end - c.at >= 4) {
      c.list = bytes_.at(c.at, 4, "list");
      c.at += 4;
    }
    return c;
  }

  template <typename Function>
  void each(const Chunk& around, Function&& f) {
    for (uint64_t at = around.at; at < around.end && around.end - at >= 8;) {
      Chunk c = chunk(at);
      if (c.end > around.end) {
        check_end(c.end, bytes_.size(), "chunk");
        corrupt("chunk runs over the one around it", at);
      }
      f(static_cast<const Chunk&>(c));
      at = c.next();
    }
  }

  void walk() {
    uint64_t at = 0;
    for (size_t riffs = 0; at < bytes_.size() && bytes_.size() - at >= 12; ++riffs) {
      Chunk riff = chunk(at);
      if (riffs == 0 && (riff.id != "RIFF" || riff.list != "AVI ")) corrupt("not an AVI file", 0);
      if (riff.id != "RIFF" || riffs > kRiffsMax) break;  // what some writers leave behind the end
      if (riffs == 0) read_first(riff);
      check_end(riff.end, bytes_.size(), "RIFF chunk");
      at = riff.next();
      if (bytes_.size() > at && bytes_.size() - at < 12 && bytes_.some(at, 4, "RIFF chunk") == "RIFF")
        throw base::CorruptError("truncated: a RIFF chunk begins at offset " + std::to_string(at));
    }
  }

  void read_first(const Chunk& riff) {
    for (uint64_t at = riff.at; at < std::min(riff.end, bytes_.size()) && bytes_.size() - at >= 8;) {
      Chunk c = chunk(at);
      if (c.list == "hdrl") {
        check_end(c.end, bytes_.size(), "AVI header");
        each(c, [&](const Chunk& inner) { read_header(inner); });
      } else if (c.list == "INFO") {
        check_end(c.end, bytes_.size(), "AVI remarks");
        each(c, [&](const Chunk& inner) { read_remark(inner); });
      } else if (c.list == "movi") {
        movie_ = true;
        read_first_frame(c);
        check_end(c.end, bytes_.size(), "AVI media data");
      }
      at = c.next();
    }
  }

  void read_header(const Chunk& c) {
    if (c.id == "avih" && c.end - c.at >= 40) {
      std::string_view p = bytes_.at(c.at, 40, "avih");
      frame_us_ = le32(p.data());
      frames_ = le32(p.data() + 16);
    } else if (c.list == "strl") {
      if (streams_.size() >= kStreamsMax) throw BudgetError("more than 100 AVI streams");
      AviStream& stream = streams_.emplace_back();
      each(c, [&](const Chunk& inner) { read_stream(inner, stream); });
    } else if (c.list == "odml") {
      each(c, [&](const Chunk& inner) {
        if (inner.id == "dmlh" && inner.end - inner.at >= 4)
          total_frames_ = bytes_.read_le32(inner.at, "dmlh");
      });
    }
  }

  void read_stream(const Chunk& c, AviStream& stream) {
    auto content = [&](size_t max) {
      return bytes_.at(c.at, static_cast<size_t>(std::min<uint64_t>(c.end - c.at, max)), "AVI stream");
    };
    if (c.id == "strh" && c.end - c.at >= 48) {
      std::string_view p = content(48);
      stream.type = p.substr(0, 4);
      stream.video.fourcc = clean_text(p.substr(4, 4));
      stream.scale = le32(p.data() + 20);
      stream.rate = le32(p.data() + 24);
      stream.length = le32(p.data() + 32);
      stream.sample_bytes = le32(p.data() + 44);
    } else if (c.id == "strf" && stream.type == "vids") {
      std::string_view p = content(4096);
      if (p.size() < 40) return;
      uint32_t width = le32(p.data() + 4);
      auto height = static_cast<int32_t>(le32(p.data() + 8));
      if (width && width < 65536 && height > -65536 && height < 65536 && height != 0) {
        stream.video.resolution_x = width;
        stream.video.resolution_y = static_cast<uint32_t>(height < 0 ? -height : height);
      }
      unsigned bits = le16(p.data() + 14);
      std::string_view fourcc = p.substr(16, 4);
      stream.video.codec = video_codec_of_riff(fourcc);
      if (std::string code = clean_text(fourcc); code.size() == 4) stream.video.fourcc = code;
      if (stream.video.codec == "rawvideo" && fourcc[0] == '\0') {
        stream.video.pixel_format = bits == 24 ? "bgr24" : bits == 32 ? "bgra" : bits == 8 ? "pal8" : "";
        stream.video.bit_depth = 8;
      }
      if (p.size() > 40) read_coded_video(p.substr(40), stream.video.codec, stream.video);
    } else if (c.id == "strf" && stream.type == "auds") {
      std::string_view p = content(512);
      auto format = read_wave_format(p, stream.audio);
      if (format && stream.audio.codec == "aac" && p.size() > 20) read_aac_config(p.substr(18), stream.audio);
    } else if (c.id == "vprp" && c.end - c.at >= 24) {
      std::string_view p = content(24);
      uint64_t x = le16(p.data() + 22), y = le16(p.data() + 20);  // of the whole picture
      if (x && y && stream.video.resolution_x && stream.video.resolution_y)
        stream.video.sample_aspect = reduced(static_cast<int64_t>(x * *stream.video.resolution_y),
                                             static_cast<int64_t>(y * *stream.video.resolution_x));
    }
  }

  void read_remark(const Chunk& c) {
    std::string* fact = c.id == "ISFT"   ? &facts_.encoder
                        : c.id == "ISMP" ? &facts_.timecode
                        : c.id == "ITCH" ? nullptr
                        : c.id == "TAPE" ? &facts_.reel
                        : c.id == "INAM" ? &facts_.sound.title
                                         : nullptr;
    if (fact)
      *fact = clean_text(
          bytes_.at(c.at, static_cast<size_t>(std::min<uint64_t>(c.end - c.at, 255)), "AVI remark"));
  }

  // What the header leaves out (profile, depth, colours) the first frame has for codecs with start codes.
  void read_first_frame(const Chunk& movie) {
    size_t index = 0;
    while (index < streams_.size() && streams_[index].type != "vids") ++index;
    if (index == streams_.size()) return;
    VideoFacts& video = streams_[index].video;
    if (video.codec != "h264" && video.codec != "hevc" && video.codec != "mpeg4" &&
        !video.codec.starts_with("mpeg"))
      return;
    uint64_t end = std::min(movie.end, bytes_.size());
    uint64_t at = movie.at;
    for (unsigned n = 0; n < kFirstChunksMax && at < end && end - at >= 8; ++n) {
      Chunk c = chunk(at);
      if (c.list == "rec ") {
        at = c.at;
        continue;
      }
      if (c.id.size() == 4 && c.id[2] == 'd' &&
          c.id.substr(0, 2) == std::to_string(index / 10) + std::to_string(index % 10)) {
        read_coded_video(
            bytes_.some(c.at, static_cast<size_t>(std::min<uint64_t>(c.end - c.at, 4096)), "first frame"),
            video.codec, video);
        return;
      }
      at = c.next();
    }
  }

  static double seconds(const AviStream& stream, uint64_t length) {
    if (stream.rate == 0 || stream.scale == 0) return 0;
    return static_cast<double>(length) * stream.scale / stream.rate;
  }

  void conclude() {
    double longest = 0;
    for (AviStream& stream : streams_) {
      if (stream.type == "auds") {
        if (double s = seconds(stream, stream.length); s > 0) {
          stream.audio.duration_s = s;
          longest = std::max(longest, s);
        }
        facts_.audio_streams.push_back(stream.audio);
      } else if (stream.type == "txts") {
        ++facts_.subtitle_streams;
      } else if (stream.type == "vids" && facts_.video_streams++ == 0) {
        adopt(stream);
        uint64_t frames = std::max<uint64_t>(stream.length, total_frames_);
        if (frames == 0) frames = frames_;
        if (frames) facts_.frame_count = static_cast<int64_t>(frames);
        longest = std::max(longest, seconds(stream, frames));
      }
    }
    if (longest > 0) facts_.duration_s = longest;
    set_bit_rate(facts_, bytes_.size());
    complete_video_facts(facts_);
  }

  void adopt(AviStream& stream) {
    take_picture(stream.video, facts_);
    if (stream.rate && stream.scale && stream.rate / stream.scale < 1000)
      facts_.fps = reduced(stream.rate, stream.scale);
    else if (frame_us_)
      facts_.fps = reduced(1'000'000, frame_us_);
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  std::vector<AviStream> streams_;
  uint32_t frame_us_ = 0, frames_ = 0, total_frames_ = 0;
  bool movie_ = false;
};

}  // namespace

void read_avi(MediaBytes& bytes, VideoFacts& facts) { AviReader(bytes, facts).read(); }

}  // namespace millrace::scan
