// Objects on their way through a copy job, and where they wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "objects/store.h"
#include "workloads/copy/row_state.h"
#include "workloads/copy/transfer.h"

namespace millrace::copy {

inline constexpr size_t kReadyMax = 256;  // objects that wait for their request
inline constexpr size_t kSlowMax = 256;   // objects that wait for a worker

// One object that is copied (or looked at first).
struct Item {
  std::shared_ptr<RowState> row;
  RangeProgress* range = nullptr;  // of the row; null: none is kept
  uint64_t ticket = 0;
  objects::ObjectInfo source;  // key relative to the row's source
  std::string key;             // relative to its destination
  std::optional<objects::ObjectInfo> destination;
  const char* why = "";
  bool inspect = false;               // is it different at all?
  std::optional<Transferred> copied;  // and only to be verified
};
using ItemPtr = std::shared_ptr<Item>;

// Items for the workers. Planners wait for room; the HTTP client's thread, which must not, never does.
class SlowQueue {
 public:
  void wait_room(const std::atomic<bool>& stop) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return items_.size() < kSlowMax || stop; });
  }
  void push(ItemPtr item) {
    std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    filled_.notify_one();
  }
  ItemPtr pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return nullptr;
    ItemPtr item = std::move(items_.front());
    items_.pop_front();
    room_.notify_all();
    return item;
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
    room_.notify_all();
  }
  void wake() {
    std::lock_guard lock(mutex_);
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<ItemPtr> items_;
  bool closed_ = false;
};

// Items that one request copies, waiting for their turn. Planners fill it in batches, so that they are not
// woken for each request that ends.
class ReadyQueue {
 public:
  void push(ItemPtr item, const std::atomic<bool>& stop) {
    std::unique_lock lock(mutex_);
    if (items_.size() >= kReadyMax) {
      ++waiting_;
      room_.wait(lock, [&] { return items_.size() <= kReadyMax / 2 || stop; });
      --waiting_;
    }
    items_.push_back(std::move(item));
  }
  ItemPtr pop() {
    std::lock_guard lock(mutex_);
    if (items_.empty()) return nullptr;
    ItemPtr item = std::move(items_.front());
    items_.pop_front();
    if (waiting_ > 0 && items_.size() <= kReadyMax / 2) room_.notify_all();
    return item;
  }
  void wake() {
    std::lock_guard lock(mutex_);
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<ItemPtr> items_;
  unsigned waiting_ = 0;
};

}  // namespace millrace::copy
