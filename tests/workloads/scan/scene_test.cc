#include "workloads/scan/scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/workloads/scan/scene_samples.h"
#include "workloads/scan/lz4_block.h"

namespace millrace::scan {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

SceneFacts read(const std::string& file, std::string_view name) {
  MemorySource source(file);
  return read_scene(source, sniff(std::string_view(file).substr(0, 4096), name));
}
SceneFacts read_whole(const std::string& file, std::string_view name) {
  SceneFacts facts = read(file, name);
  EXPECT_EQ(facts.status, ReadStatus::kOk) << name << ": " << facts.problem;
  EXPECT_EQ(facts.warning, "") << name;
  return facts;
}
// "kind path", with a star for what is inside the file.
std::vector<std::string> needs(const SceneFacts& facts) {
  std::vector<std::string> texts;
  for (const BlendDependency& dependency : facts.dependencies)
    texts.push_back(dependency.kind + " " + dependency.raw_path + (dependency.packed ? "*" : ""));
  return texts;
}

TEST(Scene, Gltf) {
  // Without this buffers and pictures of a glTF count as unused, and its "extras" as files that are missing.
  for (const auto& [name, file] : {std::pair{"a.gltf", gltf_sample()}, std::pair{"b.glb", glb_sample()}}) {
    SceneFacts facts = read_whole(file, name);
    EXPECT_EQ(facts.version, "2.0");
    EXPECT_EQ(facts.generator, "Exporter 4");
    EXPECT_THAT(facts.extensions, ElementsAre("KHR_texture_basisu"));
    EXPECT_THAT(needs(facts), ElementsAre("gltf-buffer my mesh.bin", "gltf-buffer buffer 0*",
                                          "texture tex/wood.png", "texture inner*"));
    EXPECT_EQ(facts.dependencies[2].owner, "Wood");
  }
}

TEST(Scene, Wavefront) {
  // Without this names with blanks, options before names and lines that go on lose pictures.
  SceneFacts facts = read_whole(obj_sample(), "c.obj");
  EXPECT_THAT(needs(facts), ElementsAre("material-library rooms.mtl", "material-library my wood.mtl",
                                        "material-library other.MTL"));
  EXPECT_EQ(facts.generator, "Modeller 7");
  facts = read_whole(mtl_sample(), "d.mtl");
  EXPECT_THAT(needs(facts), ElementsAre("texture maps/wood floor.png", "texture bump.exr", "texture sky.hdr",
                                        "texture n.png"));
  EXPECT_EQ(facts.dependencies[0].owner, "Floor");
  EXPECT_EQ(read("just a text\n", "x.obj").status, ReadStatus::kBroken);
}

TEST(Scene, UsdText) {
  // Without this the layers of a shot are not known, or what stands in texts and comments is taken for
  // layers.
  SceneFacts facts = read_whole(usda_sample(), "e.usda");
  EXPECT_THAT(needs(facts),
              ElementsAre("usd-layer ./anim/shot.usd", "usd-layer light.usda", "usd-reference ./chair.usd",
                          "usd-reference odd@name.usd", "texture tex/wood.<UDIM>.exr",
                          "usd-payload heavy.usdc", "asset OmniPBR.mdl"));
  EXPECT_EQ(facts.version, "1.0");
  EXPECT_EQ(facts.default_prim, "World");
  EXPECT_EQ(facts.up_axis, "Z");
  EXPECT_EQ(facts.meters_per_unit, 0.01);
  EXPECT_EQ(facts.frame_start, 1.5);
  EXPECT_EQ(facts.frame_end, 240.0);
  EXPECT_EQ(facts.frame_rate, 24.0);
}

TEST(Scene, UsdCrate) {
  // Without this the binary layers that studios really have name nothing they need.
  SceneFacts facts = read_whole(usdc_sample(), "f.usd");
  EXPECT_EQ(facts.version, "0.8.0");
  EXPECT_EQ(facts.encoding, "crate");
  EXPECT_THAT(needs(facts),
              UnorderedElementsAre("usd-layer a.usd", "usd-layer b/c.usda", "usd-reference chair.usd",
                                   "usd-payload inner.usd", "texture t.png"));
  EXPECT_EQ(facts.up_axis, "Y");
  EXPECT_EQ(facts.default_prim, "World");
  EXPECT_EQ(facts.meters_per_unit, 0.5);
  EXPECT_EQ(facts.frame_start, 1001.0);
}

TEST(Scene, UsdPackage) {
  // Without this what is in a package counts as missing.
  SceneFacts facts = read_whole(usdz_sample(), "g.usdz");
  EXPECT_EQ(facts.encoding, "package");
  EXPECT_EQ(facts.up_axis, "Y");
  EXPECT_THAT(facts.members, ElementsAre("root.usda", "0/t.png"));
  EXPECT_THAT(needs(facts), ElementsAre("texture 0/t.png*", "texture ./outside.png"));
}

TEST(Scene, CachesAndFbx) {
  // Without this caches have no version and no program that wrote them.
  SceneFacts facts = read_whole(alembic_sample(), "h.abc");
  EXPECT_EQ(facts.version, "1.8.6");
  EXPECT_EQ(facts.generator, "Houdini 20");
  EXPECT_EQ(facts.title, "shot 10");
  facts = read_whole(vdb_sample(), "i.vdb");
  EXPECT_EQ(facts.version, "224");
  EXPECT_EQ(facts.generator, "OpenVDB 10.0");
  EXPECT_THAT(facts.grids, ElementsAre("density (Tree_float_5_4_3_HalfFloat)",
                                       "temperature (Tree_float_5_4_3_HalfFloat)"));
  facts = read_whole(fbx_sample(), "j.fbx");
  EXPECT_EQ(facts.version, "7.5");
  EXPECT_EQ(facts.generator, "Rigger 2");
  facts = read_whole(fbx_text_sample(), "k.fbx");
  EXPECT_EQ(facts.version, "7.3");
  EXPECT_EQ(facts.generator, "Rigger 1");
}

TEST(Scene, EverySampleIsKnownByItsBytes) {
  // Without this a scene that was renamed is read as nothing.
  for (const auto& [name, file] : scene_samples()) {
    bool by_name = name == "a.gltf" || name == "c.obj" || name == "d.mtl";  // JSON and plain text
    MediaType type = sniff(std::string_view(file).substr(0, 4096), by_name ? name : "renamed");
    EXPECT_TRUE(has_scene_reader(type.format)) << name << " " << type.format_name;
  }
}

TEST(Scene, PathsAreRelativeToTheFile) {
  // Without this no file of a scene is found in the tree.
  EXPECT_EQ(resolve_scene_path("../tex/a.png", "s3://b/shows/x/a.gltf"), "s3://b/shows/tex/a.png");
  EXPECT_EQ(resolve_scene_path("./a.usd", "/p/q/s.usda"), "/p/q/a.usd");
  EXPECT_EQ(resolve_scene_path("//server/a.usd", "/p/q/s.usda"), "/server/a.usd");
  EXPECT_EQ(resolve_scene_path("a.usdz[b.usd]", "/p/s.usda"), "/p/a.usdz");
  EXPECT_EQ(resolve_scene_path("a.usd:SDF_FORMAT_ARGS:x=1", "/p/s.usda"), "/p/a.usd");
  EXPECT_EQ(resolve_scene_path("https://x.org/a.png", "/p/s.gltf"), "");
  EXPECT_EQ(resolve_scene_path("C:\\tex\\a.png", "/p/s.mtl"), "C:/tex/a.png");
}

TEST(Scene, Lz4) {
  // Without this tables with repeats, which all real ones have, come out wrong.
  std::string out;
  EXPECT_TRUE(unpack_lz4_block("\x32"s + "abc" + "\x03\0"s +
                                   "\x10"
                                   "d",
                               100, out));
  EXPECT_EQ(out, "abcabcabcd");
  out.clear();
  EXPECT_FALSE(unpack_lz4_block("\x32"s + "abc" + "\x04\0"s, 100, out));  // before the beginning
  out.clear();
  EXPECT_FALSE(unpack_lz4_block("\x32"s + "abc" + "\x03\0"s, 8, out));  // more than allowed
  out.clear();
  EXPECT_FALSE(unpack_lz4_block("\xF0\xFF"s, 1000, out));
  out = "abc";
  EXPECT_FALSE(unpack_lz4_block("\x02\x01\0"s, 100, out));  // into the block before
}

TEST(Scene, ManyFilesAreBounded) {
  // Without this a hostile scene fills the memory with names of files.
  std::string text = "#usda 1.0\ndef \"A\" {\n";
  for (int i = 0; i < 20'000; ++i) text += "asset a = @f" + std::to_string(i) + ".png@\n";
  SceneFacts facts = read(text + "}\n", "a.usda");
  EXPECT_EQ(facts.status, ReadStatus::kPartial);
  EXPECT_THAT(facts.problem, HasSubstr("10000"));
  EXPECT_EQ(facts.dependencies.size(), 10'000u);
  std::string deep =
      "{\"asset\":{\"version\":\"2.0\"},\"extras\":" + std::string(5000, '[') + std::string(5000, ']') + "}";
  EXPECT_EQ(read(deep, "a.gltf").status, ReadStatus::kPartial);
}

}  // namespace
}  // namespace millrace::scan
