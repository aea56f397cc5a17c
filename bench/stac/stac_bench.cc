// How fast a month of items becomes GeoParquet. Usage: bench_stac [ITEMS [SEED [FOLDER]]], 100,000 items and
// seed 1 by default. Makes items like those of HLS (7.8 kB of JSON each) in a spool below FOLDER (not
// counted), writes the file and prints CPU seconds (of all threads), the most anonymous memory, the size, and
// how many row groups windows of 5x5 degrees touch. With BENCH_STAC_KEEP the file and the first 2,000 items
// are left in FOLDER: bench/stac/write gives them to others. BENCH_STAC_SPOOL names a folder whose spool is
// made once and used again by the next run with the same count, so that a profiler sees the writing alone.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "bench/stac/made_hls.h"
#include "objects/new_object.h"
#include "sql/duckdb.h"
#include "workloads/stac/geoparquet.h"
#include "workloads/stac/item.h"

namespace {

namespace fs = std::filesystem;
using namespace millrace;

constexpr double kCpuSecondsWanted = 45;  // of a million items
constexpr double kMemoryWantedMib = 600;
constexpr double kRowGroupsWanted = 0.05;  // of them, for a window of 5x5 degrees
constexpr base::TimeMs kJune2024 = 1'717'200'000'000;
constexpr int kComparedItems = 2'000;

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double anonymous_mib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word)
    if (word == "RssAnon:" && status >> word) return std::atof(word.c_str()) / 1024;
  return 0;
}

// The most anonymous memory while it lives.
class MemoryWatch {
 public:
  double stop() {
    thread_.request_stop();
    thread_.join();
    return most_;
  }

 private:
  std::atomic<double> most_ = 0;
  std::jthread thread_{[this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      most_ = std::max(most_.load(), anonymous_mib());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }};
};

// The mean share of row groups whose statistics do not rule them out.
double share_of_row_groups(const std::string& path) {
  sql::DuckDb database;
  auto share = database.query(
      "WITH stats AS (SELECT row_group_id, path_in_schema AS field, stats_min::DOUBLE AS low, "
      "stats_max::DOUBLE AS high "
      "FROM parquet_metadata(" +
      sql::duckdb_literal(path) +
      ") WHERE path_in_schema LIKE 'bbox, %'), "
      "boxes AS (SELECT row_group_id, min(low) FILTER (field = 'bbox, xmin') AS w, min(low) FILTER (field = "
      "'bbox, ymin') AS s, "
      "max(high) FILTER (field = 'bbox, xmax') AS e, max(high) FILTER (field = 'bbox, ymax') AS n FROM stats "
      "GROUP BY ALL), "
      "windows AS (SELECT x, y FROM range(-170, 170, 10) a(x), range(-50, 70, 10) b(y)) "
      "SELECT (avg((w <= x + 5 AND e >= x AND s <= y + 5 AND n >= y)::INT))::VARCHAR FROM boxes, windows");
  return std::atof(share.text().value_or("1").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  fs::path folder = argc > 3 ? fs::path(argv[3]) : fs::temp_directory_path();
  folder /= "millrace-bench-stac";
  const bool keep = std::getenv("BENCH_STAC_KEEP") != nullptr;
  fs::remove_all(folder);
  fs::create_directories(folder);
  const char* lasting = std::getenv("BENCH_STAC_SPOOL");
  stac::ItemStore store = [&] {
    stac::ItemSpool spool(lasting ? fs::path(lasting) / fmt::format("spool-{}-{}", count, seed)
                                  : folder / "spool");
    stac::SealReport sealed;
    if (spool.has("items")) return std::move(spool.seal({"items"}, false, sealed).at(0).items);
    stac::ItemChunk chunk = spool.begin("items");
    stac::ItemChecker checker;
    stac::MadeHls made(seed);
    std::string item;
    std::ofstream compared;
    if (keep) compared.open(folder / "items.ndjson");
    for (uint64_t i = 0; i < count; ++i) {
      made.make(i, kJune2024, item);
      if (keep && i < kComparedItems) compared << item << '\n';
      chunk.add(checker.check(item), 202406);
    }
    chunk.finish();
    return std::move(spool.seal({"items"}, false, sealed).at(0).items);
  }();
  std::printf("made       %10.0f items   %.2f GB of JSON, seed %u\n", static_cast<double>(store.size()),
              static_cast<double>(store.bytes()) / 1e9, seed);

  const std::string path = folder / "data.parquet";
  objects::NewObject out(objects::parse_location(path));
  MemoryWatch memory;
  const double cpu_before = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  stac::GeoParquetOptions options;
  options.temporary_folder = folder;
  const stac::WriteReport report = stac::write_geoparquet(store, options, out);
  const double cpu = cpu_seconds() - cpu_before;
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double anonymous = memory.stop();
  out.publish();
  if (!report.misfit.empty()) std::printf("the schema of HLS did not fit: %s\n", report.misfit.c_str());
  const double million = cpu * 1e6 / static_cast<double>(count);
  const double share = share_of_row_groups(path);
  std::printf("written    %10.0f items/CPU-s   %.2f s CPU (%.1f for a million), %.2f s wall\n",
              static_cast<double>(count) / cpu, cpu, million, wall);
  std::printf("memory     %10.0f MiB anonymous\n", anonymous);
  std::printf("size       %10.0f bytes an item, %llu row groups\n",
              static_cast<double>(report.bytes) / static_cast<double>(count),
              static_cast<unsigned long long>(report.row_groups));
  std::printf("5x5 query  %10.2f %% of the row groups\n", share * 100);
  if (!keep) fs::remove_all(folder);
  // A window has its share of the globe at least: few row groups say nothing about it.
  const bool share_good = report.row_groups < 40 || share <= kRowGroupsWanted;
  const bool good = million <= kCpuSecondsWanted && anonymous <= kMemoryWantedMib && share_good;
  std::printf("%s: %.1f of %.0f CPU-s allowed, %.0f of %.0f MiB\n", good ? "ok" : "NOT REACHED", million,
              kCpuSecondsWanted, anonymous, kMemoryWantedMib);
  return good ? 0 : 1;
}
