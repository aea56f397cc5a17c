// One small whole file of each scene format, built by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/workloads/scan/image_samples.h"

namespace millrace::scan::testing {

inline std::string gltf_sample() {
  return R"({"asset":{"generator":"Exporter 4","version":"2.0"},"extensionsUsed":["KHR_texture_basisu"],)"
         R"("buffers":[{"uri":"my%20mesh.bin","byteLength":4,"extras":{"uri":"not.this"}},)"
         R"({"uri":"data:application/octet-stream;base64,AAAA","byteLength":3}],)"
         R"("images":[{"uri":"tex/wood.png","name":"Wood"},{"bufferView":0,"mimeType":"image/png","name":"inner"}],)"
         R"("nodes":[{"name":"n","children":[1,2.5e3,-7],"extras":{"images":[{"uri":"nor.this"}]}}]})";
}
inline std::string glb_sample() {
  std::string text = gltf_sample();
  text.resize((text.size() + 3) / 4 * 4, ' ');
  std::string chunks = le(text.size(), 4) + "JSON" + text + le(4, 4) + "BIN\0"s + zeros(4);
  return "glTF" + le(2, 4) + le(12 + chunks.size(), 4) + chunks;
}
inline std::string obj_sample() {
  return "# Modeller 7\nmtllib rooms.mtl my wood.mtl\\\n other.MTL\nv 0 0 0\nvt 0 0\nf 1 1 1\n";
}
inline std::string mtl_sample() {
  return "# Modeller 7\nnewmtl Floor\nKd 1 1 1\nmap_Kd -s 2 2 -o 0.5 maps/wood floor.png\nmap_Bump -bm 0.3 "
         "bump.exr\n"
         "refl -type sphere -mm 0 1 sky.hdr\nnewmtl Wall\nnorm n.png\nmap_Kd maps/wood floor.png\n";
}
inline std::string usda_sample() {
  return "#usda 1.0\n(\n    defaultPrim = \"World\"\n    doc = \"\"\"Made \"by\" hand, @not this@\"\"\"\n"
         "    endTimeCode = 240\n    framesPerSecond = 24\n    metersPerUnit = 0.01\n    startTimeCode = "
         "1.5\n"
         "    subLayers = [\n        @./anim/shot.usd@ (offset = 10; scale = 2),\n        @light.usda@\n    "
         "]\n"
         "    upAxis = \"Z\"\n)\n\ndef Xform \"World\" (\n    prepend references = [@./chair.usd@</Chair>, "
         "@@@odd@name.usd@@@]\n"
         ")\n{\n    # @not this either@\n    asset inputs:file = @tex/wood.<UDIM>.exr@\n    string note = "
         "\"@nor this@\"\n"
         "    string none = \"\"\n    asset empty = @@\n    double metersPerUnit = 7\n"
         "    def \"Heavy\" ( payload = @heavy.usdc@ ) { asset info:sourceAsset = @OmniPBR.mdl@ }\n}\n";
}

// A block of LZ4 that holds only literals, in USD's wrapping.
inline std::string lz4_literals(const std::string& data) {
  std::string block = "\0"s;
  if (data.size() < 15) return block + static_cast<char>(data.size() << 4) + data;
  block += '\xF0';
  size_t left = data.size() - 15;
  for (; left >= 255; left -= 255) block += '\xFF';
  return block + static_cast<char>(left) + data;
}
// Numbers as differences, each in four bytes.
inline std::string coded_integers(const std::vector<uint32_t>& numbers) {
  std::string codes((numbers.size() + 3) / 4, '\xFF'), values;
  uint32_t before = 0;
  for (uint32_t n : numbers) {
    values += le(n - before, 4);
    before = n;
  }
  return le(0, 4) + codes + values;
}
inline uint64_t value_rep(unsigned type, uint64_t payload, bool inlined, bool array = false) {
  return uint64_t{array} << 63 | uint64_t{inlined} << 62 | uint64_t{type} << 48 | payload;
}

inline std::string usdc_sample() {
  std::vector<std::string> tokens = {"",
                                     "subLayers",
                                     "a.usd",
                                     "b/c.usda",
                                     "references",
                                     "chair.usd",
                                     "inputs:file",
                                     "t.png",
                                     "upAxis",
                                     "Y",
                                     "payload",
                                     "gone.usd",
                                     "defaultPrim",
                                     "World",
                                     "metersPerUnit",
                                     "startTimeCode",
                                     "inner.usd",
                                     "assets"};
  auto index = [&](const std::string& text) {
    for (size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i] == text) return static_cast<uint32_t>(i);
    return uint32_t{0};
  };
  std::string file = "PXR-USDC"s + "\0\x08\0\0\0\0\0\0"s + zeros(8 + 64);
  auto put_value = [&](const std::string& bytes) {
    uint64_t at = file.size();
    file += bytes;
    return at;
  };
  // Strings have their own numbers: string i is token i here.
  auto reference = [&](const std::string& path, bool entry = false) {
    std::string item = le(index(path), 4) + le(0, 4) + zeros(16);
    return item + (entry ? le(1, 8) + le(0, 4) + le(12, 8) + zeros(4) + zeros(8) : le(0, 8));
  };
  uint64_t layers = put_value(le(2, 8) + le(index("a.usd"), 4) + le(index("b/c.usda"), 4));
  // Deleted: gone.usd; prepended: chair.usd with custom data, then one inside of this file.
  uint64_t references = put_value("\x28"s + le(2, 8) + reference("chair.usd", true) + reference("") +
                                  le(1, 8) + reference("gone.usd"));
  uint64_t payload = put_value("\x03"s + le(1, 8) + le(index("inner.usd"), 4) + le(0, 4) + zeros(16));
  uint64_t assets = put_value(le(1, 8) + le(index("t.png"), 4));
  uint64_t start = put_value(le(std::bit_cast<uint64_t>(1001.0), 8));
  std::vector<uint32_t> names = {index("subLayers"),     index("references"),    index("inputs:file"),
                                 index("upAxis"),        index("payload"),       index("defaultPrim"),
                                 index("metersPerUnit"), index("startTimeCode"), index("assets")};
  std::string reps = le(value_rep(50, layers, false), 8) + le(value_rep(35, references, false), 8) +
                     le(value_rep(12, index("t.png"), true), 8) + le(value_rep(11, index("Y"), true), 8) +
                     le(value_rep(55, payload, false), 8) + le(value_rep(11, index("World"), true), 8) +
                     le(value_rep(9, std::bit_cast<uint32_t>(0.5F), true), 8) +
                     le(value_rep(9, start, false), 8) + le(value_rep(12, assets, false, true), 8);
  std::string text;
  for (const std::string& token : tokens) text += token + "\0"s;
  std::string contents;
  int sections = 0;
  auto section = [&](const std::string& name, const std::string& bytes) {
    contents += padded(name, 16) + le(file.size(), 8) + le(bytes.size(), 8);
    file += bytes;
    ++sections;
  };
  std::string packed = lz4_literals(text);
  section("TOKENS", le(tokens.size(), 8) + le(text.size(), 8) + le(packed.size(), 8) + packed);
  std::string strings = le(tokens.size(), 8);
  for (size_t i = 0; i < tokens.size(); ++i) strings += le(i, 4);
  section("STRINGS", strings);
  std::string numbers = lz4_literals(coded_integers(names)), values = lz4_literals(reps);
  section("FIELDS", le(names.size(), 8) + le(numbers.size(), 8) + numbers + le(values.size(), 8) + values);
  put(file, 16, le(file.size(), 8));
  return file + le(static_cast<uint64_t>(sections), 8) + contents;
}
inline std::string usdz_sample() {
  return zip_of(
      {{"root.usda",
        "#usda 1.0\n(\n upAxis = \"Y\"\n)\ndef \"A\" { asset a = @0/t.png@\n asset b = @./outside.png@ }\n"},
       {"0/t.png", "x"}},
      false);
}

inline std::string alembic_sample() {
  std::string metadata = "_ai_Application=Houdini 20;_ai_Description=shot 10;_ai_DateWritten=now";
  std::string head = "Ogawa\xFF\0\x01"s;
  std::string library = le(4, 8) + le(10806, 4), text = le(metadata.size(), 8) + metadata;
  uint64_t library_at = 16, text_at = library_at + library.size(), root_at = text_at + text.size();
  uint64_t data = uint64_t{1} << 63;
  return head + le(root_at, 8) + library + text + le(6, 8) + le(data, 8) + le(data | library_at, 8) +
         le(0, 8) + le(data | text_at, 8) + le(data, 8) + le(data, 8);
}
inline std::string vdb_sample() {
  auto text = [](const std::string& s) { return le(s.size(), 4) + s; };
  std::string file = le(0x56444220, 8) + le(224, 4) + le(10, 4) + le(0, 4) + "\x01"s + std::string(36, 'a') +
                     le(2, 4) + text("creator") + text("string") + text("Solver 3") + text("frame") +
                     text("int32") + le(4, 4) + le(7, 4) + le(2, 4);
  for (const char* name : {"density", "temperature"}) {
    std::string descriptor = text(name) + text("Tree_float_5_4_3_HalfFloat") + text("");
    uint64_t end = file.size() + descriptor.size() + 24 + 10;
    file += descriptor + le(0, 8) + le(0, 8) + le(end, 8) + zeros(10);
  }
  return file;
}
inline std::string fbx_sample() {
  return "Kaydara FBX Binary  \0\x1A\0"s + le(7500, 4) + zeros(8) +
         "\x07"
         "CreatorS"s +
         le(8, 4) + "Rigger 2" + zeros(16);
}
inline std::string fbx_text_sample() {
  return "; FBX 7.3.0 project file\n; ----\nFBXHeaderExtension: {\n Creator: \"Rigger 1\"\n}\n";
}

inline std::vector<std::pair<std::string, std::string>> scene_samples() {
  return {{"a.gltf", gltf_sample()}, {"b.glb", glb_sample()},     {"c.obj", obj_sample()},
          {"d.mtl", mtl_sample()},   {"e.usda", usda_sample()},   {"f.usdc", usdc_sample()},
          {"g.usdz", usdz_sample()}, {"h.abc", alembic_sample()}, {"i.vdb", vdb_sample()},
          {"j.fbx", fbx_sample()},   {"k.fbx", fbx_text_sample()}};
}

}  // namespace millrace::scan::testing
