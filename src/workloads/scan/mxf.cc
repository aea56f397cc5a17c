// MXF: the metadata of the header partition, or of the footer where the header was written before the end was
// known. Essence is never read.
#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "workloads/scan/audio_headers.h"
#include "workloads/scan/mp4_track.h"
#include "workloads/scan/mxf_labels.h"
#include "workloads/scan/video_codecs.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

constexpr size_t kSetsMax = 8192;
constexpr unsigned kReferencesMax = 100'000;
constexpr size_t kStoredMax = 2 << 20;     // bytes of all properties kept
constexpr uint64_t kPropertyMax = 4096;    // of one
constexpr uint64_t kRunInMax = 64 * 1024;  // before the header partition, SMPTE ST 377-1 section 6.5
constexpr unsigned kUnitsMax = 20'000;     // of one partition

constexpr std::string_view kPartition =
    "\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01"sv;  // then its kind
constexpr std::string_view kSet = "\x06\x0E\x2B\x34\x02\x53\x01\x01\x0D\x01\x01\x01\x01\x01"sv;
constexpr std::string_view kEssence = "\x06\x0E\x2B\x34\x01\x02\x01\x01\x0D\x01\x03\x01"sv;

// The kinds of sets that are kept: the byte of their key that differs (ST 377-1 annex A and B).
enum SetKind : unsigned {
  kSequence = 0x0F,
  kTimecode = 0x14,
  kTapeDescriptor = 0x2E,
  kIdentification = 0x30,
  kMaterialPackage = 0x36,
  kSourcePackage = 0x37,
  kStaticTrack = 0x3A,
  kTrack = 0x3B,
  kTimedText = 0x64,
};

struct Unit {  // key, length, value
  std::string key;
  uint64_t start = 0, at = 0, end = 0;
  uint64_t size() const { return end - at; }
};

struct Set {
  unsigned kind = 0;
  std::string id;  // its instance's
  std::vector<std::pair<uint16_t, std::string>> properties;

  std::string_view get(uint16_t tag) const {
    for (const auto& [name, value] : properties)
      if (name == tag) return value;
    return {};
  }
  uint64_t number(uint16_t tag) const {
    uint64_t n = 0;
    std::string_view value = get(tag);
    for (char c : value.substr(0, 8)) n = n << 8 | u8(&c);
    return n;
  }
  std::optional<Rational> ratio(uint16_t tag) const {
    std::string_view p = get(tag);
    if (p.size() < 8 || be32(p.data()) == 0 || be32(p.data() + 4) == 0) return std::nullopt;
    if (be32(p.data()) > INT32_MAX || be32(p.data() + 4) > INT32_MAX) return std::nullopt;
    return reduced(be32(p.data()), be32(p.data() + 4));
  }
  // Of a duration or position; 0 when it is not known (-1).
  int64_t length(uint16_t tag) const {
    auto n = static_cast<int64_t>(number(tag));
    return n > 0 && n < int64_t{1} << 48 ? n : 0;
  }
};

class MxfReader {
 public:
  MxfReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    facts_.container = "mxf";
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (facts_.video_streams == 0 && facts_.audio_streams.empty() && facts_.subtitle_streams == 0)
      corrupt("MXF without a description of what it carries, its end", bytes_.size());
    if (open_)
      corrupt("MXF without a footer: the recording was never finished, or the file is truncated, its end",
              bytes_.size());
  }

 private:
  Unit unit(uint64_t at) {
    bytes_.step("MXF units");
    std::string_view p = bytes_.at(at, 17, "MXF key");
    Unit unit;
    unit.key = p.substr(0, 16);
    unit.start = at;
    unsigned first = u8(p.data() + 16);
    uint64_t length = first;
    unit.at = at + 17;
    if (first >= 0x80) {
      unsigned width = first & 0x7F;
      if (width == 0 || width > 8) corrupt("MXF length of no known width", at);
      length = 0;
      for (char c : bytes_.at(at + 17, width, "MXF length")) length = length << 8 | u8(&c);
      unit.at += width;
    }
    if (length > UINT64_MAX / 4) corrupt("MXF unit of " + std::to_string(length) + " bytes", at);
    unit.end = unit.at + length;
    return unit;
  }

  static bool is_label(std::string_view key) { return key.starts_with("\x06\x0E\x2B\x34"); }
  static bool is_partition(const Unit& u) {
    return u.key.starts_with(kPartition) && u8(u.key.data() + 13) >= 2 && u8(u.key.data() + 13) <= 4;
  }

  void walk() {
    uint64_t start = 0;
    if (!bytes_.some(0, 13, "MXF header").starts_with(kPartition)) {
      size_t found = bytes_.some(0, kRunInMax + 16, "MXF header").find(kPartition);
      if (found == std::string_view::npos) corrupt("not an MXF file", 0);
      start = found;
    }
    Unit header = unit(start);
    if (header.size() < 88)
      corrupt("MXF header partition of " + std::to_string(header.size()) + " bytes", start);
    unsigned status = u8(header.key.data() + 14);
    bool open = status == 1 || status == 3;
    uint64_t footer = bytes_.read_be64(header.at + 24, "MXF header partition");
    read_partition(header);
    if (footer == 0) footer = last_of_index(start);
    if (footer == 0) {
      open_ = open;
      return walk_to_end(header);
    }
    footer += start;
    if (footer >= bytes_.size())
      throw base::CorruptError("truncated: the MXF footer stands at offset " + std::to_string(footer) +
                               ", the file has " + std::to_string(bytes_.size()) + " bytes");
    Unit last = unit(footer);
    if (!is_partition(last)) corrupt("no MXF partition where the footer should be,", footer);
    check_end(last.end, bytes_.size(), "MXF footer");
    if (open || sets_.empty()) read_partition(last);
    for (uint64_t at = last.end; at < bytes_.size();) {  // the index and the like behind it, to the last byte
      Unit u = unit(at);
      if (!is_label(u.key)) corrupt("not an MXF key", at);
      check_end(u.end, bytes_.size(), "MXF unit");
      at = u.end;
    }
  }

  // No footer is known: the essence must be whole at least, as far as a few jumps tell.
  void walk_to_end(const Unit& header) {
    uint64_t at = header.end;
    for (unsigned n = 0; n < 64 && at < bytes_.size(); ++n) {
      Unit u = unit(at);
      if (!is_label(u.key)) corrupt("not an MXF key", at);
      check_end(u.end, bytes_.size(), "MXF unit");
      at = u.end;
    }
  }

  // Random index pack (section 12): the last partition it names.
  uint64_t last_of_index(uint64_t start) {
    if (bytes_.size() < start + 64) return 0;
    uint32_t size = be32(bytes_.at(bytes_.size() - 4, 4, "MXF random index").data());
    if (size < 33 || size > bytes_.size() || size > 1 << 20) return 0;
    if (!bytes_.at(bytes_.size() - size, 16, "MXF random index")
             .starts_with("\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x11"sv))
      return 0;
    return be64(bytes_.at(bytes_.size() - 12, 8, "MXF random index").data());
  }

  void read_partition(const Unit& pack) {
    check_end(pack.end, bytes_.size(), "MXF partition");
    uint64_t at = pack.end;
    for (unsigned n = 0; n < kUnitsMax && at < bytes_.size(); ++n) {
      if (bytes_.size() - at < 17) break;
      Unit u = unit(at);
      if (!is_label(u.key)) corrupt("not an MXF key", at);
      if (is_partition(u) || u.key.starts_with(kEssence)) return;
      if (u.key.starts_with("\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x11"sv)) return;
      check_end(u.end, bytes_.size(), "MXF metadata");
      if (u.key.starts_with(kSet)) read_set(u);
      at = u.end;
    }
  }

  static bool is_kept(unsigned kind) {
    return kind == kSequence || kind == kTimecode || kind == kIdentification || kind == kMaterialPackage ||
           kind == kSourcePackage || kind == kStaticTrack || kind == kTrack || kind == kTapeDescriptor ||
           (kind >= 0x25 && kind <= 0x29) || (kind >= 0x42 && kind <= 0x48) || kind == 0x51 ||
           kind == kTimedText || (kind >= 0x5B && kind <= 0x80);
  }

  void read_set(const Unit& u) {
    Set set;
    set.kind = u8(u.key.data() + 14);
    if (!is_kept(set.kind)) return;
    for (uint64_t at = u.at; at + 4 <= u.end;) {
      bytes_.step("MXF properties");
      std::string_view p = bytes_.at(at, 4, "MXF property");
      uint16_t tag = be16(p.data());
      uint64_t size = be16(p.data() + 2);
      at += 4;
      if (size > u.end - at) corrupt("MXF property runs over its set", at - 4);
      if (tag == 0x3C0A && size == 16) {
        set.id = bytes_.at(at, 16, "MXF property");
      } else if (size <= kPropertyMax && is_wanted(tag)) {
        stored_ += size + 32;
        if (stored_ > kStoredMax) throw BudgetError("more than 2 MiB of MXF metadata");
        set.properties.emplace_back(tag, bytes_.at(at, static_cast<size_t>(size), "MXF property"));
      }
      at += size;
    }
    if (auto known = index_.find(set.id); known != index_.end()) {
      sets_[known->second] = std::move(set);
      return;
    }
    if (sets_.size() >= kSetsMax) throw BudgetError("more than 8192 MXF sets");
    if (!set.id.empty()) index_.emplace(set.id, sets_.size());
    sets_.push_back(std::move(set));
  }

  static bool is_wanted(uint16_t tag) {
    static constexpr uint16_t kWanted[] = {
        0x0201, 0x0202, 0x1001, 0x1501, 0x1502, 0x1503, 0x3001, 0x3002, 0x3004, 0x3006, 0x3201,
        0x3202, 0x3203, 0x3208, 0x3209, 0x320C, 0x320E, 0x3210, 0x3219, 0x321A, 0x3301, 0x3302,
        0x3304, 0x3305, 0x3308, 0x3C01, 0x3C02, 0x3C04, 0x3C06, 0x3D01, 0x3D03, 0x3D06, 0x3D07,
        0x4401, 0x4402, 0x4403, 0x4701, 0x4801, 0x4803, 0x4B01, 0x8007};
    return std::binary_search(std::begin(kWanted), std::end(kWanted), tag);
  }

  const Set* find(std::string_view id) const {
    auto found = index_.find(std::string(id));
    return found == index_.end() ? nullptr : &sets_[found->second];
  }
  // Calls f(set) for those that a batch of references names.
  template <typename Function>
  void each_of(std::string_view batch, Function&& f) {
    if (batch.size() < 8 || be32(batch.data() + 4) != 16) return;
    for (size_t at = 8; at + 16 <= batch.size(); at += 16) {
      // References may be circles of circles: far fewer than the steps that a reader may take.
      if (++references_ > kReferencesMax) throw BudgetError("more than 100000 MXF references");
      if (const Set* set = find(batch.substr(at, 16))) f(*set);
    }
  }

  void conclude() {
    read_packages();
    for (const Set& set : sets_) {
      if (set.kind == kIdentification) read_identification(set);
      if (set.number(0x3203) != 0 && facts_.video_streams++ == 0) read_picture(set);
      if (!set.get(0x3D03).empty() || !set.get(0x3D07).empty()) read_sound(set);
      if (set.kind == kTimedText) ++facts_.subtitle_streams;
      if (!facts_.duration_s && set.length(0x3002) && set.ratio(0x3001))
        facts_.duration_s = static_cast<double>(set.length(0x3002)) / set.ratio(0x3001)->value();
    }
    // Immersive sound and the like have descriptors of kinds that say nothing we know.
    if (facts_.audio_streams.empty()) facts_.audio_streams.resize(sound_tracks_);
    if (facts_.video_streams == 0) facts_.fps.reset(), facts_.frame_count.reset();
    for (AudioStream& stream : facts_.audio_streams) stream.duration_s = facts_.duration_s;
    set_bit_rate(facts_, bytes_.size());
    complete_video_facts(facts_);
  }

  // The material package is what a player plays: its tracks have rate, length and the time of the first
  // frame.
  void read_packages() {
    for (unsigned kind : {kMaterialPackage, kSourcePackage})
      for (const Set& package : sets_) {
        if (package.kind != kind) continue;
        if (const Set* descriptor = find(package.get(0x4701));
            descriptor && descriptor->kind == kTapeDescriptor)
          facts_.reel = clean_text(utf16be_text(package.get(0x4402)), 255);
        each_of(package.get(0x4403), [&](const Set& track) { read_track(track, kind == kSourcePackage); });
      }
  }

  void read_track(const Set& track, bool of_source) {
    const Set* sequence = find(track.get(0x4803));
    auto rate = track.ratio(0x4B01);
    if (!sequence || !rate) return;
    std::string_view definition = sequence->get(0x0201);
    int64_t length = sequence->length(0x0202);
    each_of(sequence->get(0x1001), [&](const Set& part) {
      auto base = static_cast<uint32_t>(part.number(0x1502));
      uint64_t start = part.number(0x1501);
      if (part.kind == kTimecode && facts_.timecode.empty() && base > 0 && base <= 1000 &&
          start <= UINT32_MAX)
        facts_.timecode = timecode_of_frame(static_cast<uint32_t>(start), base, part.number(0x1503) != 0);
    });
    MxfEssence essence = mxf_essence(definition);
    if (essence == MxfEssence::kSound && of_source && sound_tracks_ < 256) ++sound_tracks_;
    if (length &&
        (essence == MxfEssence::kPicture || essence == MxfEssence::kSound || essence == MxfEssence::kData) &&
        (!facts_.duration_s || essence == MxfEssence::kPicture) && !picture_known_)
      facts_.duration_s = static_cast<double>(length) / rate->value();
    if (essence != MxfEssence::kPicture || picture_known_) return;
    facts_.fps = rate;
    if (length) {
      facts_.frame_count = length;
      picture_known_ = true;
    }
  }

  void read_identification(const Set& set) {
    std::string text;
    for (uint16_t tag : {0x3C01, 0x3C02, 0x3C04}) {
      std::string part = clean_text(utf16be_text(set.get(tag)), 100);
      if (part.empty()) continue;
      if (!text.empty()) text += ' ';
      text += part;
    }
    if (facts_.encoder.empty()) facts_.encoder = text;
    std::string_view when = set.get(0x3C06);  // year, month, day, hour, minute, second, 1/250 s
    if (when.size() < 8 || facts_.creation_time_ms) return;
    int64_t year = be16(when.data());
    unsigned month = u8(when.data() + 2), day = u8(when.data() + 3);
    if (year < 1980 || month < 1 || month > 12 || day < 1 || day > 31) return;
    int64_t hours = base::days_from_civil(year, month, day) * 24 + u8(when.data() + 4);
    facts_.creation_time_ms = ((hours * 60 + u8(when.data() + 5)) * 60 + u8(when.data() + 6)) * 1000;
  }

  void read_picture(const Set& set) {
    // What is stored is in whole macroblocks; what is shown is the picture. But of D-10, whose lines of data
    // are shown by no one and coded all the same.
    bool shown = set.number(0x3209) != 0 && set.number(0x3208) != 0 && !mxf_is_d10(set.get(0x3004));
    uint64_t width = set.number(shown ? 0x3209 : 0x3203), height = set.number(shown ? 0x3208 : 0x3202);
    uint64_t layout = set.get(0x320C).empty() ? 0 : set.number(0x320C);
    if (layout == 1 || layout == 3) height *= 2;  // of a field
    name_picture(set);
    if (width > 0 && height > 0 && width < 65536 && height < 65536) {
      facts_.resolution_x = static_cast<uint32_t>(width);
      facts_.resolution_y = static_cast<uint32_t>(height);
      if (auto shape = set.ratio(0x320E); shape && shape->num < 100'000 && shape->den < 100'000)
        facts_.sample_aspect =
            reduced(shape->num * static_cast<int64_t>(height), shape->den * static_cast<int64_t>(width));
    }
    if (uint64_t depth = set.number(0x3301); depth > 0 && depth <= 32)
      facts_.bit_depth = static_cast<uint32_t>(depth);
    uint64_t across = set.number(0x3302), down = set.get(0x3308).empty() ? 1 : set.number(0x3308);
    if (across == 2 && down == 2) facts_.chroma = "4:2:0";
    if (across == 2 && down == 1) facts_.chroma = "4:2:2";
    if (across == 1) facts_.chroma = "4:4:4";
    if (across == 4) facts_.chroma = "4:1:1";
    set_color_codes(facts_, mxf_primaries(set.get(0x3219)), mxf_transfer(set.get(0x3210)),
                    mxf_matrix(set.get(0x321A)));
    if (!set.get(0x3304).empty() && facts_.bit_depth) {
      uint64_t black = set.number(0x3304);
      facts_.color_range = black == 0 ? "pc"
                           : black == uint64_t{16} << (*facts_.bit_depth - std::min(*facts_.bit_depth, 8u))
                               ? "tv"
                               : "";
    }
    if (!facts_.fps) facts_.fps = set.ratio(0x3001);
    if (!facts_.frame_count && set.length(0x3002)) facts_.frame_count = set.length(0x3002);
  }

  void name_picture(const Set& set) {
    facts_.codec = mxf_picture_codec(set.get(0x3201), set.get(0x3004));
    facts_.profile = mxf_picture_profile(set.get(0x3201));
    if (facts_.codec == "mpeg2video" && facts_.profile.empty() && !set.get(0x8007).empty()) {
      unsigned level = static_cast<unsigned>(set.number(0x8007));
      facts_.profile = level & 0x80            ? "4:2:2"
                       : (level >> 4 & 7) == 4 ? "Main"
                       : (level >> 4 & 7) == 1 ? "High"
                                               : "";
    }
  }

  void read_sound(const Set& set) {
    if (facts_.audio_streams.size() >= 256) throw BudgetError("more than 256 MXF tracks of sound");
    AudioStream& stream = facts_.audio_streams.emplace_back();
    if (auto rate = set.ratio(0x3D03); rate && rate->value() < 1e9 && rate->value() >= 1)
      stream.sample_rate_hz = static_cast<uint32_t>(rate->value());
    if (uint64_t channels = set.number(0x3D07); channels > 0 && channels < 1000)
      stream.channels = static_cast<uint32_t>(channels);
    uint64_t bits = set.number(0x3D01);
    if (bits > 0 && bits <= 64) stream.bit_depth = static_cast<uint32_t>(bits);
    stream.codec = mxf_sound_codec(set.get(0x3D06), set.get(0x3004),
                                   static_cast<unsigned>(std::min<uint64_t>(bits, 64)));
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  std::vector<Set> sets_;
  std::unordered_map<std::string, size_t> index_;  // of sets_, by id
  unsigned references_ = 0;
  uint64_t stored_ = 0;
  size_t sound_tracks_ = 0;  // of source packages
  bool open_ = false, picture_known_ = false;
};

}  // namespace

void read_mxf(MediaBytes& bytes, VideoFacts& facts) { MxfReader(bytes, facts).read(); }

}  // namespace millrace::scan
