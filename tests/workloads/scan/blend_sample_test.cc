// The sample that the .blend tests share, and what must be read of it; built in by its name.
#include "tests/workloads/scan/blend_sample.h"

#include <gtest/gtest.h>

namespace millrace::scan {

BlendWriter blend_sample_writer(BlendForm form) {
  BlendWriter w(form);
  std::string name = form.version >= 500 ? "name[258]" : "name[66]";
  w.define("ListBase", {{"void", "*first"}, {"void", "*last"}});
  w.define("ID", {{"void", "*next"},
                  {"void", "*prev"},
                  {"void", "*newid"},
                  {"Library", "*lib"},
                  {"AssetMetaData", "*asset_data"},
                  {"char", name},
                  {"short", "flag"},
                  {"int", "us"}});
  w.define("PackedFile", {{"int", "size"}, {"int", "seek"}, {"void", "*data"}});
  w.define("Library",
           {{"ID", "id"}, {"char", "name[1024]"}, {"Library", "*parent"}, {"PackedFile", "*packedfile"}});
  w.define("FileGlobal", {{"char", "subvstr[4]"},
                          {"short", "subversion"},
                          {"short", "minversion"},
                          {"void", "*curscreen"},
                          {"void", "*curscene"},
                          {"char", "build_hash[16]"},
                          {"char", "filename[1024]"},
                          {"int", "(*hook)()"}});
  w.define("ImageFormatData", {{"char", "imtype"}, {"char", "depth"}});
  w.define("RenderData", {{"ImageFormatData", "im_format"},
                          {"ListBase", "layers"},
                          {"int", "cfra"},
                          {"int", "sfra"},
                          {"int", "efra"},
                          {"int", "frame_step"},
                          {"short", "size"},
                          {"short", "pad"},
                          {"int", "xsch"},
                          {"int", "ysch"},
                          {"short", "frs_sec"},
                          {"short", "pad2"},
                          {"float", "frs_sec_base"},
                          {"float", "xasp"},
                          {"float", "yasp"},
                          {"char", "pic[1024]"},
                          {"char", "engine[32]"}});
  w.define("ColorManagedViewSettings",
           {{"int", "flag"}, {"char", "look[64]"}, {"char", "view_transform[64]"}});
  w.define("ColorManagedDisplaySettings", {{"char", "display_device[64]"}});
  w.define("UnitSettings", {{"float", "scale_length"}, {"char", "system"}, {"char", "pad[3]"}});
  w.define("Editing", {{"ListBase", "*seqbasep"}, {"ListBase", "seqbase"}});
  w.define("StripElem", {{"char", "name[256]"}, {"int", "orig_width"}, {"int", "orig_height"}});
  w.define("Strip", {{"void", "*next"}, {"StripElem", "*stripdata"}, {"char", "dir[768]"}});
  w.define("Sequence", {{"void", "*next"},
                        {"void", "*prev"},
                        {"int", "type"},
                        {"int", "pad"},
                        {"Strip", "*strip"},
                        {"bSound", "*sound"},
                        {"ListBase", "seqbase"}});
  w.define("ViewLayer", {{"void", "*next"}, {"void", "*prev"}, {"char", "name[64]"}});
  w.define("Scene", {{"ID", "id"},
                     {"Object", "*camera"},
                     {"World", "*world"},
                     {"Editing", "*ed"},
                     {"RenderData", "r"},
                     {"ColorManagedViewSettings", "view_settings"},
                     {"ColorManagedDisplaySettings", "display_settings"},
                     {"UnitSettings", "unit"},
                     {"ListBase", "view_layers"}});
  w.define("ModifierData", {{"void", "*next"}, {"void", "*prev"}, {"int", "type"}, {"int", "mode"}});
  w.define("MeshCacheModifierData",
           {{"ModifierData", "modifier"}, {"char", "flag"}, {"char", "pad[3]"}, {"char", "filepath[1024]"}});
  w.define("Object", {{"ID", "id"},
                      {"short", "type"},
                      {"short", "pad"},
                      {"void", "*data"},
                      {"ListBase", "modifiers"},
                      {"float", "matrix[4][4]"}});
  w.define("Mesh",
           {{"ID", "id"}, {"int", "totvert"}, {"int", "totedge"}, {"int", "totpoly"}, {"int", "totface"}});
  w.define("ImageTile",
           {{"void", "*next"}, {"void", "*prev"}, {"int", "tile_number"}, {"char", "label[64]"}});
  w.define("ImagePackedFile",
           {{"void", "*next"}, {"void", "*prev"}, {"PackedFile", "*packedfile"}, {"char", "filepath[1024]"}});
  w.define("Image", {{"ID", "id"},
                     {"char", "name[1024]"},
                     {"PackedFile", "*packedfile"},
                     {"ListBase", "packedfiles"},
                     {"ListBase", "tiles"},
                     {"short", "source"},
                     {"short", "type"}});
  w.define("bSound", {{"ID", "id"}, {"char", "name[1024]"}, {"PackedFile", "*packedfile"}});
  w.define("MovieClip", {{"ID", "id"}, {"char", "name[1024]"}, {"int", "source"}});
  w.define("VFont", {{"ID", "id"}, {"char", "name[1024]"}, {"PackedFile", "*packedfile"}});
  w.define("CacheFileLayer", {{"void", "*next"}, {"void", "*prev"}, {"char", "filepath[1024]"}});
  w.define("CacheFile",
           {{"ID", "id"}, {"ListBase", "layers"}, {"char", "filepath[1024]"}, {"char", "is_sequence"}});
  w.define("Volume", {{"ID", "id"}, {"char", "filepath[1024]"}, {"PackedFile", "*packedfile"}});
  w.define("Text", {{"ID", "id"}, {"char", "*name"}, {"int", "flags"}});
  return w;
}

std::string blend_sample(BlendForm form, size_t mesh_bytes) {
  BlendWriter w = blend_sample_writer(form);
  std::string vertices(mesh_bytes, '\0');  // as good as random: compression must not make it small
  uint32_t state = 1;
  for (char& byte : vertices) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  w.add_bytes("REND", 1, w.number(1, 4) + w.number(48, 4) + "sh010" + std::string(3, '\0'));
  w.add_bytes("TEST", 2, w.number(4, 4) + w.number(2, 4) + std::string(32, '\x7f'));
  w.add("GLOB", 3,
        w.make("FileGlobal")
            .integer("subversion", 6)
            .pointer("curscene", 0x2000)
            .text("build_hash", "55485cb379f7")
            .text("filename", "/srv/aurora/sh010.blend"));
  // A window manager with DATA that reuse addresses of others: nothing of it may be taken for theirs.
  w.add("WM", 0x900, w.make("ID").text("name", "WMWinMan"));
  w.add("DATA", 0x2100, w.make("ListBase").pointer("first", 0x2100));

  w.add("SC", 0x1000,
        w.make("Scene")
            .text("id.name", "SCprevis")
            .integer("r.sfra", 10)
            .integer("r.efra", 9)
            .integer("r.xsch", 1280)
            .integer("r.ysch", 720)
            .integer("r.size", 100)
            .integer("r.frs_sec", 30)
            .real("r.frs_sec_base", 1)
            .integer("r.frame_step", 1));
  w.add("SC", 0x2000,
        w.make("Scene")
            .text("id.name", "SCsh010")
            .pointer("camera", 0x3000)
            .pointer("world", 0x3900)
            .pointer("ed", 0x2100)
            .integer("r.sfra", 1)
            .integer("r.efra", 48)
            .integer("r.cfra", 12)
            .integer("r.frame_step", 2)
            .integer("r.xsch", 1921)
            .integer("r.ysch", 1080)
            .integer("r.size", 50)
            .integer("r.frs_sec", 24)
            .real("r.frs_sec_base", 1.001)
            .real("r.xasp", 1)
            .real("r.yasp", 1)
            .text("r.pic", "//../render/sh010_####")
            .integer("r.im_format.imtype", 23)
            .text("r.engine", "CYCLES")
            .text("view_settings.view_transform", "Filmic")
            .text("display_settings.display_device", "sRGB")
            .real("unit.scale_length", 0.5)
            .pointer("view_layers.first", 0x2700));
  w.add("DATA", 0x2100, w.make("Editing").pointer("seqbase.first", 0x2200));
  w.add("DATA", 0x2200,
        w.make("Sequence").integer("type", 0).pointer("strip", 0x2300).pointer("next", 0x2210));
  w.add("DATA", 0x2210,
        w.make("Sequence").integer("type", 1).pointer("seqbase.first", 0x2220).pointer("next", 0x2230));
  w.add("DATA", 0x2220, w.make("Sequence").integer("type", 3).pointer("strip", 0x2310));
  w.add("DATA", 0x2230,
        w.make("Sequence").integer("type", 4).pointer("strip", 0x2310).pointer("sound", 0x4300));
  w.add("DATA", 0x2300, w.make("Strip").pointer("stripdata", 0x2400).text("dir", "//../plates/"));
  std::string elements = w.make("StripElem").text("name", "p_0001.dpx").bytes() +
                         w.make("StripElem").text("name", "p_0002.dpx").bytes() +
                         w.make("StripElem").text("name", "p_0003.dpx").bytes();
  w.add_bytes("DATA", 0x2400, elements, w.sdna("StripElem"), 3);
  w.add("DATA", 0x2310, w.make("Strip").pointer("stripdata", 0x2410).text("dir", "//..\\edit"));
  w.add("DATA", 0x2410, w.make("StripElem").text("name", "cut.mov"));
  w.add("DATA", 0x2700, w.make("ViewLayer").text("name", "beauty").pointer("next", 0x2710));
  w.add("DATA", 0x2710, w.make("ViewLayer").text("name", "mattes"));

  w.add("OB", 0x3000, w.make("Object").text("id.name", "OBcam_main").integer("type", 11));
  w.add("OB", 0x3100,
        w.make("Object").text("id.name", "OBsail").integer("type", 1).pointer("modifiers.first", 0x3110));
  w.add("DATA", 0x3110, w.make("ModifierData").integer("type", 5).pointer("next", 0x3120));
  w.add("DATA", 0x3120,
        w.make("MeshCacheModifierData").integer("modifier.type", 46).text("filepath", "//sail.mdd"));
  w.add("CA", 0x3200, w.make("ID").text("name", "CAcam_main"));
  w.add("LA", 0x3300, w.make("ID").text("name", "LAmoon"));
  w.add("WO", 0x3900, w.make("ID").text("name", "WOnight"));
  w.add("ME", 0x3400,
        w.make("Mesh")
            .text("id.name", "MEsail")
            .integer("totvert", 1000)
            .integer("totpoly", 900)
            .integer("totface", 7));
  w.add_bytes("DATA", 0x3410, vertices);
  w.add("ME", 0x3500, w.make("Mesh").text("id.name", "MEold").integer("totvert", 8).integer("totface", 6));
  w.add("MA", 0x3600, w.make("ID").text("name", "MAcloth").pointer("asset_data", 0x3610));
  w.add("MA", 0x3620, w.make("ID").text("name", "MArope"));

  w.add("LI", 0x4000,
        w.make("Library").text("id.name", "LIlantern.blend").text("name", "//../../assets/lantern.blend"));
  w.add("ID", 0x4010, w.make("ID").text("name", "GRlantern"));
  w.add("ID", 0x4020, w.make("ID").text("name", "OBlantern"));
  w.add("LI", 0x4030,
        w.make("Library")
            .text("id.name", "LIwood.blend")
            .text("name", "C:\\lib\\wood.blend")
            .pointer("parent", 0x4000));
  w.add("IM", 0x4100,
        w.make("Image").text("id.name", "IMcloth").text("name", "//..\\tex\\cloth.png").integer("source", 1));
  w.add("IM", 0x4110,
        w.make("Image")
            .text("id.name", "IMlogo")
            .text("name", "/srv/logo.png")
            .integer("source", 1)
            .pointer("packedfile", 0x4111));
  w.add("DATA", 0x4111, w.make("PackedFile").integer("size", 5).pointer("data", 0x4112));
  w.add_bytes("DATA", 0x4112, "bytes");
  w.add("IM", 0x4120,
        w.make("Image")
            .text("id.name", "IMskin")
            .text("name", "//skin.<UDIM>.exr")
            .integer("source", 6)
            .pointer("tiles.first", 0x4121)
            .pointer("packedfiles.first", 0x4131));
  w.add("DATA", 0x4121, w.make("ImageTile").integer("tile_number", 1001).pointer("next", 0x4122));
  w.add("DATA", 0x4122, w.make("ImageTile").integer("tile_number", 1012));
  w.add("DATA", 0x4131, w.make("ImagePackedFile").pointer("packedfile", 0x4132));
  w.add("DATA", 0x4132, w.make("PackedFile").integer("size", 70));
  w.add("IM", 0x4140,
        w.make("Image").text("id.name", "IMfire").text("name", "//fire_0001.png").integer("source", 2));
  w.add("IM", 0x4150,
        w.make("Image").text("id.name", "IMRender Result").text("name", "").integer("source", 5));
  w.add("IM", 0x4160,
        w.make("Image").text("id.name", "IMbaked").text("name", "//unused.png").integer("source", 4));
  w.add("SO", 0x4300, w.make("bSound").text("id.name", "SOwind").text("name", "//wind.wav"));
  w.add("MC", 0x4310,
        w.make("MovieClip").text("id.name", "MCplate").text("name", "//plate.mov").integer("source", 2));
  w.add("VF", 0x4320, w.make("VFont").text("id.name", "VFBfont").text("name", "<builtin>"));
  w.add("VF", 0x4330, w.make("VFont").text("id.name", "VFsign").text("name", "//sign.ttf"));
  w.add("CF", 0x4340,
        w.make("CacheFile")
            .text("id.name", "CFcrowd")
            .text("filepath", "//crowd.abc")
            .pointer("layers.first", 0x4341));
  w.add("DATA", 0x4341, w.make("CacheFileLayer").text("filepath", "//crowd_fix.abc"));
  w.add("VO", 0x4350, w.make("Volume").text("id.name", "VOsmoke").text("filepath", "//smoke.vdb"));
  w.add("TX", 0x4360, w.make("Text").text("id.name", "TXrig.py").pointer("name", 0x4361));
  w.add_bytes("DATA", 0x4361, std::string("//rig.py\0", 9));
  w.add("TX", 0x4370, w.make("Text").text("id.name", "TXnotes"));
  w.add("GR", 0x4380, w.make("ID").text("name", "GRset"));
  w.add("AC", 0x4390, w.make("ID").text("name", "ACsway"));
  w.add("NT", 0x43a0, w.make("ID").text("name", "NTweather"));
  return w.finish();
}

void expect_sample_facts(const BlendFacts& facts, const BlendForm& form) {
  EXPECT_EQ(facts.problem, "");
  EXPECT_TRUE(facts.complete);
  EXPECT_FALSE(facts.unsupported);
  EXPECT_EQ(facts.version_number, form.version);
  EXPECT_EQ(facts.header_format, form.header_format);
  EXPECT_EQ(facts.pointer_size, form.pointer_size);
  EXPECT_EQ(facts.endian, form.big_endian ? "big" : "little");
  EXPECT_EQ(facts.subversion, 6);
  EXPECT_EQ(facts.file_saved_path, "/srv/aurora/sh010.blend");
  EXPECT_EQ(facts.build_hash, "55485cb379f7");
  EXPECT_EQ(facts.thumbnail_width, 4);
  EXPECT_EQ(facts.thumbnail_height, 2);

  EXPECT_EQ(facts.num_scenes, 2);
  EXPECT_EQ(facts.active_scene, "sh010");
  EXPECT_EQ(facts.num_frames, 24);
  EXPECT_NEAR(facts.fps.value_or(0), 23.976, 0.001);
  EXPECT_EQ(facts.render_engine, "CYCLES");
  EXPECT_EQ(facts.resolution_x, 960);
  EXPECT_EQ(facts.resolution_y, 540);
  ASSERT_EQ(facts.scenes.size(), 2u);
  EXPECT_FALSE(facts.scenes[0].active);
  EXPECT_EQ(facts.scenes[0].num_frames, 0) << "a range that ends before it starts is empty";
  const BlendScene& scene = facts.scenes[1];
  EXPECT_TRUE(scene.active);
  EXPECT_EQ(scene.frame_current, 12);
  EXPECT_EQ(scene.full_resolution_x, 1921);
  EXPECT_EQ(scene.resolution_percentage, 50);
  EXPECT_EQ(scene.output_path, "//../render/sh010_####");
  EXPECT_EQ(scene.output_format, "OPEN_EXR");
  EXPECT_EQ(scene.view_transform, "Filmic");
  EXPECT_EQ(scene.display_device, "sRGB");
  EXPECT_EQ(scene.camera, "cam_main");
  EXPECT_EQ(scene.world, "night");
  EXPECT_EQ(scene.unit_scale, 0.5);
  EXPECT_EQ(scene.view_layers, (std::vector<std::string>{"beauty", "mattes"}));
  EXPECT_EQ(scene.num_strips, 4);

  EXPECT_EQ(facts.total_objects, 2);
  EXPECT_EQ(facts.meshes, 2);
  EXPECT_EQ(facts.cameras, 1);
  EXPECT_EQ(facts.lights, 1);
  EXPECT_EQ(facts.materials, 2);
  EXPECT_EQ(facts.images, 6);
  EXPECT_EQ(facts.collections, 1);
  EXPECT_EQ(facts.actions, 1);
  EXPECT_EQ(facts.node_trees, 1);
  EXPECT_EQ(facts.linked_datablocks, 2);
  EXPECT_EQ(facts.vertices, 1008);
  EXPECT_EQ(facts.faces, 906);
  EXPECT_TRUE(facts.is_asset_library);
  EXPECT_EQ(facts.assets_count, 1);
  EXPECT_EQ(facts.libraries_count, 2);
  EXPECT_EQ(facts.packed_count, 2);
  EXPECT_EQ(facts.packed_bytes, 75);

  std::vector<std::string> found;
  for (const BlendDependency& d : facts.dependencies) {
    std::string line = d.kind + " " + d.raw_path + " " + d.owner_type + ":" + d.owner;
    if (d.packed) line += " packed";
    if (d.absolute) line += " absolute";
    if (d.indirect) line += " indirect";
    if (d.frames) line += " x" + std::to_string(d.frames);
    for (int tile : d.udim_tiles) line += " " + std::to_string(tile);
    found.push_back(line);
  }
  std::vector<std::string> expected = {
      "library //../../assets/lantern.blend LI:lantern.blend",
      "library C:\\lib\\wood.blend LI:wood.blend absolute indirect",
      "image //..\\tex\\cloth.png IM:cloth",
      "image /srv/logo.png IM:logo packed absolute",
      "udim //skin.<UDIM>.exr IM:skin packed x2 1001 1012",
      "sequence //fire_0001.png IM:fire",
      "sound //wind.wav SO:wind",
      "movie //plate.mov MC:plate",
      "font //sign.ttf VF:sign",
      "cache //crowd.abc CF:crowd",
      "cache //crowd_fix.abc CF:crowd",
      "volume //smoke.vdb VO:smoke",
      "text //rig.py TX:rig.py",
      "sequence //../plates/p_0001.dpx SC:sh010 x3",
      "movie //..\\edit/cut.mov SC:sh010",
      "cache //sail.mdd OB:sail",
  };
  EXPECT_EQ(found, expected);
}

}  // namespace millrace::scan
