// Scenes and the newer image formats on their way from a folder into the tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sql/connection.h"
#include "tests/support/temporary_folder.h"
#include "tests/workloads/scan/scene_samples.h"
#include "workloads/scan/scan.h"

namespace millrace::scan {
namespace {

using namespace testing;
using ::testing::UnorderedElementsAre;

class SceneRows : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    std::filesystem::path path = folder_.path() / "tree" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  int scan() {
    base::SystemClock clock;
    workloads::JobResult result("scan", clock);
    ScanOptions options;
    options.source = folder_ / "tree";
    options.database_url = url_;
    run_scan(options, clock, result);
    return result.exit_code();
  }
  std::vector<std::string> rows(const std::string& query) {
    auto connection = sql::open_url(url_);
    auto statement = connection->prepare(query);
    std::vector<std::string> lines;
    while (statement->step()) {
      std::string line;
      for (int i = 0; i < statement->columns(); ++i) {
        if (i > 0) line += ' ';
        line += statement->is_null(i) ? "-" : statement->text(i);
      }
      lines.push_back(std::move(line));
    }
    return lines;
  }

  millrace::testing::TemporaryFolder folder_;
  std::string url_ = "sqlite:///" + (folder_ / "catalogue.db");
};

TEST_F(SceneRows, NeededFilesAreFoundInTheTree) {
  // Without this nobody learns that a texture of a glTF is missing, or which scenes need a file.
  write("models/a.gltf", gltf_sample());
  write("models/my mesh.bin", "x");
  write("models/c.obj", obj_sample());
  write("models/my wood.mtl", mtl_sample());
  write("models/maps/wood floor.png", png_sample());
  write(
      "shots/s.usda",
      "#usda 1.0\n(\n subLayers = [@../models/set.usd@]\n)\ndef \"A\" { asset t = @../tex/w.<UDIM>.png@ }\n");
  write("tex/w.1002.png", png_sample());
  write("tex/light.hdr", hdr_sample());
  EXPECT_EQ(scan(), 0);
  std::string tree = (folder_ / "tree") + "/";
  EXPECT_THAT(
      rows("SELECT d.kind, substr(d.resolved_path, " + std::to_string(tree.size() + 1) +
           "), d.\"exists\", d.resolved_file_id IS NOT NULL, d.packed FROM dependencies d JOIN files f ON "
           "f.id=d.file_id WHERE f.file_name IN ('a.gltf','c.obj','s.usda')"),
      UnorderedElementsAre(
          "gltf-buffer models/my mesh.bin 1 1 0", "gltf-buffer - 0 0 1", "texture models/tex/wood.png 0 0 0",
          "texture - 0 0 1", "material-library models/rooms.mtl 0 0 0",
          "material-library models/my wood.mtl 1 1 0", "material-library models/other.MTL 0 0 0",
          "usd-layer models/set.usd 0 0 0", "texture tex/w.<UDIM>.png 1 1 0"));
  EXPECT_THAT(rows("SELECT i.resolution_x, i.pixel_type, f.file_type, f.format FROM images i JOIN files f ON "
                   "f.id=i.file_id "
                   "WHERE f.file_name='light.hdr'"),
              UnorderedElementsAre("9 float image Radiance HDR"));
  EXPECT_THAT(rows("SELECT file_type, status, json_extract(metadata_json, '$.version') FROM files WHERE "
                   "file_name='a.gltf'"),
              UnorderedElementsAre("scene ok 2.0"));
}

TEST_F(SceneRows, DamagedScenesAreNamed) {
  // Without this a scene cut short looks as if it needed nothing.
  write("a.glb", glb_sample().substr(0, 60));
  EXPECT_EQ(scan(), 3);
  EXPECT_THAT(rows("SELECT status, error IS NOT NULL FROM files"), UnorderedElementsAre("broken 1"));
}

}  // namespace
}  // namespace millrace::scan
