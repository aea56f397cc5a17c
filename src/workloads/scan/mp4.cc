// MP4 and QuickTime: the index may stand at either end, or be spread over fragments.
#include <algorithm>
#include <cmath>
#include <vector>

#include "workloads/scan/mp4_boxes.h"
#include "workloads/scan/mp4_track.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr unsigned kTracksMax = 256;
constexpr unsigned kTopBoxesMax = 4096;       // looked at until moov is found
constexpr unsigned kFragmentFetchesMax = 48;  // moves of the window spent on walking fragments
constexpr uint64_t kEpoch1904_s = 2082844800;

// What the fragments add up to, by track.
struct FragmentSum {
  uint32_t track = 0;
  uint64_t samples = 0, duration = 0;
};

// Where the last fragment of a track stands, and when it begins; later, when it ends.
struct FragmentEnd {
  uint32_t track = 0;
  uint64_t time = 0, offset = 0;
};

class Mp4Reader {
 public:
  Mp4Reader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (!moov_)
      corrupt("no moov box: the recording was never finished, or the file is truncated, its end",
              bytes_.size());
    if (tracks_.empty()) corrupt("moov box without a track, end of file", bytes_.size());
  }

 private:
  void walk() {
    bool first = true, walking = true;
    uint64_t at = 0;
    for (unsigned boxes = 0; at < bytes_.size() && walking; ++boxes) {
      if (bytes_.size() - at < 8) break;
      if (boxes > kTopBoxesMax) throw BudgetError("more than 4096 boxes before moov");
      Mp4Box box = read_box(bytes_, at, bytes_.size());
      if (first && !known_top(box.type)) corrupt("not a box of an MP4 or QuickTime file", at);
      first = false;
      switch (box.type) {
        case fourcc("ftyp"):
          if (box.size() >= 8)
            facts_.container = bytes_.read_be32(box.at, "ftyp") == fourcc("qt  ") ? "mov" : "mp4";
          break;
        case fourcc("moov"):
          if (!moov_) read_movie(box);  // of a truncated one what there is
          check_end(box.end, bytes_.size(), "moov box");
          break;
        case fourcc("mdat"):
          if (!moov_) mdat_first_ = true;
          check_end(box.end, bytes_.size(), "mdat box");
          break;
        case fourcc("moof"):
          fragmented_ = true;
          check_end(box.end, bytes_.size(), "moof box");
          read_fragment(box);
          break;
        case fourcc("sidx"):
          read_index(box);
          break;
        default:
          // A cut inside anything else at the end loses no picture, but the file is not whole.
          check_end(box.end, bytes_.size(), "box");
          break;
      }
      at = box.end;
      if (fragmented_ && bytes_.fetches() > kFragmentFetchesMax) {
        walking = false;
        whole_ = at >= bytes_.size();
        if (!whole_) read_random_access();
      }
    }
  }

  static bool known_top(uint32_t type) {
    switch (type) {
      case fourcc("ftyp"):
      case fourcc("moov"):
      case fourcc("mdat"):
      case fourcc("wide"):
      case fourcc("free"):
      case fourcc("skip"):
      case fourcc("pnot"):
      case fourcc("styp"):
      case fourcc("moof"):
      case fourcc("sidx"):
      case fourcc("uuid"):
      case fourcc("PICT"):
      case fourcc("junk"):
      case fourcc("meta"):
      case fourcc("udta"):
        return true;
      default:
        return false;
    }
  }

  void read_movie(const Mp4Box& moov) {
    moov_ = true;
    facts_.faststart = !mdat_first_;
    each_box(bytes_, moov.at, moov.end, [&](const Mp4Box& box) {
      switch (box.type) {
        case fourcc("mvhd"):
          read_movie_header(box);
          break;
        case fourcc("trak"):
          if (tracks_.size() >= kTracksMax) throw BudgetError("more than 256 tracks");
          tracks_.emplace_back();
          read_track(bytes_, box, tracks_.back());
          break;
        case fourcc("mvex"):
          fragmented_ = true;
          read_extends(box);
          break;
        case fourcc("udta"):
          read_user_data(box);
          break;
        case fourcc("meta"):
          read_metadata(box);
          break;
        case fourcc("cmov"):
          corrupt("compressed moov box, which is not read,", box.start);
        default:
          break;
      }
    });
  }

  void read_movie_header(const Mp4Box& box) {
    bool wide = bytes_.read_u8(box.at, "mvhd") == 1;
    std::string_view p = bytes_.at(box.at, wide ? 32 : 20, "mvhd");
    uint64_t created = wide ? be64(p.data() + 4) : be32(p.data() + 4);
    timescale_ = be32(p.data() + (wide ? 20 : 12));
    duration_ = wide ? be64(p.data() + 24) : be32(p.data() + 16);
    if (duration_ == UINT64_MAX || (!wide && duration_ == UINT32_MAX)) duration_ = 0;
    // Some writers count from 1970 after all; dates before 1970 are theirs.
    if (created >= kEpoch1904_s) created -= kEpoch1904_s;
    if (created != 0 && created < uint64_t{1} << 40)
      facts_.creation_time_ms = static_cast<base::TimeMs>(created) * 1000;
  }

  // mvex: the defaults of fragments, and perhaps the whole duration.
  void read_extends(const Mp4Box& mvex) {
    each_box(bytes_, mvex.at, mvex.end, [&](const Mp4Box& box) {
      if (box.type == fourcc("mehd") && box.size() >= 8) {
        bool wide = bytes_.read_u8(box.at, "mehd") == 1;
        uint64_t duration =
            wide ? bytes_.read_be64(box.at + 4, "mehd") : bytes_.read_be32(box.at + 4, "mehd");
        if (duration_ == 0) duration_ = duration;
      } else if (box.type == fourcc("trex") && box.size() >= 16 && default_durations_.size() < kTracksMax) {
        std::string_view p = bytes_.at(box.at, 16, "trex");
        default_durations_.emplace_back(be32(p.data() + 4), be32(p.data() + 12));
      }
    });
  }

  FragmentSum& sum_of(uint32_t track) {
    for (FragmentSum& sum : sums_)
      if (sum.track == track) return sum;
    if (sums_.size() >= kTracksMax) throw BudgetError("more than 256 tracks in fragments");
    return sums_.emplace_back(FragmentSum{track});
  }

  // ISO 14496-12 section 8.8: samples and durations of one fragment.
  void read_fragment(const Mp4Box& moof) {
    each_box(bytes_, moof.at, moof.end, [&](const Mp4Box& traf) {
      if (traf.type != fourcc("traf")) return;
      uint32_t track = 0, each = 0;
      each_box(bytes_, traf.at, traf.end, [&](const Mp4Box& box) {
        if (box.type == fourcc("tfhd")) {
          uint32_t flags = bytes_.read_be32(box.at, "tfhd") & 0xFFFFFF;
          track = bytes_.read_be32(box.at + 4, "tfhd");
          for (auto& [id, duration] : default_durations_)
            if (id == track) each = duration;
          uint64_t at = box.at + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
          if (flags & 8) each = bytes_.read_be32(at, "tfhd");
        } else if (box.type == fourcc("trun")) {
          read_run(box, sum_of(track), each);
        }
      });
    });
  }

  void read_run(const Mp4Box& box, FragmentSum& sum, uint32_t each) {
    uint32_t flags = bytes_.read_be32(box.at, "trun") & 0xFFFFFF;
    uint32_t count = bytes_.read_be32(box.at + 4, "trun");
    uint64_t at = box.at + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    unsigned fields = (flags >> 8 & 1) + (flags >> 9 & 1) + (flags >> 10 & 1) + (flags >> 11 & 1);
    check_end(at + uint64_t{count} * fields * 4, box.end, "trun");
    sum.samples += count;
    if (!(flags & 0x100)) {
      sum.duration += uint64_t{count} * each;
      return;
    }
    for (uint32_t i = 0; i < count; ++i) {
      bytes_.step("fragment samples");
      sum.duration += bytes_.read_be32(at + uint64_t{i} * fields * 4, "trun");
    }
  }

  // Too many fragments to walk: mfra at the end of the file (section 8.8.9) knows where the last one of each
  // track begins, and when.
  void read_random_access() {
    if (bytes_.size() < 16) return;
    std::string_view tail = bytes_.tail(16);
    uint64_t size = be32(tail.data() + 12);
    if (be32(tail.data() + 4) != fourcc("mfro") || size < 16 || size > bytes_.size()) return;
    Mp4Box mfra = read_box(bytes_, bytes_.size() - size, bytes_.size());
    if (mfra.type != fourcc("mfra")) return;
    each_box(bytes_, mfra.at, mfra.end, [&](const Mp4Box& box) {
      if (box.type != fourcc("tfra") || box.size() < 16 || ends_.size() >= kTracksMax) return;
      bool wide = bytes_.read_u8(box.at, "tfra") == 1;
      uint32_t track = bytes_.read_be32(box.at + 4, "tfra"), widths = bytes_.read_be32(box.at + 8, "tfra");
      uint64_t count = bytes_.read_be32(box.at + 12, "tfra");
      uint64_t entry = (wide ? 16 : 8) + (widths >> 4 & 3) + (widths >> 2 & 3) + (widths & 3) + 3;
      check_end(box.at + 16 + count * entry, box.end, "tfra");
      if (count == 0) return;
      uint64_t last = box.at + 16 + (count - 1) * entry;
      uint64_t time = wide ? bytes_.read_be64(last, "tfra") : bytes_.read_be32(last, "tfra");
      uint64_t offset = wide ? bytes_.read_be64(last + 8, "tfra") : bytes_.read_be32(last + 4, "tfra");
      if (time < uint64_t{1} << 60) ends_.push_back({track, time, offset});
    });
    std::vector<FragmentSum> walked = std::move(sums_);
    for (FragmentEnd& end : ends_) {
      sums_.clear();
      Mp4Box moof = read_box(bytes_, end.offset, bytes_.size());
      if (moof.type != fourcc("moof")) continue;
      check_end(moof.end, bytes_.size(), "moof box");
      read_fragment(moof);
      end.time += std::min(sum_of(end.track).duration, uint64_t{1} << 60);
    }
    sums_ = std::move(walked);
  }

  // sidx: section 8.16.3. The sum of its parts is the duration of what follows.
  void read_index(const Mp4Box& box) {
    if (box.size() < 24) return;
    bool wide = bytes_.read_u8(box.at, "sidx") == 1;
    uint32_t scale = bytes_.read_be32(box.at + 8, "sidx");
    uint64_t at = box.at + 12 + (wide ? 16 : 8) + 2;
    uint32_t count = bytes_.read_be16(at, "sidx");
    at += 2;
    check_end(at + uint64_t{count} * 12, box.end, "sidx");
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; ++i) {
      bytes_.step("sidx entries");
      std::string_view p = bytes_.at(at + uint64_t{i} * 12, 12, "sidx");
      total += be32(p.data() + 4);
    }
    if (scale) index_duration_s_ = std::max(index_duration_s_, static_cast<double>(total) / scale);
  }

  // Who wrote it: QuickTime's text items, or a meta box of either kind.
  void read_user_data(const Mp4Box& udta) {
    each_user_box(udta, [&](const Mp4Box& box) {
      if (box.type == fourcc("meta")) {
        read_metadata(box);
      } else if ((box.type == fourcc("\xA9swr") || box.type == fourcc("\xA9too") ||
                  box.type == fourcc("\xA9"
                                     "enc")) &&
                 box.size() > 4 && facts_.encoder.empty()) {
        std::string_view p =
            bytes_.at(box.at, static_cast<size_t>(std::min<uint64_t>(box.size(), 512)), "udta");
        facts_.encoder = clean_text(p.substr(4, be16(p.data())), 255);
      }
    });
  }

  void read_metadata(const Mp4Box& meta) {
    if (meta.size() < 16) return;
    // A full box in MP4, a plain one in QuickTime.
    uint64_t start = bytes_.read_be32(meta.at + 4, "meta") == fourcc("hdlr") ? meta.at : meta.at + 4;
    Mp4Box inner = meta;
    inner.at = start;
    std::vector<std::string> keys;
    each_user_box(inner, [&](const Mp4Box& box) {
      if (box.type == fourcc("keys")) read_keys(box, keys);
      if (box.type == fourcc("ilst"))
        each_user_box(box, [&](const Mp4Box& item) {
          bool tool = item.type == fourcc("\xA9too");
          if (!keys.empty() && item.type >= 1 && item.type <= keys.size())
            tool = keys[item.type - 1] == "com.apple.quicktime.software" || keys[item.type - 1] == "encoder";
          if (!tool || item.size() < 17 || !facts_.encoder.empty()) return;
          Mp4Box data = read_box(bytes_, item.at, item.end);
          if (data.end > item.end || data.size() < 8) return;
          facts_.encoder = clean_text(
              bytes_.at(data.at + 8, static_cast<size_t>(std::min<uint64_t>(data.size() - 8, 255)), "ilst"),
              255);
        });
    });
  }

  void read_keys(const Mp4Box& box, std::vector<std::string>& keys) {
    uint32_t count = std::min<uint32_t>(bytes_.read_be32(box.at + 4, "keys"), 256);
    uint64_t at = box.at + 8;
    for (uint32_t i = 0; i < count && at + 8 <= box.end; ++i) {
      uint32_t size = bytes_.read_be32(at, "keys");
      if (size < 8 || size > box.end - at) return;
      keys.push_back(clean_text(bytes_.at(at + 8, std::min<uint32_t>(size - 8, 255), "keys")));
      at += size;
    }
  }

  // Remarks that do not follow the format are a warning.
  template <typename Function>
  void each_user_box(const Mp4Box& box, Function&& f) {
    try {
      each_box(bytes_, box.at, box.end, f);
    } catch (const BudgetError&) {
      throw;
    } catch (const base::CorruptError& error) {
      // udta may end with four zero bytes, and old writers pad it with more.
      if (facts_.warning.empty()) add_warning(facts_.warning, "metadata: " + std::string(error.what()));
    }
  }

  void conclude() {
    if (facts_.container.empty()) facts_.container = "mov";
    if (!moov_) return;
    facts_.fragmented = fragmented_;
    const Mp4Track* video = nullptr;
    double longest = 0;
    for (Mp4Track& track : tracks_) {
      for (const FragmentSum& sum : sums_)
        if (sum.track == track.id && whole_) {
          track.sample_count += sum.samples;
          track.sample_duration += sum.duration;
          if (track.timescale && (track.duration == 0 || fragmented_))
            track.audio.duration_s = static_cast<double>(track.sample_duration) / track.timescale;
        }
      for (const FragmentEnd& end : ends_)
        if (end.track == track.id && track.timescale)
          track.audio.duration_s = static_cast<double>(end.time) / track.timescale;
      if (track.audio.duration_s) longest = std::max(longest, *track.audio.duration_s);
      switch (track.handler) {
        case fourcc("vide"):
          ++facts_.video_streams;
          if (!video) video = &track;
          break;
        case fourcc("soun"):
          facts_.audio_streams.push_back(track.audio);
          break;
        case fourcc("sbtl"):
        case fourcc("subt"):
        case fourcc("clcp"):
          ++facts_.subtitle_streams;
          break;
        case fourcc("tmcd"):
          read_timecode(track);
          break;
        default:
          break;
      }
    }
    if (duration_ && timescale_)
      facts_.duration_s = static_cast<double>(duration_) / timescale_;
    else if (index_duration_s_ > 0 && !(fragmented_ && whole_ && longest > 0))  // an index may be of one part
      facts_.duration_s = index_duration_s_;
    else if (longest > 0)
      facts_.duration_s = longest;
    if (video) adopt(*video);
    if (video && !whole_ && !facts_.fps)  // of the part that was walked
      for (const FragmentSum& sum : sums_)
        if (sum.track == video->id && sum.samples && sum.duration && sum.samples < UINT32_MAX &&
            sum.duration < INT64_MAX)
          facts_.fps = reduced(static_cast<int64_t>(sum.samples * video->timescale),
                               static_cast<int64_t>(sum.duration));
    if (facts_.duration_s && *facts_.duration_s > 0) {
      double rate = static_cast<double>(bytes_.size()) * 8 / *facts_.duration_s;
      if (rate < 1e15) facts_.bit_rate = std::llround(std::floor(rate));
    }
    complete_video_facts(facts_);
  }

  void adopt(const Mp4Track& track) {
    const VideoFacts& v = track.video;
    take_picture(v, facts_);
    facts_.hdr = v.hdr;
    facts_.rotation = v.rotation;
    if (track.sample_count && track.sample_count < INT64_MAX)
      facts_.frame_count = static_cast<int64_t>(track.sample_count);
    uint64_t duration = track.sample_duration ? track.sample_duration : track.duration;
    if (track.timescale && track.sample_count && duration && duration < INT64_MAX &&
        track.sample_count < INT64_MAX / track.timescale)
      facts_.fps =
          reduced(static_cast<int64_t>(track.sample_count * track.timescale), static_cast<int64_t>(duration));
  }

  // The only bytes of media data ever read: the four of the first timecode sample.
  void read_timecode(const Mp4Track& track) {
    if (!facts_.timecode.empty() || track.frames_per_second == 0) return;
    facts_.reel = track.reel;
    if (track.first_chunk == 0 || track.first_chunk > bytes_.size() || bytes_.size() - track.first_chunk < 4)
      return;
    uint32_t frame = bytes_.read_be32(track.first_chunk, "timecode sample");
    facts_.timecode = timecode_of_frame(frame, track.frames_per_second, track.drop_frame);
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  std::vector<Mp4Track> tracks_;
  std::vector<FragmentSum> sums_;
  std::vector<FragmentEnd> ends_;
  std::vector<std::pair<uint32_t, uint32_t>> default_durations_;  // track id, in its timescale
  bool moov_ = false, mdat_first_ = false, fragmented_ = false, whole_ = true;
  uint32_t timescale_ = 0;
  uint64_t duration_ = 0;
  double index_duration_s_ = 0;
};

}  // namespace

void read_mp4(MediaBytes& bytes, VideoFacts& facts) { Mp4Reader(bytes, facts).read(); }

}  // namespace millrace::scan
