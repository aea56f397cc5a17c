// A read connection of the directory store's pool, for the length of one call.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "objects/directory_store.h"

namespace millrace::objects {

// Read connections are kept: opening one costs more than most reads.
class DirectoryStore::Reading {
 public:
  explicit Reading(DirectoryStore& store) : store_(store) {
    {
      std::lock_guard lock(store_.readers_mutex_);
      if (!store_.readers_.empty()) {
        index_ = std::move(store_.readers_.back());
        store_.readers_.pop_back();
      }
    }
    if (!index_) index_ = std::make_unique<ObjectIndex>(store_.folder_ + "/index.db", false);
  }
  ~Reading() {
    std::lock_guard lock(store_.readers_mutex_);
    if (store_.readers_.size() < kIdleMax) store_.readers_.push_back(std::move(index_));
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ObjectIndex& operator*() { return *index_; }
  ObjectIndex* operator->() { return index_.get(); }

 private:
  static constexpr size_t kIdleMax = 16;

  DirectoryStore& store_;
  std::unique_ptr<ObjectIndex> index_;
};

}  // namespace millrace::objects
