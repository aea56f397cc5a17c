// Without this, agreement with Blender itself on real files could be lost and nobody would see it. Runs only
// where MILLRACE_CORPORA names a folder with media/files and media/truth/blender.jsonl (one line a file: what
// Blender says).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "base/json.h"
#include "tests/workloads/scan/blend_memory_source.h"
#include "workloads/scan/blend.h"

namespace millrace::scan {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Tally {
  int same = 0, all = 0;
};

TEST(BlendCorpora, AgreesWithBlender) {
  const char* root = std::getenv("MILLRACE_CORPORA");
  if (!root) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  std::filesystem::path media = std::filesystem::path(root) / "media";
  std::ifstream lines(media / "truth/blender.jsonl");
  ASSERT_TRUE(lines) << "no truth under " << media;
  std::map<std::string, Tally> tallies;
  std::string line;
  while (std::getline(lines, line)) {
    boost::json::object entry = base::parse_json(line).as_object();
    const boost::json::object* answer = base::find_object(entry, "out");
    if (!answer || !answer->if_contains("version")) continue;  // Blender itself failed on it
    std::string path(entry.at("path").as_string());
    std::filesystem::path file = media / "files" / path;
    if (!std::filesystem::exists(file)) continue;
    const boost::json::object& truth = *answer;
    MemorySource source(slurp(file));
    BlendFacts facts;
    try {
      facts = read_blend(source);
    } catch (const base::CorruptError& error) {
      ADD_FAILURE() << path << ": Blender opens it, we do not: " << error.what();
      continue;
    }
    auto compare = [&](const std::string& field, const auto& ours, const auto& theirs) {
      Tally& tally = tallies[field];
      ++tally.all;
      if (ours == theirs)
        ++tally.same;
      else
        std::cout << path << ": " << field << " ours " << ours << ", Blender " << theirs << "\n";
    };
    bool truncated = path.starts_with("derived-");
    if (!truncated) compare("complete", facts.problem, std::string());
    const boost::json::array& version = truth.at("version").as_array();
    compare("version", int64_t{facts.version_number}, version[0].as_int64() * 100 + version[1].as_int64());
    if (facts.subversion) compare("subversion", int64_t{*facts.subversion}, version[2].as_int64());
    const boost::json::object& counts = truth.at("local_counts").as_object();
    auto count = [&](const char* name, int64_t ours) {
      compare(name, ours, counts.at(name).to_number<int64_t>());
    };
    count("scenes", facts.num_scenes);
    count("objects", facts.total_objects);
    count("meshes", facts.meshes);
    count("materials", facts.materials);
    count("images", facts.images);
    count("cameras", facts.cameras);
    count("lights", facts.lights);
    count("actions", facts.actions);
    count("node_groups", facts.node_trees);
    count("sounds", facts.sounds);
    if (facts.version_number >= 280) count("collections", facts.collections);
    // Of all meshes, linked ones too: comparable only where nothing is linked.
    if (truth.at("libraries").as_array().empty()) {
      const boost::json::object& meshes = truth.at("mesh_totals").as_object();
      compare("vertices", facts.vertices.value_or(-1), meshes.at("verts").to_number<int64_t>());
      compare("faces", facts.faces.value_or(-1), meshes.at("polys").to_number<int64_t>());
    }
    compare("libraries", facts.libraries_count,
            static_cast<int64_t>(truth.at("libraries").as_array().size()));
    compare("active_scene", facts.active_scene, std::string(truth.at("active_scene").as_string()));
    for (const boost::json::value& value : truth.at("scenes").as_array()) {
      const boost::json::object& theirs = value.as_object();
      if (!theirs.at("lib").is_null()) continue;
      auto ours =
          std::ranges::find(facts.scenes, std::string(theirs.at("name").as_string()), &BlendScene::name);
      compare("scene_name", ours != facts.scenes.end(), true);
      if (ours == facts.scenes.end()) continue;
      auto number = [&](const char* name, int64_t mine) {
        compare(name, mine, theirs.at(name).to_number<int64_t>());
      };
      number("frame_start", ours->frame_start);
      number("frame_end", ours->frame_end);
      number("frame_step", ours->frame_step);
      number("fps", ours->fps_numerator);
      number("res_x", ours->full_resolution_x);
      number("res_y", ours->full_resolution_y);
      number("res_pct", ours->resolution_percentage);
      compare("fps_base", std::abs(ours->fps_base - theirs.at("fps_base").to_number<double>()) < 1e-5, true);
      const boost::json::value& camera = theirs.at("camera");
      compare("camera", ours->camera, camera.is_string() ? std::string(camera.as_string()) : std::string());
      std::string engine(theirs.at("engine").as_string());
      // Blender replaces engines it no longer has when it loads a file.
      if (ours->render_engine == engine || facts.version_number >= 280)
        compare("engine", ours->render_engine, engine);
    }
  }
  for (const auto& [field, tally] : tallies) {
    std::cout << field << ": " << tally.same << "/" << tally.all << "\n";
    // Known differences (versions from before 2.5, indirect libraries) stay under one in ten.
    EXPECT_GE(tally.same * 10, tally.all * 8) << field;
  }
  EXPECT_GT(tallies["version"].all, 5) << "too few files to mean anything";
}

TEST(BlendCorpora, ReadsOrRefusesEveryFile) {
  const char* root = std::getenv("MILLRACE_CORPORA");
  if (!root) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  int read = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(root) / "media/files")) {
    if (entry.path().extension() != ".blend") continue;
    MemorySource source(slurp(entry.path()));
    try {
      BlendFacts facts = read_blend(source);
      ++read;
      EXPECT_EQ(facts.complete, facts.problem.empty());
      bool truncated = entry.path().string().find("derived-truncated") != std::string::npos;
      EXPECT_NE(facts.complete, truncated) << entry.path() << ": " << facts.problem;
      if (truncated)
        std::cout << entry.path().filename() << ": " << facts.blender_version << " " << facts.active_scene
                  << ", " << facts.total_objects << " objects; " << facts.problem << "\n";
    } catch (const base::CorruptError& error) {
      std::cout << entry.path().filename() << ": " << error.what() << "\n";
    }
  }
  EXPECT_GT(read, 5);
}

}  // namespace
}  // namespace millrace::scan
