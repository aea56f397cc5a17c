// Sound, and the video containers beside MP4 and Matroska.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/workloads/scan/av_samples.h"
#include "workloads/scan/video.h"

namespace millrace::scan {
namespace {

using namespace testing;
using ::testing::HasSubstr;

VideoFacts read(const std::string& file, std::string_view name) {
  MemorySource source(file);
  VideoFacts facts = read_video(source, sniff(std::string_view(file).substr(0, 4096), name));
  EXPECT_EQ(facts.status, ReadStatus::kOk) << name << ": " << facts.problem;
  facts.audio_streams.resize(std::max<size_t>(facts.audio_streams.size(), 1));  // tests may look at the first
  return facts;
}

TEST(Av, BroadcastWave) {
  // Without this the scene, the take and the time of production sound are lost, and picture and sound never
  // meet.
  VideoFacts facts = read(wav_sample(), "a.wav");
  const AudioStream& stream = facts.audio_streams[0];
  EXPECT_EQ(facts.container, "wav");
  EXPECT_EQ(stream.codec, "pcm_s24le");
  EXPECT_EQ(stream.channels, 2u);
  EXPECT_EQ(stream.channel_layout, "stereo");
  EXPECT_EQ(stream.sample_rate_hz, 48000u);
  EXPECT_EQ(stream.bit_depth, 24u);
  EXPECT_EQ(facts.sound.sample_count, 100);
  EXPECT_EQ(facts.sound.timecode, "10:00:00:03");
  EXPECT_EQ(facts.sound.time_reference, int64_t{48000} * 36000 + 5760);
  EXPECT_EQ(facts.sound.description, "Boom & lavalier");
  EXPECT_EQ(facts.sound.originator, "Recorder");
  EXPECT_EQ(facts.sound.scene, "12A");
  EXPECT_EQ(facts.sound.take, "3");
  EXPECT_EQ(facts.sound.tape, "D01&2");
  EXPECT_EQ(facts.sound.title, "Title");
  EXPECT_EQ(facts.creation_time_ms, 1795341605000);
}

TEST(Av, Rf64) {
  // Without this recordings beyond 4 GiB have no length, and which channel is which loudspeaker is unknown.
  VideoFacts facts = read(rf64_sample(), "b.wav");
  EXPECT_EQ(facts.container, "rf64");
  EXPECT_EQ(facts.audio_streams[0].channel_layout, "5.1");
  EXPECT_EQ(facts.audio_streams[0].codec, "pcm_s16le");
  EXPECT_EQ(facts.sound.sample_count, 10);
}

TEST(Av, Aiff) {
  // Without this the rate, an 80-bit number, may be read wrong.
  VideoFacts facts = read(aiff_sample(), "c.aiff");
  EXPECT_EQ(facts.audio_streams[0].codec, "pcm_s16be");
  EXPECT_EQ(facts.audio_streams[0].sample_rate_hz, 44100u);
  EXPECT_EQ(facts.audio_streams[0].channel_layout, "mono");
  EXPECT_EQ(facts.sound.sample_count, 50);
  EXPECT_EQ(facts.sound.title, "Title");
}

TEST(Av, Mp3) {
  // Without this the length of every MP3 of variable rate is wrong.
  VideoFacts facts = read(mp3_sample(), "d.mp3");
  EXPECT_EQ(facts.audio_streams[0].codec, "mp3");
  EXPECT_EQ(facts.sound.sample_count, 4 * 1152);
  EXPECT_NEAR(facts.duration_s.value_or(0), 4 * 1152 / 44100.0, 1e-9);
  EXPECT_EQ(facts.sound.title, "Title");
}

TEST(Av, AacFlacOggOpus) {
  // Without this lengths and names of sound in its plainest wrappings could be wrong unnoticed.
  VideoFacts aac = read(aac_sample(), "e.aac");
  EXPECT_EQ(aac.sound.sample_count, 3 * 1024);
  EXPECT_EQ(aac.audio_streams[0].sample_rate_hz, 44100u);
  VideoFacts flac = read(flac_sample(), "f.flac");
  EXPECT_DOUBLE_EQ(flac.duration_s.value_or(0), 2.0);
  EXPECT_EQ(flac.audio_streams[0].bit_depth, 24u);
  EXPECT_EQ(flac.audio_streams[0].channels, 2u);
  EXPECT_EQ(flac.sound.title, "Title");
  EXPECT_EQ(flac.encoder, "libtest");
  VideoFacts ogg = read(ogg_sample(), "g.ogg");
  EXPECT_EQ(ogg.audio_streams[0].codec, "vorbis");
  EXPECT_DOUBLE_EQ(ogg.duration_s.value_or(0), 2.0);
  EXPECT_EQ(ogg.sound.title, "Title");
  VideoFacts opus = read(opus_sample(), "h.opus");
  EXPECT_EQ(opus.sound.sample_count, 48000);
  EXPECT_EQ(opus.audio_streams[0].channel_layout, "5.1");
}

TEST(Av, Theora) {
  // Without this frames are counted without the key frame's half of the number.
  VideoFacts facts = read(ogv_sample(), "i.ogv");
  EXPECT_EQ(facts.codec, "theora");
  EXPECT_EQ(facts.resolution_x, 320u);
  EXPECT_EQ(facts.fps, (Rational{30000, 1001}));
  EXPECT_EQ(facts.frame_count, 30);
  EXPECT_EQ(facts.audio_streams[0].codec, "vorbis");
}

TEST(Av, Flv) {
  // Without this a rate written as 29.97 is not 30000/1001.
  VideoFacts facts = read(flv_sample(), "j.flv");
  EXPECT_EQ(facts.codec, "h264");
  EXPECT_EQ(facts.profile, "High");
  EXPECT_EQ(facts.resolution_y, 360u);
  EXPECT_EQ(facts.fps, (Rational{30000, 1001}));
  EXPECT_DOUBLE_EQ(facts.duration_s.value_or(0), 2.002);
  EXPECT_EQ(facts.audio_streams[0].codec, "aac");
  EXPECT_EQ(facts.audio_streams[0].sample_rate_hz, 48000u);
  EXPECT_EQ(facts.encoder, "Lavf59");
}

TEST(Av, Asf) {
  // Without this the time before the first frame counts as part of a WMV.
  VideoFacts facts = read(asf_sample(), "k.wmv");
  EXPECT_EQ(facts.codec, "wmv3");
  EXPECT_EQ(facts.resolution_x, 640u);
  EXPECT_DOUBLE_EQ(facts.duration_s.value_or(0), 5.0);
  EXPECT_EQ(facts.fps, (Rational{25, 1}));
  EXPECT_EQ(facts.audio_streams[0].codec, "wmav2");
  EXPECT_EQ(facts.creation_time_ms, 1609286400000);
}

TEST(Av, AviBeyondAGigabyte) {
  // Without this the first of several pieces passes for the whole.
  VideoFacts facts = read(avi_sample(), "l.avi");
  EXPECT_EQ(facts.codec, "mpeg4");
  EXPECT_EQ(facts.fourcc, "XVID");
  EXPECT_EQ(facts.frame_count, 75);
  EXPECT_EQ(facts.fps, (Rational{30000, 1001}));
  EXPECT_NEAR(facts.duration_s.value_or(0), 2.5025, 1e-9);
  EXPECT_EQ(facts.audio_streams[0].codec, "mp3");
  EXPECT_EQ(facts.encoder, "Lavf59");
}

TEST(Av, TransportStream) {
  // Without this length, size and languages of broadcasts and camera cards are unknown.
  for (size_t packet : {size_t{188}, size_t{192}}) {
    VideoFacts facts = read(ts_sample(packet), "m.ts");
    EXPECT_EQ(facts.container, packet == 188 ? "mpegts" : "m2ts");
    EXPECT_EQ(facts.codec, "mpeg2video");
    EXPECT_EQ(facts.profile, "Main");
    EXPECT_EQ(facts.pixel_format, "yuv420p");
    EXPECT_EQ(facts.resolution_x, 720u);
    EXPECT_EQ(facts.fps, (Rational{25, 1}));
    EXPECT_EQ(facts.display_aspect, (Rational{16, 9}));
    EXPECT_NEAR(facts.duration_s.value_or(0), 0.4, 1e-6);
    EXPECT_EQ(facts.audio_streams[0].codec, "mp2");
    EXPECT_EQ(facts.audio_streams[0].channels, 1u);
    EXPECT_EQ(facts.audio_streams[0].language, "deu");
  }
}

TEST(Av, TimeStampsBeginAnew) {
  // Without this a broadcast that runs over the end of its counter of 26 hours is 26 hours long.
  std::string file = ts_sample();
  for (size_t at = 0; at < file.size(); at += 188) {
    size_t start = file.find("\0\0\x01\xE0"s, at);
    if (start == std::string::npos) break;
    if (start > at + 188) continue;
    // The first half at the end of the counter, the second at its begin.
    uint64_t frame = (at / 188 - 2) / 2,
             time = ((uint64_t{1} << 33) - 5 * 3600 + frame * 3600) % (uint64_t{1} << 33);
    file.replace(start + 9, 5, pes(0xE0, time, "").substr(9));
  }
  VideoFacts facts = read(file, "m.ts");
  EXPECT_EQ(facts.codec, "mpeg2video");
  EXPECT_LT(facts.audio_streams[0].duration_s.value_or(0), 1);
}

TEST(Av, Mxf) {
  // Without this the masters of a production have no rate, no time code and the height of their macroblocks.
  VideoFacts facts = read(mxf_sample(), "o.mxf");
  EXPECT_EQ(facts.codec, "prores");
  EXPECT_EQ(facts.profile, "HQ");
  EXPECT_EQ(facts.resolution_x, 1920u);
  EXPECT_EQ(facts.resolution_y, 1080u);
  EXPECT_EQ(facts.fps, (Rational{24000, 1001}));
  EXPECT_EQ(facts.frame_count, 48);
  EXPECT_NEAR(facts.duration_s.value_or(0), 2.002, 1e-9);
  EXPECT_EQ(facts.timecode, "01:00:00:00");
  EXPECT_EQ(facts.chroma, "4:2:2");
  EXPECT_EQ(facts.bit_depth, 10u);
  EXPECT_EQ(facts.pixel_format, "yuv422p10le");
  EXPECT_EQ(facts.color_primaries, "bt709");
  EXPECT_EQ(facts.color_matrix, "bt709");
  EXPECT_EQ(facts.display_aspect, (Rational{16, 9}));
  EXPECT_EQ(facts.audio_streams[0].codec, "pcm_s24le");
  EXPECT_EQ(facts.audio_streams[0].channels, 2u);
}

TEST(Av, UnfinishedMxfSaysSo) {
  // Without this the recording of a camera that lost power passes as whole.
  std::string file = mxf_sample();
  file[14] = 1;                                          // open and incomplete
  for (size_t i = 0; i < 8; ++i) file[20 + 24 + i] = 0;  // no footer
  file.resize(file.size() - 108);
  MemorySource source(file);
  VideoFacts facts = read_video(source, sniff(file, "o.mxf"));
  EXPECT_EQ(facts.status, ReadStatus::kPartial);
  EXPECT_THAT(facts.problem, HasSubstr("never finished"));
  EXPECT_EQ(facts.codec, "prores");
}

TEST(Av, HostileNestingIsBounded) {
  // Without this objects within objects overflow the stack, and references in circles take minutes.
  std::string inner;
  std::string guid("\xB5\x03\xBF\x5F\x2E\xA9\xCF\x11\x8E\xE3\x00\xC0\x0C\x20\x53\x65", 16);
  constexpr size_t kDepth = 60'000;
  for (size_t i = 0; i < kDepth; ++i) {
    size_t rest = (kDepth - i - 1) * 46;
    inner += guid + le(rest + 46, 8) + zeros(18) + le(rest, 4);
  }
  std::string asf =
      asf_object("\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C", zeros(6) + inner);
  MemorySource deep(asf);
  EXPECT_THAT(read_video(deep, sniff(asf, "a.wmv")).problem, HasSubstr("nest"));

  std::vector<int> all;
  for (int i = 0; i < 255; ++i) all.push_back(i + 1);
  std::string sets;
  for (int id : all)
    sets += mxf_set(id % 2 ? 0x36 : 0x3B, id,
                    mxf_property(0x4403, mxf_batch(all)) + mxf_property(0x4B01, be(25, 4) + be(1, 4)) +
                        mxf_property(0x4803, mxf_id(id)) + mxf_property(0x1001, mxf_batch(all)));
  std::string mxf = mxf_partition(2, 4, 0, 108 + sets.size()) + sets + mxf_partition(4, 4, 0, 0);
  MemorySource circles(mxf);
  EXPECT_THAT(read_video(circles, sniff(mxf, "a.mxf")).problem, HasSubstr("references"));
}

TEST(Av, HevcParameterSets) {
  // Without this HDR of streams whose container says nothing goes unseen. Bits as section 7.3.2.2 of H.265
  // has them.
  auto ue = [](uint64_t n) {
    int width = std::bit_width(n + 1);
    return std::pair<int, uint64_t>{2 * width - 1, n + 1};
  };
  std::vector<std::pair<int, uint64_t>> fields = {{4, 0}, {3, 0}, {1, 1}, {3, 0}, {5, 2}};
  for (int i = 0; i < 11; ++i) fields.emplace_back(8, 0x55);
  for (uint64_t n : {0u, 1u, 3840u, 2160u}) fields.push_back(ue(n));
  fields.emplace_back(1, 0);
  for (uint64_t n : {2u, 2u, 4u}) fields.push_back(ue(n));
  fields.emplace_back(1, 1);
  for (int i = 0; i < 9; ++i) fields.push_back(ue(1));
  fields.insert(fields.end(), {{1, 0}, {2, 0}, {1, 0}});
  fields.push_back(ue(2));  // two sets of reference pictures
  fields.insert(fields.end(), {ue(1), ue(0), ue(0), {1, 1}});
  fields.insert(fields.end(), {{1, 1}, {1, 0}, ue(0), {1, 1}, {1, 0}, {1, 1}});
  fields.insert(fields.end(), {{1, 0}, {2, 0}, {1, 1}});
  fields.insert(fields.end(),
                {{1, 0}, {1, 0}, {1, 1}, {3, 5}, {1, 0}, {1, 1}, {8, 9}, {8, 16}, {8, 9}, {1, 0}});
  fields.insert(fields.end(), {{3, 0}, {1, 0}, {1, 1}, {32, 1001}, {32, 24000}});
  std::string sps = "\x42\x01"s + bit_string(fields), escaped;
  for (char c : sps) {
    if (escaped.size() >= 2 && escaped.ends_with("\0\0"s) && static_cast<unsigned char>(c) <= 3)
      escaped += '\x03';
    escaped += c;
  }
  std::string config = "\x01\x02"s + zeros(14) + "\xFD\xFA\xFA"s + zeros(2) + "\x0F\x01\x21"s + be(1, 2) +
                       be(escaped.size(), 2) + escaped;
  std::string moov =
      box("moov", mvhd(0, 24000, 1001) + mp4_track(1, "vide", 24000, 1001,
                                                   video_entry("hvc1", box("hvcC", config)), 1, 1001, 0));
  VideoFacts facts = read(box("ftyp", "isom"s + zeros(4)) + moov, "h.mp4");
  EXPECT_EQ(facts.codec, "hevc");
  EXPECT_EQ(facts.pixel_format, "yuv420p10le");
  EXPECT_EQ(facts.color_primaries, "bt2020");
  EXPECT_EQ(facts.hdr, "HDR10");
  EXPECT_EQ(facts.color_range, "tv");
}

}  // namespace
}  // namespace millrace::scan
