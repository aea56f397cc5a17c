#include "workloads/scan/media_helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "objects/local_reader.h"
#include "tests/workloads/scan/media_samples.h"
#include "workloads/scan/extract.h"
#include "workloads/scan/image.h"
#include "workloads/scan/thumbnails.h"

namespace millrace::scan {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class MediaHelperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "media_helper.XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  // The program as it was built; the test is skipped where FFmpeg's libraries are not there.
  static std::string program() {
#ifdef MILLRACE_MEDIA_PROGRAM
    return MILLRACE_MEDIA_PROGRAM;
#else
    return {};
#endif
  }
  // A program that does something else instead.
  std::string script(const std::string& body) {
    fs::path path = folder_ / "helper";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    chmod(path.c_str(), 0755);
    return path.string();
  }

  fs::path folder_;
};

#define NEEDS_FFMPEG() \
  if (program().empty()) GTEST_SKIP() << "built without FFmpeg's libraries"

// A picture whose left half is red and whose right half is blue.
std::string real_png(uint32_t width, uint32_t height) {
  std::string rows;
  for (uint32_t y = 0; y < height; ++y) {
    rows += '\0';
    for (uint32_t x = 0; x < width; ++x) rows += x < width / 2 ? "\xFF\0\0"s : "\0\0\xFF"s;
  }
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
           rows.size());
  packed.resize(size);
  return "\x89PNG\r\n\x1A\n"s + png_ihdr(width, height, 8, 2) + png_chunk("IDAT", packed) +
         png_chunk("IEND", "");
}
// Sun's .au: a container that no reader of ours knows. A quarter of a second.
std::string au_sample() {
  return ".snd"s + be(24, 4) + be(8000 * 2, 4) + be(3, 4) + be(16000, 4) + be(2, 4) + zeros(16000);
}
ImageFacts jpeg_facts(const std::string& jpeg) {
  MemorySource source(jpeg);
  return read_image(source, sniff(jpeg, "t.jpg"));
}

TEST_F(MediaHelperTest, ReadsWhatNoReaderKnows) {
  // Without this a rare container is a row without facts although FFmpeg is there.
  NEEDS_FFMPEG();
  MediaHelper helper(program());
  MemorySource source(au_sample());
  VideoFacts facts = helper.probe(source, "a.au");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  ASSERT_EQ(facts.audio_streams.size(), 1u);
  EXPECT_EQ(facts.audio_streams[0].codec, "pcm_s16be");
  EXPECT_EQ(facts.audio_streams[0].channels, 2u);
  EXPECT_EQ(facts.audio_streams[0].sample_rate_hz, 16000u);
  EXPECT_NEAR(facts.duration_s.value_or(0), 0.25, 1e-6);
}

TEST_F(MediaHelperTest, MakesThumbnails) {
  // Without this the pictures of a report are missing, lying on their side or of the wrong shape.
  NEEDS_FFMPEG();
  MediaHelper helper(program());
  MemorySource wide(real_png(600, 300));
  ImageFacts facts = jpeg_facts(helper.thumbnail(wide, "a.png", 256, 0));
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 256u);
  EXPECT_EQ(facts.resolution_y, 128u);
  facts = jpeg_facts(helper.thumbnail(wide, "a.png", 256, 90));
  EXPECT_EQ(facts.resolution_x, 128u);
  EXPECT_EQ(facts.resolution_y, 256u);
  MemorySource small(real_png(20, 10));
  EXPECT_EQ(jpeg_facts(helper.thumbnail(small, "b.png", 256, 0)).resolution_x, 20u);
  std::string pixels(64 * 32 * 4, '\x7F');
  EXPECT_EQ(jpeg_facts(helper.thumbnail_of_pixels(pixels, 64, 32, 256)).resolution_x, 64u);
  EXPECT_EQ(helper.starts(), 1u);
}

TEST_F(MediaHelperTest, SaysWhyThereIsNone) {
  // Without this a picture that cannot be decoded is silently without a thumbnail, or ends the helper.
  NEEDS_FFMPEG();
  MediaHelper helper(program());
  MemorySource source("\x89PNG\r\n\x1A\n" + std::string(200, 'x'));
  EXPECT_THROW(helper.thumbnail(source, "a.png", 256, 0), base::CorruptError);
  EXPECT_THROW(helper.thumbnail_of_pixels("short", 100, 100, 256), base::CorruptError);
  MemorySource good(real_png(20, 10));
  EXPECT_FALSE(helper.thumbnail(good, "b.png", 256, 0).empty());
  EXPECT_EQ(helper.starts(), 1u);
}

TEST_F(MediaHelperTest, OpensNoOtherFile) {
  // Without this a playlist in a bucket reads this machine's files, or calls a server.
  NEEDS_FFMPEG();
  std::ofstream(folder_ / "secret.au") << au_sample();
  MediaHelper helper(program());
  for (const std::string& url :
       {"file://" + (folder_ / "secret.au").string(), (folder_ / "secret.au").string()}) {
    MemorySource playlist("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + url + "\n#EXT-X-ENDLIST\n");
    EXPECT_NE(helper.probe(playlist, "a.m3u8").status, ReadStatus::kOk);
    MemorySource concat("ffconcat version 1.0\nfile '" + url + "'\n");
    EXPECT_NE(helper.probe(concat, "a.ffconcat").status, ReadStatus::kOk);
  }
}

TEST_F(MediaHelperTest, StartsAnewAfterManyJobs) {
  // Without this a leak in a library grows with the number of files.
  NEEDS_FFMPEG();
  MediaHelper::Limits limits;
  limits.jobs_max = 2;
  MediaHelper helper(program(), limits);
  for (int i = 0; i < 5; ++i) {
    MemorySource source(au_sample());
    EXPECT_EQ(helper.probe(source, "a.au").status, ReadStatus::kOk);
  }
  EXPECT_EQ(helper.starts(), 3u);
}

TEST_F(MediaHelperTest, HangCostsOneFile) {
  // Without this one file that a library never comes back from holds the scan for ever.
  MediaHelper::Limits limits;
  limits.time = std::chrono::milliseconds(200);
  MediaHelper helper(script("exec sleep 1000"), limits);
  MemorySource source(au_sample());
  VideoFacts facts = helper.probe(source, "a.au");
  EXPECT_EQ(facts.status, ReadStatus::kBroken);
  EXPECT_THAT(facts.problem, HasSubstr("longer than 200 ms and was stopped"));
  EXPECT_EQ(helper.probe(source, "b.au").status, ReadStatus::kBroken);
  EXPECT_EQ(helper.starts(), 2u);
}

TEST_F(MediaHelperTest, CrashCostsOneFile) {
  // Without this a crash in a library ends the scan, or passes for an empty answer.
  MediaHelper helper(script("kill -SEGV $$"));
  MemorySource source(au_sample());
  EXPECT_THAT(helper.probe(source, "a.au").problem, HasSubstr("signal 11"));
  MediaHelper babbling(script("echo what is it that you want from me"));
  EXPECT_EQ(babbling.probe(source, "a.au").status, ReadStatus::kBroken);
}

TEST_F(MediaHelperTest, MemoryIsBoundedAndCostsOneFile) {
  // Without this a picture of a few bytes that unpacks to gigabytes takes the memory of the machine.
  NEEDS_FFMPEG();
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address space has no limit under AddressSanitizer";
#endif
  const uint32_t side = 14'500;  // 210 million pixels of one byte
  z_stream stream{};
  ASSERT_EQ(deflateInit(&stream, 9), Z_OK);
  std::string row(side + 1, '\0'), idat(1 << 20, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(idat.data());
  stream.avail_out = static_cast<uInt>(idat.size());
  for (uint32_t y = 0; y < side; ++y) {
    stream.next_in = reinterpret_cast<Bytef*>(row.data());
    stream.avail_in = static_cast<uInt>(row.size());
    ASSERT_GE(deflate(&stream, y + 1 < side ? Z_NO_FLUSH : Z_FINISH), Z_OK);
  }
  idat.resize(stream.total_out);
  deflateEnd(&stream);
  MemorySource large("\x89PNG\r\n\x1A\n"s + png_ihdr(side, side, 8, 0) + png_chunk("IDAT", idat) +
                     png_chunk("IEND", ""));
  MemorySource small(real_png(20, 10));
  MediaHelper::Limits limits;
  limits.memory_bytes = 320 << 20;
  MediaHelper bounded(program(), limits);
  EXPECT_FALSE(bounded.thumbnail(small, "a.png", 256, 0).empty());
  EXPECT_THROW(bounded.thumbnail(large, "b.png", 256, 0), base::CorruptError);
  EXPECT_FALSE(bounded.thumbnail(small, "c.png", 256, 0).empty());
  MediaHelper helper(program());
  EXPECT_FALSE(helper.thumbnail(large, "b.png", 256, 0).empty()) << "the limit is not what refuses it";
}

TEST_F(MediaHelperTest, MissingProgramIsNoFaultOfTheFile) {
  // Without this an installation without the helper marks files as broken.
  MediaHelper helper((folder_ / "nothing").string());
  MemorySource source(au_sample());
  EXPECT_THROW(helper.probe(source, "a.au"), base::TransientError);
}

class FailingSource final : public Source {
 public:
  uint64_t size() const override { return 100'000; }
  std::string_view read(uint64_t, size_t) override { throw base::TransientError("the store is away"); }
  std::string_view read_some(uint64_t, size_t) override { throw base::TransientError("the store is away"); }
};

TEST_F(MediaHelperTest, ErrorsOfTheStorePassThrough) {
  // Without this a store that is away for a moment marks files as broken for good.
  NEEDS_FFMPEG();
  MediaHelper helper(program());
  FailingSource source;
  EXPECT_THROW(helper.probe(source, "a.au"), base::TransientError);
  MemorySource good(au_sample());
  EXPECT_EQ(helper.probe(good, "a.au").status, ReadStatus::kOk);
}

TEST_F(MediaHelperTest, ThumbnailsOfAScan) {
  // Without this --thumbnails makes nothing, makes it twice, or fails files that have none.
  NEEDS_FFMPEG();
  fs::create_directories(folder_ / "tree");
  std::ofstream(folder_ / "tree/a.png") << real_png(600, 300);
  std::ofstream(folder_ / "tree/b.png") << png_sample();  // its pixels are rubbish
  auto reader = objects::open_local((folder_ / "tree").string());
  ScanContext context;
  context.storage = "local";
  context.base = context.root = (folder_ / "tree").string() + "/";
  context.media_helper = program();
  context.thumbnails = (folder_ / "thumbs").string();
  Extractor extractor(*reader, context);
  Batch batch;
  objects::ObjectInfo a = reader->head("a.png"), b = reader->head("b.png");
  extractor.extract({a, 0}, batch);
  extractor.extract({b, 0}, batch);
  ASSERT_EQ(batch.outcomes.size(), 2u);
  EXPECT_EQ(batch.outcomes[0].error, "");
  EXPECT_EQ(batch.outcomes[1].error, "");
  fs::path made = thumbnail_path(context.thumbnails, a);
  ASSERT_TRUE(fs::exists(made));
  EXPECT_FALSE(fs::exists(thumbnail_path(context.thumbnails, b)));
  std::ifstream in(made, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  EXPECT_EQ(jpeg_facts(bytes.str()).resolution_x, 256u);
  // What cannot be written is named, and the facts are kept.
  std::ofstream(folder_ / "file") << "no folder";
  ScanContext full = context;
  full.thumbnails = (folder_ / "file").string();
  Extractor failing(*reader, full);
  Batch failed;
  failing.extract({a, 0}, failed);
  EXPECT_EQ(failed.outcomes.at(0).code, "Thumbnail");
  EXPECT_GT(failed.images.size(), 0u);
  auto time = fs::last_write_time(made);
  extractor.extract({a, 0}, batch);
  EXPECT_EQ(fs::last_write_time(made), time);
}

}  // namespace
}  // namespace millrace::scan
