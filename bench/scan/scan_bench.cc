// How fast `scan` catalogues many small images. Usage: scan_bench [FILES [SEED]], 100,000 files and seed 1 by
// default. Prints files per CPU second (all threads, all of the scan: walk, read, database), the memory
// needed, and beside it what exiftool and ImageMagick's identify need for a part of the same files, where
// they are installed.
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "base/hash.h"
#include "workloads/scan/scan.h"

namespace {

namespace fs = std::filesystem;
using namespace millrace;

constexpr double kFilesPerSecondWanted = 20'000;
constexpr long kMemoryWantedKib = 64 << 10;
constexpr int kFilesPerFolder = 500;
constexpr int kComparedFolders = 1;  // the other tools are slow

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(base::crc32(type + data));
}

// A valid head, `bytes` of noise for pixels, a valid end.
std::string png(std::mt19937& random) {
  std::uniform_int_distribution<uint32_t> side(1, 8192), size(100, 4000);
  std::string pixels(size(random), '\0');
  for (char& c : pixels) c = static_cast<char>(random());
  return std::string("\x89PNG\r\n\x1a\n", 8) +
         chunk("IHDR",
               big_endian(side(random)) + big_endian(side(random)) + std::string("\x08\x02\0\0\0", 5)) +
         chunk("IDAT", pixels) + chunk("IEND", "");
}

double cpu_seconds(int who) {
  rusage usage;
  getrusage(who, &usage);
  auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void compare(const std::string& tool, const std::string& command, int files, double ours) {
  if (std::system(("command -v " + tool + " >/dev/null").c_str()) != 0) {
    std::printf("%-10s not installed\n", tool.c_str());
    return;
  }
  double before = cpu_seconds(RUSAGE_CHILDREN);
  [[maybe_unused]] int status = std::system((command + " >/dev/null 2>&1").c_str());
  double rate = files / (cpu_seconds(RUSAGE_CHILDREN) - before);
  std::printf("%-10s %10.0f files/CPU-s   scan is %.0fx\n", tool.c_str(), rate, ours / rate);
}

}  // namespace

int main(int argc, char** argv) {
  int files = argc > 1 ? std::atoi(argv[1]) : 100'000;
  unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  std::string pattern = (fs::temp_directory_path() / "millrace-bench-XXXXXX").string();
  fs::path folder = mkdtemp(pattern.data());
  std::mt19937 random(seed);
  for (int i = 0; i < files; ++i) {
    fs::path parent = folder / "tree" / std::to_string(i / kFilesPerFolder);
    if (i % kFilesPerFolder == 0) fs::create_directories(parent);
    std::ofstream(parent / ("image_" + std::to_string(i) + ".png"), std::ios::binary) << png(random);
  }

  spdlog::set_level(spdlog::level::warn);
  base::SystemClock clock;
  scan::ScanOptions options;
  options.source = (folder / "tree").string();
  options.database_url = "sqlite:///" + (folder / "bench.db").string();
  double rates[2];
  int exit_code = 0;
  for (int round = 0; round < 2; ++round) {
    workloads::JobResult result("scan", clock);
    double cpu = cpu_seconds(RUSAGE_SELF);
    base::TimeMs start = clock.now_ms();
    scan::ScanCounts counts = scan::run_scan(options, clock, result);
    cpu = cpu_seconds(RUSAGE_SELF) - cpu;
    rates[round] = files / cpu;
    std::printf("%-10s %10.0f files/CPU-s   %.2f s CPU, %.2f s wall, %lld reads, exit %d\n",
                round == 0 ? "scan" : "unchanged", rates[round], cpu,
                static_cast<double>(clock.now_ms() - start) / 1e3, static_cast<long long>(counts.requests),
                result.exit_code());
    exit_code |= result.exit_code();
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("memory     %10.1f MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);

  int compared = std::min(files, kComparedFolders * kFilesPerFolder);
  std::string part = (folder / "tree/0").string();
  compare("exiftool", "exiftool -q -r " + part, compared, rates[0]);
  compare("identify", "identify -ping " + part + "/*.png", compared, rates[0]);
  fs::remove_all(folder);
  bool good = rates[0] >= kFilesPerSecondWanted && usage.ru_maxrss <= kMemoryWantedKib && exit_code == 0;
  std::printf("%s: %.2fx of the %.0f files/CPU-s wanted, %.2fx of the %ld MiB allowed\n",
              good ? "ok" : "NOT REACHED", rates[0] / kFilesPerSecondWanted, kFilesPerSecondWanted,
              static_cast<double>(usage.ru_maxrss) / kMemoryWantedKib, kMemoryWantedKib >> 10);
  return good ? 0 : 1;
}
