// MPEG transport streams: tables and first frames from the start, the last time stamps from the end.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"
#include "workloads/scan/video_parameters.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kHeadMax = 1024 * 1024;  // looked through until all streams are known
constexpr uint64_t kTailStep = 128 * 1024;  // looked through for the last time stamps, in steps
constexpr uint64_t kTailMax = 1024 * 1024;
constexpr size_t kStreamsMax = 128;
constexpr uint64_t kTablesLate = 8;  // packets before the tables after which one begins again
constexpr size_t kSectionMax = 4096;
constexpr size_t kPacketMax = 16 * 1024;  // of the first packet of a stream, and of the last one of sound
constexpr size_t kTimesWanted = 40;       // time stamps from which a frame rate is guessed
constexpr uint64_t kClock = 90000;        // ticks a second
constexpr uint64_t kWrap = uint64_t{1} << 33;
constexpr uint64_t kNone = UINT64_MAX;

enum class Kind { kOther, kVideo, kAudio, kText };

struct TsStream {
  unsigned pid = 0;
  Kind kind = Kind::kOther;
  bool identified = false;
  VideoFacts video;
  AudioStream audio;
  std::string packet;  // the PES packet being put together, without its header
  bool collecting = false;
  std::vector<uint64_t> times;  // the first presentation times
  uint64_t first = kNone, end = kNone;
  uint64_t packet_time = kNone;  // of the packet at hand, while the end of the file is read
  bool tail_done = false;
};

struct Section {
  unsigned pid = 0;
  std::string data;
};

class TsReader {
 public:
  TsReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    try {
      find_packets();
      read_head();
      if (!streams_.empty()) read_tail();
    } catch (...) {
      conclude();
      throw;
    }
    conclude();
    if (streams_.empty()) corrupt("a transport stream without its tables, end", bytes_.size());
    if (uint64_t over = (bytes_.size() - start_) % packet_;
        over != 0 && packet_ - over > (packet_ == 192 ? 4 : 0))
      throw base::CorruptError("truncated: the last packet has " + std::to_string(over) + " of " +
                               std::to_string(packet_) + " bytes");
  }

 private:
  void find_packets() {
    std::string_view head = bytes_.some(0, 2048, "transport stream");
    for (size_t packet : {188u, 192u, 204u})
      for (size_t start = 0; start < packet && start < head.size(); ++start) {
        unsigned found = 0;
        size_t at = start;
        while (at < head.size() && head[at] == 'G' && found < 5) ++found, at += packet;
        if (found >= 5 || (found > 0 && at >= head.size() && start <= 4)) {
          packet_ = packet;
          start_ = packet == 192 && start >= 4 ? start - 4 : start;
          sync_ = start - start_;
          facts_.container = packet == 192 ? "m2ts" : "mpegts";
          return;
        }
      }
    corrupt("not a transport stream", 0);
  }

  // Calls f(packet of 188 bytes) for those that lie in [from, to); false from f ends it.
  template <typename Function>
  void each_packet(uint64_t from, uint64_t to, Function&& f) {
    uint64_t at = from;
    while (at + packet_ <= to + (packet_ - sync_ - 188) && at + sync_ + 188 <= to) {
      bytes_.step("transport packets");
      std::string_view p = bytes_.at(at + sync_, 188, "transport packet");
      if (p[0] != 'G') {  // damage: on to where two packets follow each other again
        std::string_view near = bytes_.some(at + sync_, 2 * packet_ + 188, "transport packet");
        size_t skip = 1;
        while (skip + packet_ < near.size() && (near[skip] != 'G' || near[skip + packet_] != 'G')) ++skip;
        lost_ = true;
        at += skip;
        continue;
      }
      if (!f(p)) return;
      at += packet_;
    }
  }

  static std::string_view payload_of(std::string_view p) {
    unsigned control = u8(p.data() + 3) >> 4 & 3;
    if (!(control & 1)) return {};
    size_t at = 4;
    if (control & 2) at += 1u + u8(p.data() + 4);
    return at < p.size() ? p.substr(at) : std::string_view();
  }
  static unsigned pid_of(std::string_view p) { return be16(p.data() + 1) & 0x1FFF; }
  static bool begins(std::string_view p) { return u8(p.data() + 1) & 0x40; }

  void read_head() {
    uint64_t end = std::min(bytes_.size(), start_ + kHeadMax), seen = 0;
    each_packet(start_, end, [&](std::string_view p) {
      ++seen;
      bool knew = !streams_.empty();
      unsigned pid = pid_of(p);
      std::string_view payload = payload_of(p);
      if (pid == 0 || std::find(table_pids_.begin(), table_pids_.end(), pid) != table_pids_.end())
        add_section(pid, begins(p), payload);
      else if (TsStream* stream = stream_of(pid); stream && !(u8(p.data() + 3) & 0xC0))
        add_head(*stream, begins(p), payload);
      if (!knew && !streams_.empty() &&
          seen > kTablesLate) {  // a piece of a stream: what came before counts too
        late_ = true;
        return false;
      }
      return !all_known();
    });
    if (std::exchange(late_, false))
      each_packet(start_, end, [&](std::string_view p) {
        if (TsStream* stream = stream_of(pid_of(p)); stream && !(u8(p.data() + 3) & 0xC0))
          add_head(*stream, begins(p), payload_of(p));
        return !all_known();
      });
    for (TsStream& stream : streams_) {
      if (stream.collecting) identify(stream);
      stream.collecting = false;
      stream.packet.clear();
    }
  }

  bool all_known() const {
    if (streams_.empty()) return false;
    return std::all_of(streams_.begin(), streams_.end(), [](const TsStream& s) {
      if (s.kind == Kind::kOther || s.kind == Kind::kText) return true;
      if (s.kind == Kind::kAudio) return s.identified && s.first != kNone;
      return s.identified && s.first != kNone && s.times.size() >= (s.video.fps ? 4 : kTimesWanted);
    });
  }

  TsStream* stream_of(unsigned pid) {
    for (TsStream& stream : streams_)
      if (stream.pid == pid) return &stream;
    return nullptr;
  }

  // ISO 13818-1 section 2.4.4: tables may run over several packets.
  void add_section(unsigned pid, bool first, std::string_view payload) {
    if (payload.empty()) return;
    auto section =
        std::find_if(sections_.begin(), sections_.end(), [&](const Section& s) { return s.pid == pid; });
    if (first) {
      size_t skip = 1u + u8(payload.data());
      if (skip >= payload.size()) return;
      if (section == sections_.end()) {
        if (sections_.size() >= kStreamsMax) return;
        section = sections_.insert(sections_.end(), Section{pid, {}});
      }
      section->data = payload.substr(skip);
    } else if (section != sections_.end() && section->data.size() < kSectionMax) {
      section->data += payload;
    } else {
      return;
    }
    std::string_view data = section->data;
    if (data.size() < 8) return;
    size_t length = 3u + (be16(data.data() + 1) & 0xFFF);
    if (data.size() < length || length < 12) return;
    data = data.substr(0, length - 4);  // without the checksum
    if (pid == 0 && u8(data.data()) == 0) read_programs(data);
    if (pid != 0 && u8(data.data()) == 2) read_streams(data);
    section->data.clear();
  }

  void read_programs(std::string_view data) {
    for (size_t at = 8; at + 4 <= data.size(); at += 4) {
      unsigned program = be16(data.data() + at), pid = be16(data.data() + at + 2) & 0x1FFF;
      if (program != 0 && table_pids_.size() < 16 &&
          std::find(table_pids_.begin(), table_pids_.end(), pid) == table_pids_.end())
        table_pids_.push_back(pid);
    }
  }

  void read_streams(std::string_view data) {
    if (data.size() < 12) return;
    size_t program = be16(data.data() + 10) & 0xFFF;
    bool disc = packet_ == 192 || data.substr(12, program).find("HDMV") != std::string_view::npos;
    for (size_t at = 12 + program; at + 5 <= data.size();) {
      unsigned type = u8(data.data() + at), pid = be16(data.data() + at + 1) & 0x1FFF;
      size_t length = be16(data.data() + at + 3) & 0xFFF;
      std::string_view descriptors = data.substr(at + 5, length);
      at += 5 + length;
      if (stream_of(pid)) continue;
      if (streams_.size() >= kStreamsMax) throw BudgetError("more than 128 streams");
      TsStream& stream = streams_.emplace_back();
      stream.pid = pid;
      name_codec(stream, type, disc);
      read_descriptors(stream, descriptors, type == 6);
    }
  }

  static void name_codec(TsStream& stream, unsigned type, bool disc) {
    struct Row {
      unsigned type;
      Kind kind;
      std::string_view codec;
    };
    static constexpr Row kRows[] = {
        {0x01, Kind::kVideo, "mpeg1video"}, {0x02, Kind::kVideo, "mpeg2video"}, {0x03, Kind::kAudio, "mp3"},
        {0x04, Kind::kAudio, "mp3"},        {0x0F, Kind::kAudio, "aac"},        {0x10, Kind::kVideo, "mpeg4"},
        {0x11, Kind::kAudio, "aac_latm"},   {0x1B, Kind::kVideo, "h264"},       {0x20, Kind::kVideo, "h264"},
        {0x21, Kind::kVideo, "jpeg2000"},   {0x24, Kind::kVideo, "hevc"},       {0x33, Kind::kVideo, "vvc"},
        {0x42, Kind::kVideo, "cavs"},       {0xD1, Kind::kVideo, "dirac"},      {0xD2, Kind::kVideo, "avs2"},
        {0xEA, Kind::kVideo, "vc1"},        {0x81, Kind::kAudio, "ac3"},        {0x87, Kind::kAudio, "eac3"}};
    static constexpr Row kDisc[] = {{0x80, Kind::kAudio, "pcm_bluray"},
                                    {0x82, Kind::kAudio, "dts"},
                                    {0x83, Kind::kAudio, "truehd"},
                                    {0x84, Kind::kAudio, "eac3"},
                                    {0x85, Kind::kAudio, "dts"},
                                    {0x86, Kind::kAudio, "dts"},
                                    {0xA1, Kind::kAudio, "eac3"},
                                    {0xA2, Kind::kAudio, "dts"},
                                    {0x90, Kind::kText, ""},
                                    {0x92, Kind::kText, ""}};
    auto take = [&](const Row& row) {
      if (row.type != type) return;
      stream.kind = row.kind;
      stream.video.codec = stream.audio.codec = row.codec;
    };
    for (const Row& row : kRows) take(row);
    if (disc)
      for (const Row& row : kDisc) take(row);
  }

  // `private_data`: only the descriptors tell what it is.
  static void read_descriptors(TsStream& stream, std::string_view data, bool private_data) {
    auto audio = [&](std::string_view codec) {
      stream.kind = Kind::kAudio;
      stream.audio.codec = codec;
    };
    while (data.size() >= 2) {
      unsigned tag = u8(data.data());
      std::string_view content = data.substr(2, u8(data.data() + 1));
      data.remove_prefix(std::min<size_t>(data.size(), 2u + u8(data.data() + 1)));
      if (tag == 0x0A && content.size() >= 3) {
        stream.audio.language = clean_text(content.substr(0, 3));
        if (stream.audio.language == "und") stream.audio.language.clear();
      }
      if (!private_data) continue;
      if (tag == 0x6A) audio("ac3");
      if (tag == 0x7A) audio("eac3");
      if (tag == 0x7B) audio("dts");
      if (tag == 0x7C) audio("aac");
      if (tag == 0x56 || tag == 0x59) stream.kind = Kind::kText;
      if (tag != 0x05 || content.size() < 4) continue;
      std::string_view registered = content.substr(0, 4);
      if (registered == "AC-3") audio("ac3");
      if (registered == "EAC3") audio("eac3");
      if (registered == "Opus") audio("opus");
      if (registered == "BSSD") audio("s302m");
      if (registered.starts_with("DTS")) audio("dts");
      if (registered == "HEVC" || registered == "VC-1" || registered == "AV01") {
        stream.kind = Kind::kVideo;
        stream.video.codec = registered == "HEVC" ? "hevc" : registered == "VC-1" ? "vc1" : "av1";
      }
    }
  }

  // Section 2.4.3.6: the header of a packet of a stream. Its presentation time, kNone without one; `payload`
  // moves on to what the stream itself has.
  static uint64_t open_packet(std::string_view& payload) {
    if (payload.size() < 9 || payload.substr(0, 3) != std::string_view("\0\0\1", 3)) return kNone;
    unsigned flags = u8(payload.data() + 7);
    size_t header = 9u + u8(payload.data() + 8);
    uint64_t time = kNone;
    if ((flags & 0x80) && payload.size() >= 14) {
      const char* p = payload.data() + 9;
      time = uint64_t{u8(p) >> 1 & 7u} << 30 | uint64_t{be16(p + 1) >> 1 & 0x7FFFu} << 15 |
             (be16(p + 3) >> 1 & 0x7FFFu);
    }
    payload = payload.substr(std::min(header, payload.size()));
    return time;
  }

  void add_head(TsStream& stream, bool first, std::string_view payload) {
    if (first) {
      if (stream.collecting) identify(stream);
      stream.collecting = true;
      stream.packet.clear();
      uint64_t time = open_packet(payload);
      if (time != kNone) {
        stream.first = std::min(stream.first, time);
        if (stream.times.size() < kTimesWanted * 2) stream.times.push_back(time);
      }
    }
    if (stream.collecting && !stream.identified && stream.packet.size() < kPacketMax)
      stream.packet += payload;
  }

  static void identify(TsStream& stream) {
    if (stream.identified) return;
    if (stream.kind == Kind::kVideo) {
      bool readable = stream.video.codec == "h264" || stream.video.codec == "hevc" ||
                      stream.video.codec == "mpeg4" || stream.video.codec.starts_with("mpeg");
      stream.identified = !readable || read_coded_video(stream.packet, stream.video.codec, stream.video);
    } else if (stream.kind == Kind::kAudio) {
      const std::string codec = stream.audio.codec;
      bool readable = codec == "aac" || codec == "mp3" || codec == "ac3" || codec == "eac3";
      stream.identified = !readable || read_coded_audio(stream.packet, codec, stream.audio);
    }
    stream.packet.clear();
  }

  // From the end backwards until every stream has shown when it ends.
  void read_tail() {
    uint64_t end = start_ + (bytes_.size() - start_) / packet_ * packet_;
    for (uint64_t looked = 0; end > start_ && looked < kTailMax;) {
      uint64_t length = std::min(end - start_, kTailStep / packet_ * packet_);
      each_packet(end - length, end, [&](std::string_view p) {
        TsStream* stream = stream_of(pid_of(p));
        if (stream && !stream->tail_done && !(u8(p.data() + 3) & 0xC0))
          add_tail(*stream, begins(p), payload_of(p));
        return true;
      });
      bool done = true;
      for (TsStream& stream : streams_) {
        measure(stream);
        stream.tail_done = stream.end != kNone;
        if ((stream.kind == Kind::kVideo || stream.kind == Kind::kAudio) && stream.first != kNone &&
            !stream.tail_done)
          done = false;
      }
      if (done) return;
      end -= length;
      looked += length;
    }
  }

  static void add_tail(TsStream& stream, bool first, std::string_view payload) {
    if (first) {
      measure(stream);
      uint64_t time = open_packet(payload);
      if (time == kNone || stream.first == kNone) return;
      if (time + kWrap / 2 < stream.first) time += kWrap;  // the counter of 33 bits began anew
      stream.packet_time = time;
    }
    if (stream.packet_time != kNone && stream.kind == Kind::kAudio && stream.packet.size() < kPacketMax)
      stream.packet += payload;
  }

  // Ends the packet at hand: a packet of sound holds several frames.
  static void measure(TsStream& stream) {
    if (stream.packet_time == kNone) return;
    uint64_t end = stream.packet_time;
    std::string_view rest = stream.packet;
    double seconds = 0;
    while (stream.kind == Kind::kAudio && rest.size() >= 7) {
      size_t size = 0;
      if (stream.audio.codec == "aac") {
        if (auto frame = adts_frame(rest)) {
          size = frame->bytes;
          seconds += static_cast<double>(frame->samples) / frame->rate_hz;
        }
      } else if (auto frame = mpeg_audio_frame(be32(rest.data()));
                 frame && stream.audio.codec.starts_with("mp")) {
        size = frame->bytes;
        seconds += static_cast<double>(frame->samples) / frame->rate_hz;
      } else if (stream.audio.codec == "ac3" && be16(rest.data()) == 0x0B77 && stream.audio.bit_rate &&
                 stream.audio.sample_rate_hz) {
        size = static_cast<size_t>(*stream.audio.bit_rate * 1536 / 8 / *stream.audio.sample_rate_hz);
        seconds += 1536.0 / *stream.audio.sample_rate_hz;
      }
      if (size == 0) break;
      rest.remove_prefix(std::min(size, rest.size()));
    }
    end += static_cast<uint64_t>(std::llround(seconds * kClock));
    stream.end = stream.end == kNone ? end : std::max(stream.end, end);
    stream.packet_time = kNone;
    stream.packet.clear();
  }

  // From the time stamps of the first frames, in the order of their showing.
  static std::optional<Rational> rate_of(std::vector<uint64_t> times) {
    std::sort(times.begin(), times.end());
    std::vector<uint64_t> steps;
    for (size_t i = 1; i < times.size(); ++i)
      if (times[i] > times[i - 1] && times[i] - times[i - 1] < 10 * kClock)
        steps.push_back(times[i] - times[i - 1]);
    if (steps.size() < 3) return std::nullopt;
    uint64_t sum = 0;
    std::nth_element(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2),
                     steps.end());
    uint64_t middle = steps[steps.size() / 2], counted = 0;
    for (uint64_t step : steps)
      if (step + 2 >= middle && step <= middle + 2) sum += step, ++counted;  // rounded to ticks both ways
    double rate = static_cast<double>(kClock) * static_cast<double>(counted) / static_cast<double>(sum);
    for (double factor : {1.0, 1.001}) {
      double whole = std::round(rate * factor);
      if (whole >= 1 && std::abs(rate * factor - whole) / whole < 3e-4)
        return factor == 1.0 ? Rational{static_cast<int64_t>(whole), 1}
                             : reduced(static_cast<int64_t>(whole) * 1000, 1001);
    }
    return reduced(static_cast<int64_t>(kClock), static_cast<int64_t>(middle));
  }

  void conclude() {
    uint64_t begin = kNone, end = 0;
    for (TsStream& stream : streams_) {
      if (stream.kind == Kind::kText) ++facts_.subtitle_streams;
      if (stream.kind != Kind::kVideo && stream.kind != Kind::kAudio) continue;
      if (stream.kind == Kind::kVideo) {
        if (!stream.video.fps) stream.video.fps = rate_of(stream.times);
        if (stream.end != kNone && stream.video.fps)
          stream.end += static_cast<uint64_t>(std::llround(kClock / stream.video.fps->value()));
        if (facts_.video_streams++ == 0) adopt(stream.video);
      }
      if (stream.first != kNone && stream.end != kNone && stream.end > stream.first) {
        begin = std::min(begin, stream.first);
        end = std::max(end, stream.end);
        stream.audio.duration_s = static_cast<double>(stream.end - stream.first) / kClock;
      }
      if (stream.kind == Kind::kAudio) facts_.audio_streams.push_back(stream.audio);
    }
    if (begin != kNone && end > begin) facts_.duration_s = static_cast<double>(end - begin) / kClock;
    set_bit_rate(facts_, bytes_.size());
    complete_video_facts(facts_);
    if (lost_) add_warning(facts_.warning, "bytes between transport packets");
  }

  void adopt(const VideoFacts& v) {
    facts_.codec = v.codec;
    facts_.profile = v.profile;
    facts_.resolution_x = v.resolution_x;
    facts_.resolution_y = v.resolution_y;
    facts_.fps = v.fps;
    facts_.bit_depth = v.bit_depth;
    facts_.chroma = v.chroma;
    facts_.sample_aspect = v.sample_aspect;
    facts_.color_primaries = v.color_primaries;
    facts_.color_transfer = v.color_transfer;
    facts_.color_matrix = v.color_matrix;
    facts_.color_range = v.color_range;
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  size_t packet_ = 188;  // bytes of a packet with what stands around it
  size_t start_ = 0;     // of the first packet
  size_t sync_ = 0;      // from the start of a packet to its first byte, 'G'
  std::vector<unsigned> table_pids_;
  std::vector<Section> sections_;
  std::vector<TsStream> streams_;
  bool lost_ = false, late_ = false;
};

}  // namespace

void read_mpeg_ts(MediaBytes& bytes, VideoFacts& facts) { TsReader(bytes, facts).read(); }

}  // namespace millrace::scan
