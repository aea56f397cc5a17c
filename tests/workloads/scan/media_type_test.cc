#include "workloads/scan/media_type.h"

#include <gtest/gtest.h>

#include "tests/workloads/scan/media_samples.h"

namespace millrace::scan {
namespace {

using namespace testing;

TEST(MediaType, ContentWinsOverName) {
  // Without this a JPEG named .png is read as a damaged PNG.
  MediaType type = sniff(jpeg_sample(), "photo.PNG");
  EXPECT_EQ(type.format, Format::kJpeg);
  EXPECT_EQ(type.file_type, FileType::kImage);
  EXPECT_EQ(type.format_name, "JPEG");
  EXPECT_EQ(type.mime, "image/jpeg");
  EXPECT_TRUE(type.by_content);
}

TEST(MediaType, EverySampleIsKnownWithoutItsName) {
  // Without this a format that has a reader is not recognised by its bytes and depends on the name.
  for (const auto& [name, file] : all_samples()) {
    MediaType type = sniff(std::string_view(file).substr(0, 4096), "noname");
    EXPECT_TRUE(has_image_reader(type.format) || has_video_reader(type.format))
        << name << " " << type.format_name;
    EXPECT_EQ(type.file_type == FileType::kImage, has_image_reader(type.format)) << name;
  }
}

TEST(MediaType, NameDecidesWhereBytesSayNothing) {
  // Without this empty and unknown files lose their place in the catalogue.
  EXPECT_EQ(sniff("", "shot.0001.EXR").format, Format::kExr);
  EXPECT_FALSE(sniff("", "shot.0001.EXR").by_content);
  EXPECT_EQ(sniff("import os\n", "a/b.c/tool.py").file_type, FileType::kCode);
  EXPECT_EQ(sniff("a,b\n", "list.csv").file_type, FileType::kSpreadsheet);
  EXPECT_EQ(sniff("abcd", "dir.png/noextension").format, Format::kUnknown);
  EXPECT_EQ(sniff("abcd", "x.").file_type, FileType::kOther);
  EXPECT_EQ(sniff("abcd", "x").mime, "application/octet-stream");
  EXPECT_EQ(file_type_name(sniff("abcd", "x").file_type), "other");
}

TEST(MediaType, WrappingIsRefinedByTheName) {
  // Without this a compressed .blend is only an archive, and an M4A counts as video.
  EXPECT_EQ(sniff("\x28\xB5\x2F\xFD....", "scene.blend").file_type, FileType::kBlend);
  EXPECT_EQ(sniff("\x1F\x8B\x08....", "scene.blend1").file_type, FileType::kBlend);
  EXPECT_EQ(sniff("\x1F\x8B\x08....", "backup.gz").file_type, FileType::kOther);
  EXPECT_EQ(sniff("BLENDER-v405", "renamed.bin").file_type, FileType::kBlend);
  EXPECT_EQ(sniff(box("ftyp", "isom"s + zeros(8)), "song.m4a").file_type, FileType::kAudio);
  EXPECT_EQ(sniff(box("ftyp", "heic"s + zeros(8)), "x").format, Format::kHeif);
  EXPECT_EQ(sniff(box("ftyp", "avif"s + zeros(8)), "x").format, Format::kAvif);
}

}  // namespace
}  // namespace millrace::scan
