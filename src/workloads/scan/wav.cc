// WAV and its professional relatives: BWF (EBU Tech 3285), RF64 (EBU Tech 3306, ITU-R BS.2088), iXML
// (production sound recorders).
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/strings.h"
#include "workloads/scan/audio_headers.h"
#include "workloads/scan/mp4_track.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kUnknown32 = UINT32_MAX;  // "see ds64", or a stream that was never finished
constexpr size_t kTextMax = 64 * 1024;       // of one chunk of metadata

// iXML is flat enough that the text between two tags is all there is to find.
std::string xml_text(std::string_view xml, std::string_view name) {
  std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  size_t begin = xml.find(open);
  if (begin == std::string_view::npos) return {};
  begin += open.size();
  size_t end = xml.find(close, begin);
  if (end == std::string_view::npos || end - begin > 1024) return {};
  std::string text(xml.substr(begin, end - begin));
  for (auto [entity, letter] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&amp;", "&"}})
    text = base::replace_all(std::move(text), entity, letter);
  return clean_text(text);
}

std::optional<Rational> rate_of(std::string_view text) {
  size_t slash = text.find('/');
  auto num = base::parse_number<uint32_t>(text.substr(0, slash));
  auto den = slash == std::string_view::npos ? std::optional<uint32_t>(1)
                                             : base::parse_number<uint32_t>(text.substr(slash + 1));
  if (!num || !den || *num == 0 || *den == 0 || *num / *den > 1000) return std::nullopt;
  return reduced(*num, *den);
}

class WavReader {
 public:
  WavReader(MediaBytes& bytes, VideoFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    conclude_after([this] { walk(); }, [this] { conclude(); });
    if (!format_) corrupt("a wave file without a format, its end", bytes_.size());
    if (!data_) corrupt("a wave file without sound, its end", bytes_.size());
  }

 private:
  void walk() {
    std::string_view head = bytes_.at(0, 12, "RIFF header");
    bool large = head.starts_with("RF64") || head.starts_with("BW64");
    if ((!large && !head.starts_with("RIFF")) || head.substr(8) != "WAVE") corrupt("not a wave file", 0);
    facts_.container = large ? "rf64" : "wav";
    uint64_t riff = le32(head.data() + 4);
    uint64_t at = 12;
    while (at < bytes_.size() && bytes_.size() - at >= 8) {
      bytes_.step("chunks");
      std::string_view p = bytes_.at(at, 8, "chunk");
      std::string id(p.substr(0, 4));
      uint64_t size = le32(p.data() + 4);
      uint64_t start = at + 8;
      if (id == "ds64" && size >= 24) {
        std::string_view wide = bytes_.at(start, 24, "ds64 chunk");
        riff = le64(wide.data());
        wide_data_ = le64(wide.data() + 8);
        wide_samples_ = le64(wide.data() + 16);
      } else if (id == "data") {
        if (size == kUnknown32) size = large && wide_data_ ? wide_data_ : bytes_.size() - start;
        data_ = true;
        data_bytes_ = std::min(size, bytes_.size() - start);
        if (size > bytes_.size() - start)
          throw base::CorruptError("truncated: the sound ends at offset " + std::to_string(start) + " + " +
                                   std::to_string(size) + ", the file at " + std::to_string(bytes_.size()));
      } else {
        if (size > bytes_.size() - start) check_end(start + size, bytes_.size(), "chunk");
        read_chunk(id, start, size);
      }
      at = start + size + (size & 1);
    }
    // A whole file that claims more has lost chunks behind the sound.
    if (riff != kUnknown32 && riff > bytes_.size() && riff < UINT64_MAX - 8)
      check_end(riff + 8, bytes_.size(), "RIFF chunk");
  }

  std::string_view content(uint64_t start, uint64_t size) {
    return bytes_.at(start, static_cast<size_t>(std::min<uint64_t>(size, kTextMax)), "chunk");
  }

  void read_chunk(std::string_view id, uint64_t start, uint64_t size) {
    if (id == "fmt ") {
      AudioStream stream;
      format_ = read_wave_format(content(start, size), stream);
      if (!format_) corrupt("a wave format of " + std::to_string(size) + " bytes", start);
      facts_.audio_streams.assign(1, stream);
    } else if (id == "fact" && size >= 4) {
      samples_ = bytes_.read_le32(start, "fact chunk");
    } else if (id == "bext" && size >= 602) {
      read_broadcast(content(start, size));
    } else if (id == "iXML") {
      read_production(content(start, size));
    } else if (id == "LIST" && size >= 4) {
      read_info(content(start, size));
    }
  }

  void read_broadcast(std::string_view p) {
    facts_.sound.description = clean_text(p.substr(0, 256));
    facts_.sound.originator = clean_text(p.substr(256, 32));
    uint64_t reference = le64(p.data() + 338);
    if (reference < uint64_t{1} << 40) facts_.sound.time_reference = static_cast<int64_t>(reference);
    std::string_view when = p.substr(320, 18);  // "2026-11-22" and "10:30:00", any separator
    auto number = [&](size_t at, size_t length) {
      return base::parse_number<int>(when.substr(at, length)).value_or(-1);
    };
    int year = number(0, 4), month = number(5, 2), day = number(8, 2);
    int hour = number(10, 2), minute = number(13, 2), second = number(16, 2);
    if (year > 1900 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour >= 0 && hour < 24 &&
        minute >= 0 && minute < 60 && second >= 0 && second < 61) {
      int64_t days = base::days_from_civil(year, static_cast<unsigned>(month), static_cast<unsigned>(day));
      facts_.creation_time_ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000;
    }
  }

  void read_production(std::string_view xml) {
    SoundFacts& sound = facts_.sound;
    sound.scene = xml_text(xml, "SCENE");
    sound.take = xml_text(xml, "TAKE");
    sound.tape = xml_text(xml, "TAPE");
    frame_rate_ = rate_of(xml_text(xml, "TIMECODE_RATE"));
    drop_frame_ = xml_text(xml, "TIMECODE_FLAG") == "DF";
    if (!sound.time_reference) {
      auto high = base::parse_number<uint32_t>(xml_text(xml, "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI"));
      auto low = base::parse_number<uint32_t>(xml_text(xml, "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"));
      if (low && high.value_or(0) < 256)
        sound.time_reference = static_cast<int64_t>(uint64_t{high.value_or(0)} << 32 | *low);
    }
  }

  // LIST chunk of type INFO: pairs of a name and a text.
  void read_info(std::string_view p) {
    if (!p.starts_with("INFO")) return;
    p.remove_prefix(4);
    while (p.size() >= 8) {
      std::string_view id = p.substr(0, 4);
      size_t size = le32(p.data() + 4);
      std::string_view text = p.substr(8, size);
      SoundFacts& sound = facts_.sound;
      std::string* fact = id == "INAM"   ? &sound.title
                          : id == "IART" ? &sound.artist
                          : id == "IPRD" ? &sound.album
                          : id == "ISFT" ? &facts_.encoder
                                         : nullptr;
      if (fact) *fact = clean_text(text);
      p.remove_prefix(std::min(p.size(), 8 + size + (size & 1)));
    }
  }

  void conclude() {
    if (!format_ || facts_.audio_streams.empty()) return;
    AudioStream& stream = facts_.audio_streams[0];
    uint64_t rate = stream.sample_rate_hz.value_or(0);
    uint64_t samples = 0;
    if (data_ && format_->block_bytes && stream.codec.starts_with("pcm_"))
      samples = data_bytes_ / format_->block_bytes;
    else if (samples_ && *samples_ != kUnknown32)
      samples = *samples_;
    else if (wide_samples_ && samples_)
      samples = wide_samples_;
    if (samples && rate && samples < uint64_t{1} << 52) {
      facts_.sound.sample_count = static_cast<int64_t>(samples);
      facts_.duration_s = static_cast<double>(samples) / static_cast<double>(rate);
    } else if (data_ && format_->bytes_per_second) {
      facts_.duration_s = static_cast<double>(data_bytes_) / format_->bytes_per_second;
    }
    stream.duration_s = facts_.duration_s;
    set_bit_rate(facts_, bytes_.size());
    if (facts_.sound.time_reference && rate)
      set_timecode(static_cast<uint64_t>(*facts_.sound.time_reference), rate);
  }

  void set_timecode(uint64_t reference, uint64_t rate) {
    if (frame_rate_) {
      // Both factors are below 2^40 and 2^32.
      auto frame = static_cast<uint64_t>(static_cast<long double>(reference) * frame_rate_->num /
                                             (static_cast<long double>(rate) * frame_rate_->den) +
                                         1e-6L);
      auto nominal = static_cast<uint32_t>((frame_rate_->num + frame_rate_->den - 1) / frame_rate_->den);
      if (frame <= UINT32_MAX)
        facts_.sound.timecode = timecode_of_frame(static_cast<uint32_t>(frame), nominal, drop_frame_);
      return;
    }
    uint64_t seconds = reference / rate, ms = reference % rate * 1000 / rate;
    if (seconds >= 86400) return;
    char text[64];
    std::snprintf(text, sizeof text, "%02u:%02u:%02u.%03u", static_cast<unsigned>(seconds / 3600),
                  static_cast<unsigned>(seconds / 60 % 60), static_cast<unsigned>(seconds % 60),
                  static_cast<unsigned>(ms));
    facts_.sound.timecode = text;
  }

  MediaBytes& bytes_;
  VideoFacts& facts_;
  std::optional<WaveFormat> format_;
  std::optional<uint64_t> samples_;
  uint64_t wide_data_ = 0, wide_samples_ = 0, data_bytes_ = 0;
  bool data_ = false, drop_frame_ = false;
  std::optional<Rational> frame_rate_;
};

}  // namespace

void read_wav(MediaBytes& bytes, VideoFacts& facts) { WavReader(bytes, facts).read(); }

}  // namespace millrace::scan
