// Ingest and filter speed of the log store for each second of one core, beside plain memory copying, in one
// run: bench_logs [MIB [FOLDER]].
#include <stdlib.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "base/time.h"
#include "logs/log_store.h"
#include "logs/segment_writer.h"

namespace {

// CPU seconds, of the kernel's work for us too: the same whoever else is busy on the machine.
double seconds_of(const auto& work) {
  auto cpu = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  };
  const double begin = cpu();
  work();
  return cpu() - begin;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace millrace;
  const size_t mib = argc > 1 ? std::stoul(argv[1]) : 512;
  std::string folder = (argc > 2 ? std::string(argv[2]) : "/tmp") + "/millrace-bench-logs-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const size_t bytes = mib << 20;
  const std::string line(100, 'x');
  const base::TimeMs now = base::SystemClock().now_ms();

  double copy = seconds_of([&] {
    std::vector<char> from(16 << 20, 'a'), to(16 << 20, 'b');
    for (size_t done = 0; done < bytes; done += from.size()) std::memcpy(to.data(), from.data(), from.size());
  });
  const double copy_rate = static_cast<double>(bytes) / copy / 1e6;

  double ingest = seconds_of([&] {
    logs::SegmentWriter writer(folder, "runner");
    std::vector<uint32_t> streams;
    for (int i = 0; i < 32; ++i)
      streams.push_back(writer.open_stream("jobs", "d/default/" + std::to_string(i)));
    for (size_t i = 0; i * line.size() < bytes; ++i)
      writer.append(streams[i % streams.size()], now + static_cast<base::TimeMs>(i / 1000), now, line);
    writer.append(streams[0], now, now, "a rare needle");
    writer.flush();
  });
  const double ingest_rate = static_cast<double>(bytes) / ingest / 1e6;

  base::SystemClock clock;
  std::unique_ptr<logs::LogStore> store;
  double open = seconds_of([&] { store = std::make_unique<logs::LogStore>(folder, clock); });
  logs::FilterQuery query;
  query.group = "jobs";
  query.pattern = logs::FilterPattern::parse("needle");
  size_t found = 0;
  const double peak_before = peak_mib();
  double filter = seconds_of([&] {
    do {
      logs::FilterPage page = store->filter_events(query);
      found += page.events.size();
      query.token = page.next;
    } while (!query.token.empty());
  });
  const double filter_rate = static_cast<double>(bytes) / filter / 1e6;
  std::printf(
      "memcpy %.0f MB/s\ningest %.0f MB/s of messages (ratio %.2f)\nopen %.3f s\nfilter %.0f MB/s (ratio "
      "%.2f), "
      "%zu found\nat most %.0f MiB of memory before the search, %.0f after it\n",
      copy_rate, ingest_rate, ingest_rate / copy_rate, open, filter_rate, filter_rate / copy_rate, found,
      peak_before, peak_mib());
  store.reset();
  std::filesystem::remove_all(folder);
  return found == 1 ? 0 : 1;
}
