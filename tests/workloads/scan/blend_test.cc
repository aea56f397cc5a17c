// Without these, a .blend of some Blender version, byte order or compression could lose facts or be misread.
#include "workloads/scan/blend.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/workloads/scan/blend_memory_source.h"
#include "tests/workloads/scan/blend_sample.h"

namespace millrace::scan {
namespace {

const BlendForm kForms[] = {
    {306, 0, 8, false}, {279, 0, 4, false}, {263, 0, 4, true}, {279, 0, 8, true}, {500, 1, 8, false},
};

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

BlendFacts facts_of(std::string bytes, const BlendLimits& limits = {}) {
  MemorySource source(std::move(bytes));
  return read_blend(source, limits);
}

TEST(Blend, ReadsTheSameFactsInEveryForm) {
  for (const BlendForm& form : kForms) {
    SCOPED_TRACE(std::to_string(form.version) + (form.big_endian ? " big " : " little ") +
                 std::to_string(form.pointer_size));
    expect_sample_facts(facts_of(blend_sample(form)), form);
  }
}

TEST(Blend, ReadsTheSameFactsThroughEveryCompression) {
  for (const BlendForm& form : {kForms[0], kForms[2], kForms[4]}) {
    std::string plain = blend_sample(form);
    std::string skippable("\x50\x2a\x4d\x18\x04\x00\x00\x00pad!", 12);
    std::string half = plain.substr(0, plain.size() / 2), rest = plain.substr(plain.size() / 2);
    struct Case {
      const char* what;
      const char* compression;
      std::string bytes;
    };
    for (const Case& c : {
             Case{"gzip", "gzip", gzip(plain)},
             Case{"gzip twice", "gzip", gzip(gzip(plain))},
             Case{"gzip of two members", "gzip", gzip(half) + gzip(rest)},
             Case{"zstd, no table", "zstd", zstd(plain)},
             Case{"zstd, skippable frame first", "zstd", skippable + zstd(half) + zstd(rest)},
             Case{"zstd with table", "zstd", zstd_seekable(plain, 1 << 20)},
             Case{"zstd with table, small frames", "zstd", zstd_seekable(plain, 777)},
             Case{"zstd with table and checksums", "zstd", zstd_seekable(plain, 5000, true)},
             Case{"zstd in gzip", "gzip", gzip(zstd_seekable(plain, 5000))},
         }) {
      SCOPED_TRACE(c.what);
      BlendFacts facts = facts_of(c.bytes);
      EXPECT_EQ(facts.compression, c.compression);
      expect_sample_facts(facts, form);
    }
  }
}

TEST(Blend, NamesTheVersionAsBlenderDoes) {
  for (auto [number, text] :
       {std::pair{248, "2.48"}, {279, "2.79"}, {280, "2.80"}, {306, "3.6"}, {405, "4.5"}})
    EXPECT_EQ(facts_of(blend_sample({number, 0, 8, false}, 0)).blender_version, text);
  EXPECT_EQ(facts_of(blend_sample({502, 1, 8, false}, 0)).blender_version, "5.2");
}

// Without it: how a scene is written out, and the caches of its simulations, are guesses.
TEST(Blend, ReadsOutputSettingsAndPointCaches) {
  BlendWriter w({405, 0, 8, false});
  w.define("ListBase", {{"void", "*first"}, {"void", "*last"}});
  w.define("ID", {{"void", "*next"}, {"void", "*prev"}, {"char", "name[66]"}, {"char", "pad[6]"}});
  w.define("ImageFormatData", {{"char", "imtype"},
                               {"char", "depth"},
                               {"char", "planes"},
                               {"char", "flag"},
                               {"char", "quality"},
                               {"char", "compress"},
                               {"char", "exr_codec"},
                               {"char", "pad"}});
  w.define("RenderData", {{"ImageFormatData", "im_format"},
                          {"int", "sfra"},
                          {"int", "efra"},
                          {"int", "framapto"},
                          {"int", "images"},
                          {"short", "frs_sec"},
                          {"short", "pad[3]"}});
  w.define("ColorManagedViewSettings", {{"char", "look[64]"}, {"float", "exposure"}, {"float", "gamma"}});
  w.define("ColorManagedColorspaceSettings", {{"char", "name[64]"}});
  w.define("UnitSettings", {{"float", "scale_length"}, {"char", "system"}, {"char", "pad[3]"}});
  w.define("Scene", {{"ID", "id"},
                     {"RenderData", "r"},
                     {"ColorManagedViewSettings", "view_settings"},
                     {"ColorManagedColorspaceSettings", "sequencer_colorspace_settings"},
                     {"UnitSettings", "unit"},
                     {"int", "use_nodes"},
                     {"int", "pad"}});
  w.define("PointCache", {{"void", "*next"},
                          {"void", "*prev"},
                          {"int", "flag"},
                          {"int", "index"},
                          {"char", "name[64]"},
                          {"char", "path[1024]"}});
  w.define("ModifierData", {{"void", "*next"}, {"void", "*prev"}, {"int", "type"}, {"int", "mode"}});
  w.define("ClothModifierData", {{"ModifierData", "modifier"}, {"PointCache", "*point_cache"}});
  w.define("ParticleSystem", {{"void", "*next"}, {"void", "*prev"}, {"PointCache", "*pointcache"}});
  w.define("Object", {{"ID", "id"},
                      {"short", "type"},
                      {"short", "pad[3]"},
                      {"ListBase", "modifiers"},
                      {"ListBase", "particlesystem"}});
  w.add("SC", 0x10,
        w.make("Scene")
            .text("id.name", "SCshot")
            .integer("r.sfra", 1)
            .integer("r.efra", 10)
            .integer("r.framapto", 100)
            .integer("r.images", 200)
            .integer("r.frs_sec", 24)
            .integer("r.im_format.imtype", 28)
            .integer("r.im_format.depth", 16)
            .integer("r.im_format.planes", 32)
            .integer("r.im_format.quality", 90)
            .integer("r.im_format.exr_codec", 8)
            .text("view_settings.look", "High Contrast")
            .real("view_settings.exposure", 0.5)
            .real("view_settings.gamma", 1.25)
            .text("sequencer_colorspace_settings.name", "ACEScct")
            .integer("unit.system", 1)
            .integer("use_nodes", 1));
  auto object = [&](uint64_t at, const char* name) {
    w.add("OB", at,
          w.make("Object").text("id.name", name).integer("type", 1).pointer("modifiers.first", at + 1));
  };
  auto cloth = [&](uint64_t at, uint64_t cache) {
    w.add("DATA", at, w.make("ClothModifierData").integer("modifier.type", 22).pointer("point_cache", cache));
  };
  object(0x100, "OBflag");  // baked to disk
  cloth(0x101, 0x102);
  w.add("DATA", 0x102, w.make("PointCache").integer("flag", 1 | 64).integer("index", 3).text("name", "ab"));
  object(0x200, "OBsail");  // on disk, but never baked
  cloth(0x201, 0x202);
  w.add("DATA", 0x202, w.make("PointCache").integer("flag", 64).text("name", "no"));
  w.add("OB", 0x300,
        w.make("Object").text("id.name", "OBdust").integer("type", 1).pointer("particlesystem.first", 0x301));
  w.add("DATA", 0x301, w.make("ParticleSystem").pointer("pointcache", 0x302));
  w.add("DATA", 0x302,
        w.make("PointCache").integer("flag", 512).text("name", "dust").text("path", "//sim\\dust"));
  BlendFacts facts = facts_of(w.finish());
  EXPECT_EQ(facts.problem, "");
  const BlendScene& scene = facts.scenes.at(0);
  EXPECT_EQ(scene.output_format, "OPEN_EXR_MULTILAYER");
  EXPECT_EQ(scene.output_color_depth, "16");
  EXPECT_EQ(scene.output_color_mode, "RGBA");
  EXPECT_EQ(scene.output_quality, 90);
  EXPECT_EQ(scene.output_codec, "DWAA");
  EXPECT_EQ(scene.look, "High Contrast");
  EXPECT_EQ(scene.exposure, 0.5);
  EXPECT_EQ(scene.gamma, 1.25);
  EXPECT_EQ(scene.sequencer_color_space, "ACEScct");
  EXPECT_EQ(scene.unit_system, "METRIC");
  EXPECT_EQ(scene.time_remap, "100:200");
  EXPECT_TRUE(scene.compositing);
  std::vector<std::string> paths;
  for (const BlendDependency& dependency : facts.dependencies) paths.push_back(dependency.raw_path);
  EXPECT_EQ(paths,
            (std::vector<std::string>{"//blendcache_" + std::string(kBlendNameMark) + "/6162_######_03.bphys",
                                      "//sim\\dust/dust_######_00.bphys"}));
}

TEST(Blend, ReadsWhatBlenderBefore250Wrote) {
  // No engine name, 16-bit numbers, short names, no catalogue entry for what came later.
  BlendWriter w({248, 0, 4, true});
  w.define("ID", {{"void", "*next"}, {"void", "*prev"}, {"char", "name[24]"}});
  w.define("RenderData", {{"short", "cfra"},
                          {"short", "sfra"},
                          {"short", "efra"},
                          {"short", "size"},
                          {"short", "xsch"},
                          {"short", "ysch"},
                          {"short", "frs_sec"},
                          {"short", "imtype"},
                          {"short", "renderer"},
                          {"short", "pad"},
                          {"float", "frs_sec_base"},
                          {"char", "pic[160]"}});
  w.define("Scene", {{"ID", "id"}, {"RenderData", "r"}});
  w.define("Mesh", {{"ID", "id"}, {"int", "totvert"}, {"int", "totface"}});
  w.define("Image", {{"ID", "id"}, {"char", "name[160]"}, {"void", "*packedfile"}});
  w.add("SC", 0x10,
        w.make("Scene")
            .text("id.name", "SCScene")
            .integer("r.sfra", 1)
            .integer("r.efra", 250)
            .integer("r.size", 25)
            .integer("r.xsch", 800)
            .integer("r.ysch", 600)
            .integer("r.frs_sec", 25)
            .real("r.frs_sec_base", 1)
            .integer("r.imtype", 4));
  w.add("ME", 0x20, w.make("Mesh").text("id.name", "MECube").integer("totvert", 8).integer("totface", 6));
  w.add("IM", 0x30, w.make("Image").text("id.name", "IMwood").text("name", "//wood.jpg"));
  BlendFacts facts = facts_of(gzip(w.finish()));
  EXPECT_EQ(facts.problem, "");
  EXPECT_EQ(facts.active_scene, "Scene");
  EXPECT_EQ(facts.num_frames, 250);
  EXPECT_EQ(facts.fps, 25.0);
  EXPECT_EQ(facts.render_engine, "BLENDER_RENDER");
  EXPECT_EQ(facts.resolution_x, 200);
  EXPECT_EQ(facts.resolution_y, 150);
  EXPECT_EQ(facts.scenes.at(0).output_format, "JPEG");
  EXPECT_EQ(facts.vertices, 8);
  EXPECT_EQ(facts.faces, 6);
  EXPECT_EQ(facts.subversion, std::nullopt);
  EXPECT_FALSE(facts.is_asset_library);
  ASSERT_EQ(facts.dependencies.size(), 1u);
  EXPECT_EQ(facts.dependencies[0].kind, "image");
  EXPECT_EQ(facts.dependencies[0].raw_path, "//wood.jpg");
}

TEST(Blend, ReadsLittleOfALargeFile) {
  std::string bytes = blend_sample({}, 20'000'000);
  MemorySource plain(bytes);
  expect_sample_facts(read_blend(plain), {});
  EXPECT_LT(plain.bytes_read(), 200'000u);
  // Frames that hold nothing but vertices are not fetched.
  MemorySource seekable(zstd_seekable(bytes, 1 << 20));
  expect_sample_facts(read_blend(seekable), {});
  EXPECT_GT(seekable.size(), 15'000'000u);
  EXPECT_LT(seekable.bytes_read(), 4'000'000u);
}

TEST(Blend, SaysThatANewerFormatIsNotSupported) {
  BlendFacts facts = facts_of("BLENDER21-02v0610" + std::string(100, 'x'));
  EXPECT_TRUE(facts.unsupported);
  EXPECT_FALSE(facts.complete);
  EXPECT_EQ(facts.blender_version, "6.10");
  EXPECT_NE(facts.problem.find("newer"), std::string::npos) << facts.problem;
}

TEST(Blend, ReadsTheExampleProduction) {
  std::string show = MILLRACE_SOURCE_DIR "/examples/production/shows/aurora/";
  BlendFacts asset = facts_of(slurp(show + "assets/props/lantern.blend"));
  EXPECT_EQ(asset.problem, "");
  EXPECT_EQ(asset.blender_version, "3.4");
  EXPECT_EQ(asset.compression, "none");
  EXPECT_EQ(asset.total_objects, 9);
  EXPECT_EQ(asset.materials, 2);
  EXPECT_EQ(asset.collections, 1);
  EXPECT_EQ(asset.vertices, 2 * 12 + 6 * 8 + 42);
  EXPECT_EQ(asset.faces, 2 * 8 + 6 * 6 + 80);
  EXPECT_TRUE(asset.is_asset_library);
  ASSERT_EQ(asset.dependencies.size(), 2u);
  EXPECT_EQ(asset.dependencies[0].raw_path, "//../textures/lantern_diffuse.png");
  EXPECT_EQ(asset.dependencies[1].raw_path, "//../textures/lantern_roughness.png");

  BlendFacts shot = facts_of(slurp(show + "shots/sh010/scene/sh010_layout_v003.blend"));
  EXPECT_EQ(shot.problem, "");
  EXPECT_EQ(shot.compression, "zstd");
  EXPECT_EQ(shot.active_scene, "sh010");
  EXPECT_EQ(shot.num_frames, 12);
  EXPECT_EQ(shot.fps, 24.0);
  EXPECT_EQ(shot.render_engine, "CYCLES");
  EXPECT_EQ(shot.resolution_x, 160);
  EXPECT_EQ(shot.resolution_y, 90);
  EXPECT_EQ(shot.total_objects, 6);
  EXPECT_EQ(shot.cameras, 1);
  EXPECT_EQ(shot.lights, 1);
  EXPECT_EQ(shot.actions, 1);
  EXPECT_EQ(shot.libraries_count, 1);
  EXPECT_EQ(shot.scenes.at(0).camera, "cam_main");
  ASSERT_EQ(shot.dependencies.size(), 1u);
  EXPECT_EQ(shot.dependencies[0].kind, "library");
  EXPECT_EQ(resolve_blend_path(shot.dependencies[0].raw_path,
                               "shows/aurora/shots/sh010/scene/sh010_layout_v003.blend"),
            "shows/aurora/assets/props/lantern.blend");
}

}  // namespace
}  // namespace millrace::scan
