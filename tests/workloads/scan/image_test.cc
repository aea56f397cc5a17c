#include "workloads/scan/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/workloads/scan/media_samples.h"

namespace millrace::scan {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ImageFacts read(const std::string& file, std::string_view name) {
  MemorySource source(file);
  return read_image(source, sniff(std::string_view(file).substr(0, 4096), name));
}

void expect_exif(const ImageFacts& facts) {
  EXPECT_EQ(facts.camera_make, "Makers");
  EXPECT_EQ(facts.camera_model, "Model One");
  EXPECT_EQ(facts.lens_model, "Planar 50mm");
  EXPECT_EQ(facts.capture_date, "2024-02-29T23:59:58+09:00");
  EXPECT_EQ(facts.orientation, 6u);
  EXPECT_EQ(facts.warning, "");
}

TEST(Image, Png) {
  // Without this every texture's size, depth, gamma and EXIF could be wrong unnoticed.
  ImageFacts facts = read(png_sample(), "a.png");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 640u);
  EXPECT_EQ(facts.resolution_y, 480u);
  EXPECT_EQ(facts.bit_depth, 16u);
  EXPECT_EQ(facts.channels, 4u);
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.pixel_type, "uint16");
  EXPECT_EQ(facts.has_alpha, true);
  EXPECT_EQ(facts.color_space, "gamma 0.45455");
  EXPECT_NEAR(facts.dpi_x.value_or(0), 300, 0.01);
  EXPECT_EQ(facts.software, "Painter");
  EXPECT_EQ(facts.animated, false);
  expect_exif(facts);
}

TEST(Image, ApngAndColourPriority) {
  // Without this an animation counts as a still, and the weaker colour chunk would win over cICP.
  ImageFacts facts = read(apng_sample(), "b.png");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.animated, true);
  EXPECT_EQ(facts.frame_count, 12u);
  EXPECT_EQ(facts.color_space, "bt2020 smpte2084");
  EXPECT_EQ(facts.color_mode, "P");
  EXPECT_EQ(facts.has_alpha, true);
}

TEST(Image, PngChecksum) {
  // Without this a flipped bit in the size would be catalogued as the truth.
  std::string file = png_sample();
  file[19] ^= 1;
  ImageFacts facts = read(file, "a.png");
  EXPECT_EQ(facts.status, ReadStatus::kPartial);
  EXPECT_THAT(facts.problem, HasSubstr("IHDR checksum"));
}

TEST(Image, LargePngCutShortIsNoticed) {
  // Without this a half-copied picture with thousands of chunks passes as whole, or is read in full to find
  // out.
  std::string file = "\x89PNG\r\n\x1A\n"s + png_ihdr(4000, 4000, 8, 2);
  std::string data = png_chunk("IDAT", zeros(8192));
  for (int i = 0; i < 400; ++i) file += data;
  std::string whole = file + png_chunk("IEND", "");
  MemorySource source(whole);
  EXPECT_EQ(read_image(source, sniff(whole, "x.png")).status, ReadStatus::kOk);
  EXPECT_LE(source.bytes_read, 70000u);
  EXPECT_EQ(read(file, "x.png").status, ReadStatus::kPartial);
  EXPECT_EQ(read(file.substr(0, file.size() - 5000), "x.png").status, ReadStatus::kPartial);
}

TEST(Image, Jpeg) {
  // Without this photographs lose their camera, lens, date, rotation and colour profile.
  ImageFacts facts = read(jpeg_sample(), "c.jpg");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 4000u);
  EXPECT_EQ(facts.resolution_y, 3000u);
  EXPECT_EQ(facts.bit_depth, 8u);
  EXPECT_EQ(facts.channels, 3u);
  EXPECT_EQ(facts.color_mode, "RGB");
  EXPECT_EQ(facts.compression, "JPEG progressive");
  EXPECT_EQ(facts.color_space, "Display P3");
  EXPECT_EQ(facts.dpi_x, 72.0);
  EXPECT_EQ(facts.has_xmp, true);
  EXPECT_EQ(facts.software, "Pipeline");
  expect_exif(facts);
}

TEST(Image, JpegCutInsideItsPicture) {
  // Without this a truncated photograph is "ok"; a video appended by a phone must not look like one.
  std::string file = jpeg_sample();
  std::string noise;
  for (int i = 0; i < 9000; ++i) noise += static_cast<char>(i * 7 % 251);
  std::string cut = file.substr(0, file.size() - 2) + noise;
  EXPECT_EQ(read(cut, "c.jpg").status, ReadStatus::kPartial);
  EXPECT_THAT(read(cut, "c.jpg").problem, HasSubstr("truncated: no end-of-image"));
  EXPECT_EQ(read(file + box("ftyp", "mp42") + noise + "\xFF\xE5\xFF\x42"s, "c.jpg").status, ReadStatus::kOk);
}

TEST(Image, Tiff) {
  // Without this 16-bit plates are catalogued with wrong channels, depth or alpha.
  ImageFacts facts = read(tiff_sample(), "d.tif");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 200u);
  EXPECT_EQ(facts.resolution_y, 100u);
  EXPECT_EQ(facts.bit_depth, 16u);
  EXPECT_EQ(facts.channels, 4u);
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.compression, "LZW");
  EXPECT_EQ(facts.orientation, 8u);
  EXPECT_EQ(facts.software, "Renderer");
  EXPECT_EQ(facts.parts, 1u);
  EXPECT_EQ(facts.tiled, false);
}

TEST(Image, BigTiff) {
  // Without this files over 4 GiB, which only BigTIFF can be, are unreadable.
  ImageFacts facts = read(bigtiff_sample(), "e.tif");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 70000u);
  EXPECT_EQ(facts.pixel_type, "float");
  EXPECT_EQ(facts.tiled, true);
}

TEST(Image, TiffDirectoryLoopEnds) {
  // Without this a directory that links to itself hangs a worker for ever.
  std::string file = tiff_sample();
  file.replace(8 + 2 + 12 * 12, 4, be(8, 4));
  ImageFacts facts = read(file, "d.tif");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;  // the pictures before it are whole
  EXPECT_THAT(facts.warning, HasSubstr("loop"));
}

TEST(Image, OpenExr) {
  // Without this overscan, layers, frame rate and time code of renders are lost.
  ImageFacts facts = read(exr_sample(), "f.exr");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 36u);
  EXPECT_EQ(facts.resolution_y, 20u);
  EXPECT_EQ(facts.data_window, (PixelWindow{-2, -3, 36, 20}));
  EXPECT_EQ(facts.display_window, (PixelWindow{0, 0, 32, 14}));
  EXPECT_EQ(facts.channels, 5u);
  EXPECT_THAT(facts.channel_names, ElementsAre("A", "B", "G", "R", "diffuse.R"));
  EXPECT_EQ(facts.pixel_type, "half");
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.color_space, "ACEScg");
  EXPECT_EQ(facts.compression, "ZIP");
  EXPECT_EQ(facts.frame_rate, (Rational{24000, 1001}));
  EXPECT_EQ(facts.pixel_aspect, 2.0);
  EXPECT_EQ(facts.timecode, "01:02:59;30");
  EXPECT_EQ(facts.parts, 1u);
}

TEST(Image, OpenExrParts) {
  // Without this the second eye and the depth part of a multi-part file are invisible.
  ImageFacts facts = read(exr_multipart_sample(), "g.exr");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.parts, 2u);
  EXPECT_EQ(facts.channels, 3u);
  EXPECT_THAT(facts.channel_names, ElementsAre("B", "G", "R", "depth:Z"));
  EXPECT_THAT(facts.views, ElementsAre("left", "right"));
  EXPECT_EQ(facts.pixel_type, "float");
}

TEST(Image, UnfinishedRender) {
  // Without this a frame whose renderer was killed looks like a good one.
  ImageFacts facts = read(exr_sample(false), "f.exr");
  EXPECT_EQ(facts.status, ReadStatus::kPartial);
  EXPECT_THAT(facts.problem, HasSubstr("1 of 2 OpenEXR chunks were never written"));
}

TEST(Image, Gif) {
  // Without this animations are not told from stills.
  ImageFacts facts = read(gif_sample(), "h.gif");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 5u);
  EXPECT_EQ(facts.resolution_y, 4u);
  EXPECT_EQ(facts.frame_count, 3u);
  EXPECT_EQ(facts.animated, true);
  EXPECT_EQ(facts.has_alpha, true);
  EXPECT_EQ(facts.description, "hi");
}

TEST(Image, Bmp) {
  // Without this top-down bitmaps have a height of four billion.
  ImageFacts facts = read(bmp_sample(), "i.bmp");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 3u);
  EXPECT_EQ(facts.resolution_y, 2u);
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.color_space, "sRGB");
  EXPECT_NEAR(facts.dpi_x.value_or(0), 72, 0.02);
  ImageFacts core = read(bmp_core_sample(), "j.bmp");
  EXPECT_EQ(core.status, ReadStatus::kOk) << core.problem;
  EXPECT_EQ(core.resolution_x, 7u);
  EXPECT_EQ(core.resolution_y, 9u);
}

TEST(Image, Psd) {
  // Without this layer counts and the merged transparency of Photoshop files are lost.
  ImageFacts facts = read(psd_sample(), "k.psd");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 3u);
  EXPECT_EQ(facts.resolution_y, 2u);
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.parts, 4u);
  EXPECT_EQ(facts.dpi_y, 300.0);
}

TEST(Image, Webp) {
  // Without this the canvas of an animation is mistaken for that of its first frame.
  ImageFacts facts = read(webp_sample(), "l.webp");
  EXPECT_EQ(facts.status, ReadStatus::kOk) << facts.problem;
  EXPECT_EQ(facts.resolution_x, 1280u);
  EXPECT_EQ(facts.resolution_y, 720u);
  EXPECT_EQ(facts.frame_count, 2u);
  EXPECT_EQ(facts.color_mode, "RGBA");
  expect_exif(facts);
  ImageFacts still = read(webp_lossless_sample(), "m.webp");
  EXPECT_EQ(still.status, ReadStatus::kOk) << still.problem;
  EXPECT_EQ(still.resolution_x, 100u);
  EXPECT_EQ(still.resolution_y, 50u);
  EXPECT_EQ(still.has_alpha, true);
}

TEST(Image, NotWhatTheNameSays) {
  // Without this a text file named .png makes the scan throw instead of one broken row.
  ImageFacts facts = read("hello, this is no picture", "a.png");
  EXPECT_EQ(facts.status, ReadStatus::kBroken);
  EXPECT_THAT(facts.problem, HasSubstr("not a PNG signature at offset 0"));
  EXPECT_EQ(read("", "a.png").status, ReadStatus::kBroken);
  EXPECT_EQ(read("II\x2A", "a.dds").status, ReadStatus::kBroken);
  EXPECT_EQ(read("hello", "a.txt").status, ReadStatus::kUnsupported);
}

// A store that fails while the header is read.
class FailingSource final : public Source {
 public:
  uint64_t size() const override { return 1000; }
  std::string_view read(uint64_t, size_t) override { throw base::TransientError("connection reset"); }
  std::string_view read_some(uint64_t, size_t) override { throw base::TransientError("connection reset"); }
};

TEST(Image, ErrorsOfTheStorePassThrough) {
  // Without this a network failure would be recorded as a damaged file, and never tried again.
  FailingSource source;
  EXPECT_THROW(read_image(source, sniff(png_sample(), "a.png")), base::TransientError);
}

}  // namespace
}  // namespace millrace::scan
