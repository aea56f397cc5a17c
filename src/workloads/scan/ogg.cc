// Ogg: the first packets of each stream tell what it is, the last page how long.
#include <algorithm>
#include <vector>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/bit_reader.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr size_t kStreamsMax = 64;
constexpr unsigned kHeadPagesMax = 256;    // looked at until every stream has its comments
constexpr size_t kPacketMax = 64 * 1024;   // of a packet of comments
constexpr uint64_t kTailStep = 64 * 1024;  // the last page of each stream is looked for in steps of these
constexpr uint64_t kTailMax = 512 * 1024;

struct Page {
  uint32_t serial = 0;
  unsigned flags = 0;  // 1 continued, 2 first, 4 last
  uint64_t granule = 0;
  uint64_t at = 0, size = 0;  // of the content
  uint64_t next = 0;
};

enum class Kind { kOther, kAudio, kVideo, kText };

struct Stream {
  uint32_t serial = 0;
  Kind kind = Kind::kOther;
  AudioStream audio;
  VideoFacts video;
  uint64_t skip = 0;       // samples before the first one that is heard
  unsigned key_shift = 0;  // Theora: a granule counts key frames above this bit, frames since then below
  std::string comments;    // the packet that is being put together
  bool commented = false;
  uint64_t last_granule = UINT64_MAX, first_granule = UINT64_MAX;
};

class OggReader {
 public:
  OggReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    facts_.container = "ogg";
    try {
      read_heads();
      read_tail();
    } catch (...) {
      conclude();
      throw;
    }
    conclude();
    if (std::none_of(streams_.begin(), streams_.end(),
                     [](const Stream& s) { return s.kind != Kind::kOther; }))
      corrupt("Ogg without a stream that is known,", 0);
    check_end(last_end_, bytes_.size(), "last Ogg page");
    if (!ended_) corrupt("truncated: no last page of an Ogg stream, end", bytes_.size());
  }

 private:
  Page page(uint64_t at) {
    bytes_.step("Ogg pages");
    std::string_view p = bytes_.at(at, 27, "Ogg page");
    if (!p.starts_with("OggS") || p[4] != '\0') corrupt("not an Ogg page", at);
    Page page;
    page.flags = u8(p.data() + 5);
    page.granule = le64(p.data() + 6);
    page.serial = le32(p.data() + 14);
    unsigned segments = u8(p.data() + 26);
    for (char c : bytes_.at(at + 27, segments, "Ogg page")) page.size += u8(&c);
    page.at = at + 27 + segments;
    page.next = page.at + page.size;
    return page;
  }

  Stream* stream_of(uint32_t serial) {
    for (Stream& stream : streams_)
      if (stream.serial == serial) return &stream;
    return nullptr;
  }

  void read_heads() {
    uint64_t at = 0;
    for (unsigned pages = 0; at < bytes_.size() && pages < kHeadPagesMax; ++pages) {
      Page p = page(at);
      check_end(p.next, bytes_.size(), "Ogg page");
      if (p.flags & 4) ended_ = true;
      if (p.flags & 2) {
        if (streams_.size() >= kStreamsMax) throw BudgetError("more than 64 Ogg streams");
        Stream& stream = streams_.emplace_back();
        stream.serial = p.serial;
        identify(bytes_.at(p.at, static_cast<size_t>(std::min<uint64_t>(p.size, 512)), "Ogg page"), stream);
      } else if (Stream* stream = stream_of(p.serial)) {
        add_comments(p, *stream);
        if (p.granule != UINT64_MAX && p.granule != 0 && stream->first_granule == UINT64_MAX)
          stream->first_granule = p.granule;
      }
      at = p.next;
      bool all = std::all_of(streams_.begin(), streams_.end(),
                             [](const Stream& s) { return s.commented || s.kind == Kind::kOther; });
      if (all && !(p.flags & 2)) break;
    }
  }

  void identify(std::string_view p, Stream& stream) {
    if (p.starts_with("\x01vorbis") && p.size() >= 28) {
      stream.kind = Kind::kAudio;
      stream.audio.codec = "vorbis";
      stream.audio.channels = u8(p.data() + 11);
      stream.audio.sample_rate_hz = le32(p.data() + 12);
      if (auto nominal = static_cast<int32_t>(le32(p.data() + 20)); nominal > 0)
        stream.audio.bit_rate = nominal;
      stream.audio.channel_layout = layout_of_xiph(*stream.audio.channels);
    } else if (p.starts_with("OpusHead") && p.size() >= 19) {  // RFC 7845 section 5.1
      stream.kind = Kind::kAudio;
      stream.audio.codec = "opus";
      stream.audio.channels = u8(p.data() + 9);
      stream.audio.sample_rate_hz = 48000;
      stream.skip = le16(p.data() + 10);
      stream.audio.channel_layout = layout_of_xiph(*stream.audio.channels);
    } else if (p.starts_with("\x7F"
                             "FLAC") &&
               p.size() >= 13 + 4 + 34) {
      stream.kind = Kind::kAudio;
      std::optional<int64_t> samples;
      read_flac_info(p.substr(17, 34), stream.audio, samples);
    } else if (p.starts_with("Speex   ") && p.size() >= 52) {
      stream.kind = Kind::kAudio;
      stream.audio.codec = "speex";
      stream.audio.sample_rate_hz = le32(p.data() + 36);
      stream.audio.channels = le32(p.data() + 48);
      if (*stream.audio.channels > 255) stream.audio.channels.reset();
    } else if (p.starts_with("\x80theora") && p.size() >= 42) {
      identify_theora(p, stream);
    } else if (p.starts_with("\x80kate")) {
      stream.kind = Kind::kText;
    }
    if (stream.audio.channels == 0u) stream.audio.channels.reset();
    if (stream.audio.sample_rate_hz == 0u) stream.audio.sample_rate_hz.reset();
  }

  // Theora specification, section 6.2.
  void identify_theora(std::string_view p, Stream& stream) {
    stream.kind = Kind::kVideo;
    VideoFacts& video = stream.video;
    video.codec = "theora";
    auto be24 = [&](size_t at) { return be32(p.data() + at) >> 8; };
    uint32_t width = be24(14), height = be24(17);
    uint32_t num = be32(p.data() + 22), den = be32(p.data() + 26);
    uint32_t across = be24(30), down = be24(33);
    if (width && height) video.resolution_x = width, video.resolution_y = height;
    if (num && den) video.fps = reduced(num, den);
    if (across && down) video.sample_aspect = reduced(across, down);
    Bits bits(p.substr(36));
    unsigned space = bits.get(8);
    bits.get(24 + 6);
    stream.key_shift = bits.get(5);
    static constexpr std::string_view kFormats[] = {"4:2:0", "", "4:2:2", "4:4:4"};
    video.chroma = kFormats[bits.get(2)];
    video.bit_depth = 8;
    if (space == 1) set_color_codes(video, 4, 6, 6);
    if (space == 2) set_color_codes(video, 5, 6, 6);
  }

  // The second packet of all known codecs is a list of comments, alone on its pages but for what follows it.
  void add_comments(const Page& p, Stream& stream) {
    if (stream.commented || stream.kind == Kind::kOther) return;
    size_t wanted = kPacketMax - std::min(kPacketMax, stream.comments.size());
    stream.comments += bytes_.at(p.at, static_cast<size_t>(std::min<uint64_t>(p.size, wanted)), "Ogg page");
    // Enough when the packet ends on this page: a page of less than 255 segments of 255 ends one.
    if (p.size == 255u * 255u && stream.comments.size() < kPacketMax) return;
    stream.commented = true;
    std::string_view text = stream.comments;
    size_t skip = text.starts_with("\x03vorbis") || text.starts_with("\x81theora") ? 7
                  : text.starts_with("OpusTags")                                   ? 8
                  : stream.audio.codec == "flac"                                   ? 4
                  : stream.audio.codec == "speex"                                  ? 0
                                                                                   : std::string::npos;
    if (skip < text.size()) read_vorbis_comments(text.substr(skip), facts_);
    stream.comments.clear();
    stream.comments.shrink_to_fit();
  }

  // From the end backwards until each stream has shown a granule.
  void read_tail() {
    uint64_t end = bytes_.size();
    for (uint64_t looked = 0; end > 0 && looked < kTailMax; looked += kTailStep) {
      uint64_t begin = end - std::min(end, kTailStep);
      scan_pages(begin, end);
      if (std::all_of(streams_.begin(), streams_.end(), [](const Stream& s) {
            return s.last_granule != UINT64_MAX || s.kind == Kind::kOther || s.kind == Kind::kText;
          }))
        break;
      end = begin;
    }
  }

  // Pages that begin in [begin, end): a later one of the same stream wins.
  void scan_pages(uint64_t begin, uint64_t end) {
    std::vector<std::pair<uint32_t, uint64_t>> found;
    size_t length = static_cast<size_t>(std::min(bytes_.size(), end + 27) - begin);
    std::string_view block = bytes_.at(begin, length, "last Ogg pages");
    for (size_t at = block.find("OggS"); at != std::string_view::npos && begin + at < end;
         at = block.find("OggS", at + 4)) {
      bytes_.step("last Ogg pages");
      if (at + 27 > block.size() || block[at + 4] != '\0') continue;
      uint64_t granule = le64(block.data() + at + 6);
      if (u8(block.data() + at + 5) & 4) ended_ = true;
      if (size_t segments = u8(block.data() + at + 26); at + 27 + segments <= block.size()) {
        uint64_t next = begin + at + 27 + segments;
        for (char c : block.substr(at + 27, segments)) next += u8(&c);
        last_end_ = std::max(last_end_, next);
      } else {
        last_end_ = std::max(last_end_, begin + at + 27 + segments);
      }
      if (granule != UINT64_MAX && found.size() < 100'000)
        found.emplace_back(le32(block.data() + at + 14), granule);
    }
    std::reverse(found.begin(), found.end());
    for (auto [serial, granule] : found)
      if (Stream* stream = stream_of(serial); stream && stream->last_granule == UINT64_MAX)
        stream->last_granule = granule;
  }

  void conclude() {
    double longest = 0;
    for (Stream& stream : streams_) {
      uint64_t last = stream.last_granule;
      if (stream.kind == Kind::kText) ++facts_.subtitle_streams;
      if (stream.kind == Kind::kAudio) {
        // Speex and FLAC count samples too.
        if (last != UINT64_MAX && last > stream.skip && stream.audio.sample_rate_hz) {
          uint64_t samples = last - stream.skip;
          stream.audio.duration_s = static_cast<double>(samples) / *stream.audio.sample_rate_hz;
          if (samples < uint64_t{1} << 52 && facts_.audio_streams.empty())
            facts_.sound.sample_count = static_cast<int64_t>(samples);
          longest = std::max(longest, static_cast<double>(last) / *stream.audio.sample_rate_hz);
        }
        facts_.audio_streams.push_back(stream.audio);
      }
      if (stream.kind != Kind::kVideo || facts_.video_streams++ > 0) continue;
      const VideoFacts& v = stream.video;
      facts_.codec = v.codec;
      facts_.resolution_x = v.resolution_x;
      facts_.resolution_y = v.resolution_y;
      facts_.fps = v.fps;
      facts_.sample_aspect = v.sample_aspect;
      facts_.chroma = v.chroma;
      facts_.bit_depth = v.bit_depth;
      facts_.color_primaries = v.color_primaries;
      facts_.color_transfer = v.color_transfer;
      facts_.color_matrix = v.color_matrix;
      if (last != UINT64_MAX && v.fps && last < uint64_t{1} << 52) {
        uint64_t frames = (last >> stream.key_shift) + (last & ((uint64_t{1} << stream.key_shift) - 1));
        facts_.frame_count = static_cast<int64_t>(frames);
        longest = std::max(longest, static_cast<double>(frames) / v.fps->value());
      }
    }
    if (longest > 0) facts_.duration_s = longest;
    set_bit_rate(facts_, bytes_.size());
    complete_video_facts(facts_);
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  std::vector<Stream> streams_;
  bool ended_ = false;
  uint64_t last_end_ = 0;  // of the pages at the end of the file
};

}  // namespace

void read_ogg(MediaBytes& bytes, VideoFacts& facts) { OggReader(bytes, facts).read(); }

}  // namespace millrace::scan
