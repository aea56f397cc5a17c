#include "workloads/scan/video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/workloads/scan/media_samples.h"

namespace millrace::scan {
namespace {

using namespace testing;
using ::testing::HasSubstr;

VideoFacts read(const std::string& file, std::string_view name) {
  MemorySource source(file);
  return read_video(source, sniff(std::string_view(file).substr(0, 4096), name));
}

void expect_movie(const VideoFacts& facts) {
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.warning, "");
  EXPECT_EQ(facts.resolution_x, 1920u);
  EXPECT_EQ(facts.resolution_y, 1080u);
  EXPECT_DOUBLE_EQ(facts.duration_s.value_or(0), 10.01);
  EXPECT_EQ(facts.fps, (Rational{30000, 1001}));
  EXPECT_EQ(facts.frame_count, 300);
  EXPECT_EQ(facts.codec, "h264");
  EXPECT_EQ(facts.fourcc, "avc1");
  EXPECT_EQ(facts.profile, "High");
  EXPECT_EQ(facts.bit_depth, 8u);
  EXPECT_EQ(facts.pixel_format, "yuv420p");
  EXPECT_EQ(facts.color_primaries, "bt2020");
  EXPECT_EQ(facts.color_transfer, "smpte2084");
  EXPECT_EQ(facts.color_matrix, "bt2020nc");
  EXPECT_EQ(facts.color_range, "tv");
  EXPECT_EQ(facts.hdr, "HDR10");
  EXPECT_EQ(facts.sample_aspect, (Rational{4, 3}));
  EXPECT_EQ(facts.display_aspect, (Rational{64, 27}));
  EXPECT_EQ(facts.rotation, 90);
  EXPECT_EQ(facts.timecode, "00:01:00;02");
  EXPECT_EQ(facts.reel, "A001");
  EXPECT_EQ(facts.fragmented, false);
  EXPECT_EQ(facts.encoder, "Lavf59");
  EXPECT_EQ(facts.creation_time_ms, (3786912000LL - 2082844800LL) * 1000);
  ASSERT_EQ(facts.audio_streams.size(), 1u);
  EXPECT_EQ(facts.audio_streams[0].codec, "aac");
  EXPECT_EQ(facts.audio_streams[0].channels, 6u);  // from the AudioSpecificConfig, not the description's 2
  EXPECT_EQ(facts.audio_streams[0].sample_rate_hz, 48000u);  // likewise
  EXPECT_DOUBLE_EQ(facts.audio_streams[0].duration_s.value_or(0), 10.01);
}

TEST(Video, Mp4) {
  // Without this rates, colours, rotation and time codes of every MP4 could be wrong unnoticed.
  VideoFacts facts = read(mp4_sample(), "n.mp4");
  expect_movie(facts);
  EXPECT_EQ(facts.container, "mp4");
  EXPECT_EQ(facts.faststart, true);
}

TEST(Video, QuickTimeIsToldByItsBrand) {
  // Without this .mov and .mp4 are one container in the catalogue.
  VideoFacts facts = read(mp4_sample("qt  "), "o.mov");
  expect_movie(facts);
  EXPECT_EQ(facts.container, "mov");
}

// Ten gigabytes of media data between two small pieces.
class HollowSource final : public Source {
 public:
  HollowSource(std::string head, uint64_t hole, std::string tail)
      : head_(std::move(head)), tail_(std::move(tail)), hole_(hole) {}
  uint64_t size() const override { return head_.size() + hole_ + tail_.size(); }
  std::string_view read(uint64_t offset, size_t length) override { return read_some(offset, length); }
  std::string_view read_some(uint64_t offset, size_t length) override {
    ++reads;
    uint64_t left = size() - std::min(offset, size());
    window_.assign(static_cast<size_t>(std::min<uint64_t>(length, left)), '\0');
    uint64_t tail_at = head_.size() + hole_;
    for (size_t i = 0; i < window_.size(); ++i) {
      uint64_t at = offset + i;
      if (at < head_.size())
        window_[i] = head_[static_cast<size_t>(at)];
      else if (at >= tail_at)
        window_[i] = tail_[static_cast<size_t>(at - tail_at)];
    }
    bytes_read += window_.size();
    return window_;
  }
  unsigned reads = 0;
  uint64_t bytes_read = 0;

 private:
  std::string head_, tail_;
  uint64_t hole_;
  std::string window_;
};

TEST(Video, IndexBehindTenGigabytes) {
  // Without this a camera original over the network would be fetched in full to find its index.
  const uint64_t hole = 10'500'000'000;
  std::string head = box("ftyp", "isom"s + zeros(4)) + be(1, 4) + "mdat" + be(16 + 4 + hole, 8) + be(1800, 4);
  HollowSource source(head, hole, mp4_movie(static_cast<uint32_t>(head.size() - 4)));
  VideoFacts facts = read_video(source, sniff(head, "camera.mp4"));
  expect_movie(facts);
  EXPECT_EQ(facts.faststart, false);
  EXPECT_LE(source.reads, 8u);
  EXPECT_LE(source.bytes_read, 512u * 1024);
}

TEST(Video, FragmentsAddUp) {
  // Without this a fragmented recording has neither duration nor frames.
  VideoFacts facts = read(mp4_fragmented_sample(), "p.mp4");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.fragmented, true);
  EXPECT_EQ(facts.frame_count, 96);
  EXPECT_EQ(facts.fps, (Rational{24000, 1001}));
  EXPECT_NEAR(facts.duration_s.value_or(0), 4.004, 1e-9);
  EXPECT_EQ(facts.codec, "hevc");
}

TEST(Video, ThousandsOfFragmentsAreNotWalked) {
  // Without this an hour of fragmented recording costs a request for each of its fragments, or has no length.
  std::string moov =
      box("moov", mvhd(0, 1000, 0) + mp4_track(1, "vide", 24000, 0, video_entry("hvc1", ""), 0, 0, 0) +
                      box("mvex", box("trex", zeros(4) + be(1, 4) + be(1, 4) + be(1001, 4) + zeros(8))));
  std::string fragment =
      box("moof", box("mfhd", zeros(8)) + box("traf", box("tfhd", be(0x020000, 4) + be(1, 4)) +
                                                          box("trun", be(0, 4) + be(48, 4)))) +
      box("mdat", zeros(70'000));
  std::string file = box("ftyp", "iso5"s + zeros(4)) + moov;
  uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    last = file.size();
    file += fragment;
  }
  std::string tfra = box("tfra", zeros(4) + be(1, 4) + zeros(4) + be(1, 4) + be(99 * 48 * 1001, 4) +
                                     be(last, 4) + "\x01\x01\x01"s);
  file += box("mfra", tfra + box("mfro", zeros(4) + be(8 + tfra.size() + 16, 4)));
  MemorySource source(file);
  VideoFacts facts = read_video(source, sniff(file, "p.mp4"));
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_NEAR(facts.duration_s.value_or(0), 100 * 48 * 1001 / 24000.0, 1e-6);
  EXPECT_EQ(facts.fps, (Rational{24000, 1001}));
  EXPECT_LE(source.reads, 56u);
}

TEST(Video, RecordingWithoutIndex) {
  // Without this a camera file whose recording was cut off passes as a video without pictures.
  VideoFacts facts = read(box("ftyp", "isom"s + zeros(4)) + box("mdat", zeros(100)), "x.mp4");
  EXPECT_EQ(facts.status, ReadStatus::kBroken);
  EXPECT_THAT(facts.problem, HasSubstr("no moov box"));
}

TEST(Video, TruncatedMediaData) {
  // Without this half a download with its index in front looks whole.
  std::string file = mp4_sample();
  VideoFacts facts = read(file.substr(0, file.size() - 20), "n.mp4");
  EXPECT_EQ(facts.status, ReadStatus::kPartial);
  EXPECT_THAT(facts.problem, HasSubstr("truncated: mdat box"));
  EXPECT_EQ(facts.fps, (Rational{30000, 1001}));
}

TEST(Video, Matroska) {
  // Without this rates and colours of every MKV could be wrong unnoticed.
  VideoFacts facts = read(matroska_sample(), "q.mkv");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.container, "matroska");
  EXPECT_EQ(facts.resolution_x, 720u);
  EXPECT_EQ(facts.resolution_y, 576u);
  EXPECT_DOUBLE_EQ(facts.duration_s.value_or(0), 2.5025);
  EXPECT_EQ(facts.fps, (Rational{24000, 1001}));
  EXPECT_EQ(facts.frame_count, 60);
  EXPECT_EQ(facts.codec, "vp9");
  EXPECT_EQ(facts.profile, "Profile 2");
  EXPECT_EQ(facts.pixel_format, "yuv420p10le");
  EXPECT_EQ(facts.hdr, "HLG");
  EXPECT_EQ(facts.color_primaries, "bt2020");
  EXPECT_EQ(facts.color_range, "tv");
  EXPECT_EQ(facts.sample_aspect, (Rational{64, 45}));
  EXPECT_EQ(facts.display_aspect, (Rational{16, 9}));
  EXPECT_EQ(facts.subtitle_streams, 1u);
  EXPECT_EQ(facts.encoder, "libtest");
  EXPECT_EQ(facts.creation_time_ms, (978307200LL + 86400) * 1000);
  ASSERT_EQ(facts.audio_streams.size(), 1u);
  EXPECT_EQ(facts.audio_streams[0].codec, "pcm_s24le");
  EXPECT_EQ(facts.audio_streams[0].channels, 6u);
  EXPECT_EQ(facts.audio_streams[0].sample_rate_hz, 48000u);
  EXPECT_EQ(facts.audio_streams[0].language, "jpn");
}

TEST(Video, LiveWebmOfUnknownSize) {
  // Without this what browsers and streaming servers record is unreadable.
  VideoFacts facts = read(matroska_sample("webm", true), "r.webm");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.container, "webm");
  EXPECT_EQ(facts.codec, "vp9");
}

}  // namespace
}  // namespace millrace::scan
