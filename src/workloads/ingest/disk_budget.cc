#include "workloads/ingest/disk_budget.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace millrace::ingest {
namespace {

// Of folders that a build made; each holds a descriptor, which the other repositories need as well. What is
// deeper cannot be counted, and is taken for too much.
constexpr unsigned kDepthMax = 128;
constexpr uint64_t kUncountable = 1ull << 60;

uint64_t bytes_below(int folder, unsigned depth) {
  std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(folder), closedir);
  if (!listing) return 0;
  uint64_t sum = 0;
  while (dirent* entry = readdir(listing.get())) {
    std::string_view name = entry->d_name;
    struct stat status;
    if (name == "." || name == ".." ||
        fstatat(dirfd(listing.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    sum += static_cast<uint64_t>(status.st_blocks) * 512;
    if (!S_ISDIR(status.st_mode)) continue;
    if (depth == kDepthMax) return kUncountable;
    int below = openat(dirfd(listing.get()), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) sum += bytes_below(below, depth + 1);
    if (sum >= kUncountable) return kUncountable;
  }
  return sum;
}

}  // namespace

uint64_t folder_bytes(const std::string& folder) {
  int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? 0 : bytes_below(fd, 0);
}

uint64_t DiskBudget::used() const {
  uint64_t sum = 0;
  for (const Share* share : shares_) sum += share->used_;
  return sum;
}

DiskBudget::Share::Share(DiskBudget& budget, bool alone) : budget_(budget), alone_(alone) {
  std::unique_lock lock(budget.mutex_);
  if (alone) ++budget.waiting_alone_;
  budget.changed_.wait(lock, [&] {
    if (budget.shares_.empty()) return alone || budget.waiting_alone_ == 0;
    return !alone && budget.waiting_alone_ == 0 && !budget.shares_.front()->alone_ &&
           budget.used() <= budget.bytes_ / 4 * 3;
  });
  if (alone) --budget.waiting_alone_;
  place_ = budget.shares_.insert(budget.shares_.end(), this);
}

DiskBudget::Share::~Share() {
  std::lock_guard lock(budget_.mutex_);
  budget_.shares_.erase(place_);
  budget_.changed_.notify_all();
}

void DiskBudget::Share::set(uint64_t bytes) {
  std::lock_guard lock(budget_.mutex_);
  used_ = bytes;
  budget_.changed_.notify_all();
  if (budget_.used() <= budget_.bytes_) return;
  auto largest = std::max_element(budget_.shares_.begin(), budget_.shares_.end(),
                                  [](const Share* a, const Share* b) { return a->used_ < b->used_; });
  (*largest)->evicted_ = true;
}

}  // namespace millrace::ingest
