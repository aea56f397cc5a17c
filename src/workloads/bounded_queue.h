// A queue of limited length between threads: the faster side waits for the slower one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

namespace millrace::workloads {

template <typename Item>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t items_max) : items_max_(items_max) {}

  // Waits for room. False when the queue was closed: the item is dropped.
  bool push(Item item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || items_.size() < items_max_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    lock.unlock();
    filled_.notify_one();
    return true;
  }

  // Waits for an item; nothing when the queue was closed and is empty.
  std::optional<Item> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !items_.empty(); });
    return take(lock);
  }

  // As pop(), but gives up at `deadline`.
  std::optional<Item> pop_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    filled_.wait_until(lock, deadline, [&] { return closed_ || !items_.empty(); });
    return take(lock);
  }

  // True when nothing is in it and nothing will be.
  bool finished() {
    std::lock_guard lock(mutex_);
    return closed_ && items_.empty();
  }

  // No more pushes; what is in the queue can still be taken.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
    room_.notify_all();
  }

  // As close(), and drops what is in it.
  void abort() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    items_.clear();
    filled_.notify_all();
    room_.notify_all();
  }

 private:
  std::optional<Item> take(std::unique_lock<std::mutex>& lock) {
    if (items_.empty()) return std::nullopt;
    std::optional<Item> item(std::move(items_.front()));
    items_.pop_front();
    lock.unlock();
    room_.notify_one();
    return item;
  }

  const size_t items_max_;
  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<Item> items_;
  bool closed_ = false;
};

}  // namespace millrace::workloads
