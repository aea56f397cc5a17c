// Agreement with ExifTool, iinfo and ffprobe on real files; runs when MILLRACE_CORPORA names the folder that
// holds media/files, media/manifest.csv and media/truth.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/json.h"
#include "tests/workloads/scan/media_samples.h"
#include "workloads/scan/image.h"
#include "workloads/scan/video.h"

namespace millrace::scan {
namespace {

using testing::MemorySource;

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

// path -> the line of a .jsonl
std::map<std::string, base::json::object> truth(const std::string& path) {
  std::map<std::string, base::json::object> lines;
  std::istringstream in(slurp(path));
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    base::json::object object = base::parse_json(line).as_object();
    std::string name(base::find_string(object, "path").value_or(""));
    lines.emplace(name, std::move(object));
  }
  return lines;
}

// The files that the manifest calls normal: neither cut short nor made to break readers.
std::set<std::string> normal_files(const std::string& manifest) {
  std::set<std::string> names;
  std::istringstream in(slurp(manifest));
  for (std::string line; std::getline(in, line);)
    if (line.find(",normal,") != std::string::npos) names.insert(line.substr(0, line.find(',')));
  return names;
}

struct Tally {
  int equal = 0, compared = 0;
  void add(bool same, const std::string& what) {
    ++compared;
    equal += same;
    if (!same) std::printf("  differs: %s\n", what.c_str());
  }
};

double cpu_ms() { return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

TEST(MediaCorpora, AgreesWithTheBigTools) {
  // Without this the readers may agree with our idea of the formats and not with the files people have.
  const char* root = std::getenv("MILLRACE_CORPORA");
  if (!root) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  std::string media = std::string(root) + "/media/";
  auto iinfo = truth(media + "truth/iinfo.jsonl");
  auto ffprobe = truth(media + "truth/ffprobe.jsonl");
  std::set<std::string> normal = normal_files(media + "manifest.csv");
  ASSERT_FALSE(normal.empty());
  Tally size, normal_size, video_size, codec, fps, duration;
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(media + "files")) {
    if (!entry.is_regular_file()) continue;
    std::string path = entry.path().string(), name = path.substr((media + "files/").size());
    std::string bytes = slurp(path);
    MediaType type = sniff(std::string_view(bytes).substr(0, 4096), name);
    MemorySource source(bytes);
    if (has_image_reader(type.format)) {
      ++files;
      auto start = cpu_ms();
      ImageFacts facts = read_image(source, type);
      EXPECT_LT(cpu_ms() - start, 250) << name;
      auto line = iinfo.find(name);
      if (line == iinfo.end()) continue;
      std::string out(base::find_string(line->second, "out").value_or(""));
      unsigned width = 0, height = 0;
      size_t colon = out.find(" : ");
      if (colon == std::string::npos || std::sscanf(out.c_str() + colon + 3, "%u x %u", &width, &height) != 2)
        continue;
      bool same = facts.resolution_x == width && facts.resolution_y == height;
      size.add(same, name + ": " + facts.problem);
      // A file of which we say ourselves that it is damaged is not a normal one, whatever the manifest says.
      if (normal.contains(name) && facts.status == ReadStatus::kOk) normal_size.add(same, "(normal) " + name);
    } else if (has_video_reader(type.format)) {
      ++files;
      VideoFacts facts = read_video(source, type);
      auto line = ffprobe.find(name);
      if (line == ffprobe.end()) continue;
      const base::json::object* out = base::find_object(line->second, "out");
      const base::json::array* streams = out ? base::find_array(*out, "streams") : nullptr;
      if (!streams) continue;
      for (const base::json::value& value : *streams) {
        const base::json::object& stream = value.as_object();
        if (base::find_string(stream, "codec_type") != "video") continue;
        auto width = base::find_int(stream, "width"), height = base::find_int(stream, "height");
        if (width.value_or(0) == 0) break;  // ffprobe could not read it
        bool cut =
            name.starts_with("derived-truncated/");  // where the two have different parts of a file left
        if (!cut) video_size.add(facts.resolution_x == width && facts.resolution_y == height, name);
        codec.add(base::find_string(stream, "codec_name").value_or("") == facts.codec,
                  name + ": " + facts.codec);
        std::string rate(base::find_string(stream, "avg_frame_rate").value_or(""));
        if (facts.fps && !rate.starts_with("0/"))
          fps.add(rate == std::to_string(facts.fps->num) + "/" + std::to_string(facts.fps->den),
                  name + ": " + rate);
        const base::json::object* format = base::find_object(*out, "format");
        auto seconds = format ? base::find_string(*format, "duration") : std::nullopt;
        // ffprobe adds what comes before the first frame of ASF, and stops at the first frame of the last
        // packet of sound in transport streams.
        double slack = type.format == Format::kAsf ? 0.25 : type.format == Format::kMpegTs ? 0.1 : 0.002;
        if (seconds)
          duration.add(
              std::abs(std::atof(std::string(*seconds).c_str()) - facts.duration_s.value_or(0)) < slack,
              name);
        break;
      }
    }
  }
  for (auto [what, tally] : {std::pair{"image size / iinfo", &size},
                             {"… of normal files", &normal_size},
                             {"video size / ffprobe", &video_size},
                             {"codec", &codec},
                             {"frame rate", &fps},
                             {"duration", &duration}})
    std::printf("%-22s %d of %d equal\n", what, tally->equal, tally->compared);
  std::printf("%d files read\n", files);
  // The differences left are named in docs/scan-formats.md.
  EXPECT_GE(size.equal * 100, size.compared * 92);
  EXPECT_GE(normal_size.compared, 90);
  EXPECT_GE(normal_size.equal * 100, normal_size.compared * 99);
  for (const Tally* tally : {&video_size, &codec, &fps, &duration})
    EXPECT_GE(tally->equal * 100, tally->compared * 98);
}

}  // namespace
}  // namespace millrace::scan
