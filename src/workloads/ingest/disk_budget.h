// How much the repositories in work may take of the disk together.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>

namespace millrace::ingest {

// Thread-safe. When the sum goes beyond the budget the repository that holds most is told to end; it gets
// another try with nobody beside it, and fails only when it is too large for the whole budget.
class DiskBudget {
 public:
  explicit DiskBudget(uint64_t bytes) : bytes_(bytes) {}
  uint64_t bytes() const { return bytes_; }

  class Share {
   public:
    // Waits for its turn: none begins while more than three quarters are in use, or while one works alone.
    Share(DiskBudget& budget, bool alone);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // What it holds now.
    void set(uint64_t bytes);
    bool evicted() const { return evicted_.load(); }
    bool alone() const { return alone_; }

   private:
    friend class DiskBudget;
    DiskBudget& budget_;
    const bool alone_;
    uint64_t used_ = 0;
    std::atomic<bool> evicted_ = false;
    std::list<Share*>::iterator place_;
  };

 private:
  uint64_t used() const;
  const uint64_t bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Share*> shares_;
  unsigned waiting_alone_ = 0;
};

// Bytes on disk of what is below `folder`; what vanishes meanwhile counts nothing.
uint64_t folder_bytes(const std::string& folder);

}  // namespace millrace::ingest
