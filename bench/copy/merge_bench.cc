// bench_copy_merge [KEYS]: two listings of that many keys (100 million) merged as a sync does, made up as
// they are read: what the planner costs by itself, and that its memory does not grow. One key in a thousand
// differs, one in a thousand is at the destination only.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "workloads/copy/merge.h"
#include "workloads/copy/row_state.h"

namespace {

using namespace millrace;

class MadeUpListing final : public copy::Listing {
 public:
  MadeUpListing(uint64_t keys, bool source) : keys_(keys), source_(source) {}
  bool next(objects::ObjectInfo& out) override {
    if (source_ && at_ % 1000 == 7) ++at_;
    if (at_ >= keys_) return false;
    char key[64];
    int length =
        std::snprintf(key, sizeof key, "shots/%05llu/frame-%010llu.exr",
                      static_cast<unsigned long long>(at_ / 10'000), static_cast<unsigned long long>(at_));
    out.key.assign(key, static_cast<size_t>(length));
    out.size = 4096 + (source_ && at_ % 1000 == 0);
    out.etag = "0123456789abcdef0123456789abcdef";
    out.last_modified = 1;
    ++at_;
    return true;
  }
  void shorten(const std::string&) override {}

 private:
  const uint64_t keys_;
  const bool source_;
  uint64_t at_ = 0;
};

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000'000;
  MadeUpListing source(keys, true), destination(keys, false);
  copy::RangeProgress range(copy::KeyRange{});
  copy::KeyFile extra;
  uint64_t copies = 0, skips = 0;
  double before = peak_rss_mib();
  auto start = std::chrono::steady_clock::now();
  copy::merge(source, destination, {},
              [&](copy::Decision decision, const char*, const objects::ObjectInfo* from,
                  const objects::ObjectInfo* to) {
                if (decision == copy::Decision::kExtra) {
                  extra.add(to->key);
                  range.pass(to->key);
                } else if (decision == copy::Decision::kCopy) {
                  ++copies;
                  range.end(range.begin(from->key));
                } else {
                  ++skips;
                  range.pass(from->key);
                }
                return true;
              });
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf(
      "{\"keys\":%llu,\"copies\":%llu,\"skips\":%llu,\"extra\":%llu,\"seconds\":%.2f,\"ns_per_pair\":%.0f,"
      "\"rss_mib_before\":%.1f,\"rss_mib\":%.1f}\n",
      static_cast<unsigned long long>(keys), static_cast<unsigned long long>(copies),
      static_cast<unsigned long long>(skips), static_cast<unsigned long long>(extra.count()), seconds,
      seconds * 1e9 / static_cast<double>(keys), before, peak_rss_mib());
  return 0;
}
