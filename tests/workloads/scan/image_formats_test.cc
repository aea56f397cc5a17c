// The image formats of image_samples.h: what is read from a small whole file of each.
#include "workloads/scan/image_formats.h"

#include <gtest/gtest.h>

#include "tests/workloads/scan/image_samples.h"
#include "workloads/scan/image.h"
#include "workloads/scan/xml_tags.h"

namespace millrace::scan {
namespace {

using namespace testing;

ImageFacts read(const std::string& file, std::string_view name) {
  MemorySource source(file);
  ImageFacts facts = read_image(source, sniff(std::string_view(file).substr(0, 4096), name));
  EXPECT_EQ(facts.status, ReadStatus::kOk) << name << ": " << facts.problem;
  EXPECT_EQ(facts.warning, "") << name;
  return facts;
}

void expect_size(const ImageFacts& facts, uint32_t width, uint32_t height) {
  EXPECT_EQ(facts.resolution_x, width);
  EXPECT_EQ(facts.resolution_y, height);
}

TEST(ImageFormats, Radiance) {
  // Without this light probes have no size, or one that is turned.
  ImageFacts facts = read(hdr_sample(), "a.hdr");
  expect_size(facts, 9, 2);
  EXPECT_EQ(facts.pixel_type, "float");
  EXPECT_EQ(facts.color_space, "BT.709");
  EXPECT_EQ(facts.software, "gen 1");
  EXPECT_EQ(facts.orientation, 1u);
  facts = read(hdr_sample("+X 2 -Y 9"), "a.hdr");
  expect_size(facts, 9, 2);
  EXPECT_EQ(facts.orientation, 5u);
}

TEST(ImageFormats, Tga) {
  // Without this textures of games count as unsupported: TGA has no magic number, and its remarks stand at
  // the end.
  ImageFacts facts = read(tga_sample(), "b.TGA");
  expect_size(facts, 6, 5);
  EXPECT_EQ(facts.compression, "RLE");
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.has_alpha, true);
  EXPECT_EQ(facts.software, "Painter 2.15b");
  EXPECT_EQ(facts.capture_date, "2024-02-29T23:59:58");
  EXPECT_EQ(facts.pixel_aspect, 2.0);
  EXPECT_EQ(facts.color_space, "gamma 2.2");
  facts = read(tga_plain_sample(), "c.tga");
  expect_size(facts, 3, 2);
  EXPECT_EQ(facts.color_mode, "P");
  EXPECT_EQ(facts.compression, "none");
}

TEST(ImageFormats, Dpx) {
  // Without this scans of film lose their windows, their time code and their exact frame rate.
  for (bool big : {true, false}) {
    ImageFacts facts = read(dpx_sample(big), "d.dpx");
    expect_size(facts, 4, 3);
    EXPECT_EQ(facts.data_window, (PixelWindow{10, 20, 4, 3}));
    EXPECT_EQ(facts.display_window, (PixelWindow{0, 0, 100, 80}));
    EXPECT_EQ(facts.bit_depth, 10u);
    EXPECT_EQ(facts.channels, 3u);
    EXPECT_EQ(facts.color_mode, "RGB");
    EXPECT_EQ(facts.color_space, "log");
    EXPECT_EQ(facts.timecode, "01:02:03:04");
    EXPECT_EQ(facts.frame_rate, (Rational{24000, 1001}));
    EXPECT_EQ(facts.camera_model, "ARRISCAN");
    EXPECT_EQ(facts.capture_date, "2024-02-29T23:59:58");
    EXPECT_EQ(facts.software, "grader 3");
    EXPECT_EQ(facts.pixel_aspect, 2.0);
    EXPECT_EQ(facts.orientation, 1u);
  }
}

TEST(ImageFormats, DpxRateThatIsNone) {
  // Without this a damaged header gives a rate of 0/1, which is no fraction of anything.
  std::string file = dpx_sample();
  put(file, 1724, be_float(0.0001F));
  EXPECT_EQ(read(file, "d.dpx").frame_rate, std::nullopt);
}

TEST(ImageFormats, Cineon) {
  // Without this old scans of film are not in the catalogue.
  ImageFacts facts = read(cineon_sample(), "f.cin");
  expect_size(facts, 4, 3);
  EXPECT_EQ(facts.bit_depth, 10u);
  EXPECT_EQ(facts.channels, 3u);
  EXPECT_EQ(facts.camera_model, "Genesis");
  EXPECT_EQ(facts.capture_date, "2024-02-29T23:59:58");
  EXPECT_EQ(facts.description, "scan of reel 7");
}

TEST(ImageFormats, Jpeg2000) {
  // Without this frames of cinema packages have no size; the picture begins where the reference grid says.
  ImageFacts facts = read(j2k_sample(), "g.j2k");
  expect_size(facts, 20, 10);
  EXPECT_EQ(facts.bit_depth, 12u);
  EXPECT_EQ(facts.pixel_type, "uint12");
  EXPECT_EQ(facts.tiled, true);
  EXPECT_EQ(facts.mip_levels, 3u);
  EXPECT_EQ(facts.compression, "JPEG 2000 lossless");
  EXPECT_EQ(facts.description, "made here");
  EXPECT_EQ(read(j2k_sample(0x4000), "g.j2c").compression, "HTJ2K");
  facts = read(jp2_sample(), "h.jp2");
  expect_size(facts, 20, 10);
  EXPECT_EQ(facts.color_space, "sRGB");
  EXPECT_EQ(facts.software, "Kakadu");
  EXPECT_NEAR(facts.dpi_x.value_or(0), 300, 0.1);
  EXPECT_EQ(facts.color_mode, "RGB");
}

TEST(ImageFormats, HeifAndAvif) {
  // Without this the size of a phone's picture is that of one tile, and its orientation that of EXIF.
  for (const char* brand : {"heic", "avif"}) {
    ImageFacts facts = read(heif_sample(brand), std::string("i.") + brand);
    expect_size(facts, 4032, 3024);
    EXPECT_EQ(facts.compression, brand == std::string("avif") ? "AV1" : "HEVC");
    EXPECT_EQ(facts.tiled, true);
    EXPECT_EQ(facts.has_alpha, true);
    EXPECT_EQ(facts.channels, 4u);
    EXPECT_EQ(facts.bit_depth, 10u);
    EXPECT_EQ(facts.orientation, 6u);
    EXPECT_EQ(facts.color_space, "smpte432 iec61966-2-1");
    EXPECT_EQ(facts.camera_model, "Model One");
    EXPECT_EQ(facts.capture_date, "2024-02-29T23:59:58+09:00");
    EXPECT_EQ(facts.animated, false);
  }
}

TEST(ImageFormats, AvifSequence) {
  // Without this an animation counts as a still.
  std::string entry = video_entry("av01", box("av1C", "\x81\x04\x0C\0"s));
  std::string moov = box("moov", mvhd(0, 1000, 2000) + mp4_track(1, "pict", 1000, 2000, entry, 20, 100, 0));
  std::string still = heif_sample("avis");
  ImageFacts facts = read(still + moov, "x.avifs");
  EXPECT_EQ(facts.animated, true);
  expect_size(facts, 4032, 3024);
}

TEST(ImageFormats, JpegXl) {
  // Without this a codestream whose header is bits is read at the wrong bit.
  for (const auto& [name, file] :
       {std::pair{"k.jxl", jxl_sample()}, std::pair{"l.jxl", jxl_container_sample()}}) {
    ImageFacts facts = read(file, name);
    expect_size(facts, 1920, 1080);
    EXPECT_EQ(facts.orientation, 6u);
    EXPECT_EQ(facts.pixel_type, "half");
    EXPECT_EQ(facts.bit_depth, 16u);
    EXPECT_EQ(facts.color_mode, "RGBA");
    EXPECT_EQ(facts.color_space, "P3-D65 linear");
    EXPECT_EQ(facts.animated, false);
  }
  EXPECT_EQ(read(jxl_container_sample(), "l.jxl").camera_make, "Makers");
}

TEST(ImageFormats, Dds) {
  // Without this compressed textures, their mip levels and cubes are not told apart.
  ImageFacts facts = read(dds_sample(), "m.dds");
  expect_size(facts, 8, 8);
  EXPECT_EQ(facts.compression, "BC1");
  EXPECT_EQ(facts.mip_levels, 3u);
  EXPECT_EQ(facts.has_alpha, false);
  EXPECT_EQ(facts.color_mode, "RGB");
  facts = read(dds_dx10_sample(), "n.dds");
  expect_size(facts, 4, 4);
  EXPECT_EQ(facts.pixel_type, "half");
  EXPECT_EQ(facts.parts, 6u);
}

TEST(ImageFormats, SgiAndNetpbm) {
  // Without this pictures of old pipelines and of test tools are unsupported.
  ImageFacts facts = read(sgi_sample(), "o.rgb");
  expect_size(facts, 5, 2);
  EXPECT_EQ(facts.color_mode, "RGBA");
  EXPECT_EQ(facts.compression, "RLE");
  EXPECT_EQ(facts.description, "a name");
  facts = read(ppm_sample(), "p.ppm");
  expect_size(facts, 3, 2);
  EXPECT_EQ(facts.bit_depth, 16u);
  EXPECT_EQ(facts.channels, 3u);
  facts = read(pam_sample(), "q.pam");
  expect_size(facts, 3, 2);
  EXPECT_EQ(facts.has_alpha, true);
  facts = read(pfm_sample(), "r.pfm");
  expect_size(facts, 3, 2);
  EXPECT_EQ(facts.pixel_type, "float");
  facts = read(pbm_sample(), "s.pbm");
  expect_size(facts, 9, 2);
  EXPECT_EQ(facts.color_mode, "1");
}

TEST(ImageFormats, Icon) {
  // Without this an icon is as large as its first picture says in one byte.
  ImageFacts facts = read(ico_sample(), "t.ico");
  expect_size(facts, 256, 256);
  EXPECT_EQ(facts.parts, 2u);
  EXPECT_EQ(facts.compression, "PNG");
}

TEST(ImageFormats, Svg) {
  // Without this a drawing has no size, or that of a comment in front of it.
  ImageFacts facts = read(svg_sample(), "u.svg");
  expect_size(facts, 794, 1123);
  EXPECT_EQ(facts.description, "Logo & more");
  expect_size(read(svgz_sample(), "v.svgz"), 151, 192);
}

TEST(ImageFormats, ZipPictures) {
  // Without this documents of painting programs have no size.
  ImageFacts facts = read(kra_sample(), "w.kra");
  expect_size(facts, 1200, 800);
  EXPECT_EQ(facts.pixel_type, "half");
  EXPECT_EQ(facts.color_space, "sRGB-elle-V2-g10.icc");
  EXPECT_EQ(facts.software, "Krita 5.2.2");
  EXPECT_EQ(facts.parts, 2u);
  EXPECT_EQ(facts.dpi_x, 300.0);
  EXPECT_EQ(facts.frame_rate, (Rational{24, 1}));
  EXPECT_EQ(facts.embedded_thumbnail, true);
  facts = read(ora_sample(), "x.ora");
  expect_size(facts, 640, 360);
  EXPECT_EQ(facts.parts, 1u);
  facts = read(odg_sample(), "y.odg");
  expect_size(facts, 960, 480);
  EXPECT_EQ(facts.parts, 2u);
  EXPECT_EQ(facts.software, "LibreOffice/7.4");
  EXPECT_EQ(facts.description, "Plan");
}

TEST(ImageFormats, XmpFillsWhatIsOpen) {
  // Without this pictures that carry XMP alone have no camera and no date; and EXIF must win.
  std::string packet =
      "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF><rdf:Description xmp:CreatorTool='Darkroom 2' "
      "tiff:Make='XMP Maker'>"
      "<exif:DateTimeOriginal>2023-05-06T07:08:09.25+02:00</exif:DateTimeOriginal><dc:description><rdf:Alt>"
      "<rdf:li xml:lang='x-default'>A "
      "&lt;view&gt;</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>";
  std::string text = "XML:com.adobe.xmp\0\0\0\0\0"s + packet;
  std::string png = "\x89PNG\r\n\x1A\n"s + png_ihdr(4, 4, 8, 2) + png_chunk("iTXt", text) +
                    png_chunk("IDAT", zeros(8)) + png_chunk("IEND", "");
  ImageFacts facts = read(png, "a.png");
  EXPECT_EQ(facts.has_xmp, true);
  EXPECT_EQ(facts.software, "Darkroom 2");
  EXPECT_EQ(facts.camera_make, "XMP Maker");
  EXPECT_EQ(facts.capture_date, "2023-05-06T07:08:09+02:00");
  EXPECT_EQ(facts.description, "A <view>");

  std::string frame = "\x08"s + be(3, 2) + be(4, 2) + "\x01\x01\x11\0"s;
  std::string jpeg = "\xFF\xD8"s + jpeg_segment(0xE1, "http://ns.adobe.com/xap/1.0/\0"s + packet) +
                     jpeg_segment(0xE1, "Exif\0\0"s + exif_sample()) + jpeg_segment(0xC0, frame) +
                     jpeg_segment(0xDA, "\x01\x01\0\0\x3F\0"s) + "\x12\xFF\xD9"s;
  facts = read(jpeg, "a.jpg");
  EXPECT_EQ(facts.camera_make, "Makers");
  EXPECT_EQ(facts.capture_date, "2024-02-29T23:59:58+09:00");
  EXPECT_EQ(facts.description, "A <view>");
}

TEST(ImageFormats, KnownWithoutTheirNames) {
  // Without this a picture that was renamed is read as nothing.
  for (const auto& [name, file] : more_image_samples()) {
    bool by_name = name == "b.tga" || name == "c.tga" || name == "v.svgz";  // no magic number; any gzip
    MediaType type = sniff(std::string_view(file).substr(0, 4096), by_name ? name : "renamed.dat");
    EXPECT_TRUE(has_image_reader(type.format)) << name << " " << type.format_name;
  }
  EXPECT_EQ(sniff(tga_sample(), "x.ico").format, Format::kIco) << "by name: a TGA is no icon by its bytes";
  EXPECT_FALSE(sniff(tga_sample(), "x.ico").by_content);
}

TEST(ImageFormats, LengthsOfDrawings) {
  // Without this a drawing "21cm" wide is 21 pixels wide.
  EXPECT_NEAR(css_pixels(" 25.4mm ").value_or(0), 96, 1e-9);
  EXPECT_NEAR(css_pixels("1in").value_or(0), 96, 1e-9);
  EXPECT_NEAR(css_pixels("72PT").value_or(0), 96, 1e-9);
  EXPECT_EQ(css_pixels("+3px"), 3.0);
  EXPECT_EQ(css_pixels("100%"), std::nullopt);
  EXPECT_EQ(css_pixels("-4"), std::nullopt);
  EXPECT_EQ(css_pixels("auto"), std::nullopt);
  EXPECT_EQ(css_pixels("1e400"), std::nullopt);
}

TEST(ImageFormats, XmlTags) {
  // Without this what stands in comments and quotes is taken for a tag.
  XmlTags tags(
      "<?xml?><!-- <a> --><![CDATA[<b>]]><c:d x='>' y = \"&#x41;&#66;&quot;&nbsp;\"/>text<e>in &amp; "
      "out</e><f");
  ASSERT_TRUE(tags.next());
  EXPECT_EQ(tags.name(), "c:d");
  EXPECT_EQ(tags.local_name(), "d");
  EXPECT_EQ(tags.attribute("x"), ">");
  EXPECT_EQ(tags.attribute("y"), "AB\"&nbsp;");
  EXPECT_EQ(tags.attribute("z"), "");
  ASSERT_TRUE(tags.next());
  EXPECT_EQ(tags.content(), "in & out");
  EXPECT_FALSE(tags.next());
  EXPECT_FALSE(tags.next());
}

}  // namespace
}  // namespace millrace::scan
