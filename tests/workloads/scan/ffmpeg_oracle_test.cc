// Files made by ffmpeg, read here and by ffprobe; skipped where they are not installed. MILLRACE_MEDIA_FOLDER
// names a folder of other files to compare instead.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/json.h"
#include "tests/workloads/scan/media_samples.h"
#include "workloads/scan/video.h"

namespace millrace::scan {
namespace {

namespace fs = std::filesystem;
using testing::MemorySource;

bool installed(const char* program) {
  return std::system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) == 0;
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return text;
  char block[4096];
  for (size_t n; (n = std::fread(block, 1, sizeof block, pipe)) > 0;) text.append(block, n);
  pclose(pipe);
  return text;
}

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

struct Recipe {
  const char* name;
  const char* arguments;
};
constexpr const char* kH264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p ";
const Recipe kRecipes[] = {
    {"a.ts", "H -c:a aac"},
    {"b.m2ts", "H -c:a ac3 -ac 2 -mpegts_m2ts_mode 1"},
    {"c.ts", "-c:v mpeg2video -c:a mp2"},
    {"e.avi", "-c:v mpeg4 -c:a libmp3lame"},
    {"f.avi", "H -c:a pcm_s16le"},
    {"g.avi", "-c:v mjpeg -c:a ac3"},
    {"h.mxf", "-c:v mpeg2video -c:a pcm_s16le -timecode 01:00:00;00"},
    {"j.mxf", "H -r 25 -c:a pcm_s24le -timecode 10:00:00:00"},
    {"k.ogv", "-c:v libtheora -c:a libvorbis"},
    {"l.ogg", "-vn -c:a libvorbis"},
    {"m.opus", "-vn -c:a libopus"},
    {"n.oga", "-vn -c:a flac"},
    {"o.flv", "-c:v flv1 -c:a libmp3lame -ar 44100"},
    {"p.flv", "H -c:a aac"},
    {"q.wmv", "-c:v wmv2 -c:a wmav2"},
    {"r.wma", "-vn -c:a wmav2"},
    {"s.wav", "-vn -c:a pcm_s24le -ac 2"},
    {"t.wav", "-vn -c:a pcm_f32le -rf64 always"},
    {"u.wav", "-vn -c:a adpcm_ima_wav"},
    {"w.aiff", "-vn -c:a pcm_s24be"},
    {"x.mp3", "-vn -c:a libmp3lame -b:a 128k"},
    {"y.mp3", "-vn -c:a libmp3lame -q:a 4"},
    {"z.mp3", "-vn -c:a libmp3lame -b:a 128k -write_xing 0"},
    {"aa.flac", "-vn -c:a flac"},
    {"ab.m4a", "-vn -c:a aac"},
    {"ac.aac", "-vn -c:a aac"},
    {"ad.wav", "-vn -c:a pcm_s16le -ac 6"},
    {"ag.mp4", "H -c:a aac -movflags frag_keyframe+empty_moov -g 15"},
    {"ah.mp4", "H -r 25 -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof+dash -g 15"},
    {"ai.mov", "-c:v prores_ks -c:a pcm_s24le -timecode 01:00:00;02"},
    {"aj.mp4", "H -c:a aac"},
    {"ak.mkv", "H -c:a ac3"},
};

// Makes what this ffmpeg can make.
void make_files(const fs::path& folder) {
  for (const Recipe& recipe : kRecipes) {
    std::string arguments = recipe.arguments;
    if (arguments.starts_with("H ")) arguments = kH264 + arguments.substr(2);
    size_t code = arguments.find("-timecode ");
    if (code != std::string::npos)
      arguments = arguments.substr(0, code + 10) + "'" + arguments.substr(code + 10) + "'";
    std::string command =
        "ffmpeg -nostdin -v quiet -y -f lavfi -i testsrc2=size=192x108:rate=30000/1001:duration=1.5 -f lavfi "
        "-i "
        "sine=frequency=440:sample_rate=48000:duration=1.5 -threads 1 " +
        arguments + " '" + (folder / recipe.name).string() + "' || rm -f '" +
        (folder / recipe.name).string() + "'";
    [[maybe_unused]] int status = std::system(command.c_str());
  }
}

struct Tally {
  int equal = 0, compared = 0;
  void add(bool same, const std::string& what) {
    ++compared;
    equal += same;
    if (!same) std::printf("  differs: %s\n", what.c_str());
  }
};

double real_of(const base::json::object& object, const char* name) {
  auto text = base::find_string(object, name);
  return text ? std::atof(std::string(*text).c_str()) : 0;
}

TEST(FfmpegOracle, ReadsWhatFfmpegWrites) {
  // Without this the readers may agree with our idea of the formats and not with the most common writer of
  // them.
  if (!installed("ffmpeg") || !installed("ffprobe")) GTEST_SKIP() << "ffmpeg is not installed";
  const char* given = std::getenv("MILLRACE_MEDIA_FOLDER");
  fs::path folder =
      given ? fs::path(given) : fs::temp_directory_path() / ("ffmpeg_oracle." + std::to_string(getpid()));
  if (!given) {
    fs::create_directories(folder);
    make_files(folder);
  }
  Tally codec, size, fps, duration, sound, timecode;
  int files = 0;
  std::set<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.file_size() > 0) paths.insert(entry.path());
  for (const fs::path& path : paths) {
    std::string bytes = slurp(path), name = path.filename().string();
    MediaType type = sniff(std::string_view(bytes).substr(0, 4096), name);
    if (!has_video_reader(type.format)) continue;
    ++files;
    MemorySource source(bytes);
    VideoFacts facts = read_video(source, type);
    if (!given) {
      EXPECT_EQ(facts.status, ReadStatus::kOk) << name << ": " << facts.problem;
    } else if (facts.status != ReadStatus::kOk) {
      std::printf("  %s: %s\n", name.c_str(), facts.problem.c_str());
    }
    std::string answer =
        output_of("ffprobe -v quiet -print_format json -show_format -show_streams '" + path.string() + "'");
    base::json::object out;
    try {
      out = base::parse_json(answer).as_object();
    } catch (const base::Error&) {
      continue;
    }
    const base::json::array* streams = base::find_array(out, "streams");
    const base::json::object* format = base::find_object(out, "format");
    if (!streams || !format) continue;
    // ffprobe guesses at the length of AAC without a container, and stops at the first frame of the last
    // packet of sound in transport streams; of ASF and Speex it adds what comes before the first frame.
    double seconds = real_of(*format, "duration");
    double slack = type.format == Format::kMpegTs || type.format == Format::kAsf ? 0.1 : 0.002;
    if (seconds > 0 && type.format != Format::kAac && !name.ends_with(".spx"))
      duration.add(std::abs(seconds - facts.duration_s.value_or(0)) < slack,
                   name + ": duration " + std::to_string(facts.duration_s.value_or(0)) + ", ffprobe " +
                       std::to_string(seconds));
    auto compare_timecode = [&](const base::json::object& object) {
      const base::json::object* tags = base::find_object(object, "tags");
      auto time = tags ? base::find_string(*tags, "timecode") : std::nullopt;
      if (time)
        timecode.add(facts.timecode == *time,
                     name + ": timecode " + facts.timecode + ", ffprobe " + std::string(*time));
    };
    compare_timecode(*format);
    bool first_video = true;
    size_t audio = 0;
    for (const base::json::value& value : *streams) {
      const base::json::object& stream = value.as_object();
      std::string kind(base::find_string(stream, "codec_type").value_or(""));
      std::string name_there(base::find_string(stream, "codec_name").value_or(""));
      if (kind == "video" && first_video) {
        first_video = false;
        codec.add(name_there == facts.codec, name + ": " + facts.codec + ", ffprobe " + name_there);
        auto width = base::find_int(stream, "width"), height = base::find_int(stream, "height");
        if (width.value_or(0) == 0) continue;  // it could not read it either
        size.add(facts.resolution_x == width && facts.resolution_y == height, name + ": size");
        std::string pixels(base::find_string(stream, "pix_fmt").value_or(""));
        if (!facts.pixel_format.empty() && facts.pixel_format != pixels)
          std::printf("  %s: pixel format %s, ffprobe %s\n", name.c_str(), facts.pixel_format.c_str(),
                      pixels.c_str());
        std::string rate(base::find_string(stream, "avg_frame_rate").value_or(""));
        if (rate.starts_with("0/")) rate = base::find_string(stream, "r_frame_rate").value_or("");
        std::string ours =
            facts.fps ? std::to_string(facts.fps->num) + "/" + std::to_string(facts.fps->den) : std::string();
        double there = 0, num = 0, den = 0;
        if (std::sscanf(rate.c_str(), "%lf/%lf", &num, &den) == 2 && den > 0) there = num / den;
        // FLV has decimals, of which ffprobe makes 989/33 and the like.
        bool same = rate == ours || (type.format == Format::kFlv && facts.fps &&
                                     std::abs(facts.fps->value() - there) < 0.001);
        // Of fragments of uneven length the two make averages of their own.
        if (there > 0 && name != "ah.mp4") fps.add(same, name + ": rate " + ours + ", ffprobe " + rate);
        compare_timecode(stream);
      } else if (kind == "audio") {
        AudioStream here = audio < facts.audio_streams.size() ? facts.audio_streams[audio] : AudioStream();
        ++audio;
        auto channels = base::find_int(stream, "channels");
        auto rate = base::find_string(stream, "sample_rate");
        bool same = here.codec == name_there && here.channels.value_or(0) == channels.value_or(0) &&
                    std::to_string(here.sample_rate_hz.value_or(0)) == std::string(rate.value_or("0"));
        sound.add(same, name + ": " + here.codec + " " + std::to_string(here.channels.value_or(0)) + " " +
                            std::to_string(here.sample_rate_hz.value_or(0)) + ", ffprobe " + name_there +
                            " " + std::to_string(channels.value_or(0)) + " " +
                            std::string(rate.value_or("")));
        std::string layout(base::find_string(stream, "channel_layout").value_or(""));
        if (!here.channel_layout.empty() && !layout.empty() && here.channel_layout != layout)
          std::printf("  %s: channels %s, ffprobe %s\n", name.c_str(), here.channel_layout.c_str(),
                      layout.c_str());
      }
    }
  }
  if (!given) fs::remove_all(folder);
  for (auto [what, tally] : {std::pair{"codec", &codec},
                             {"size", &size},
                             {"frame rate", &fps},
                             {"duration", &duration},
                             {"sound", &sound},
                             {"timecode", &timecode}}) {
    std::printf("%-12s %d of %d equal\n", what, tally->equal, tally->compared);
    EXPECT_GE(tally->equal * 100, tally->compared * 98) << what;
  }
  std::printf("%d files read\n", files);
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace millrace::scan
