// Deletes what is past its retention, now and then, in the background.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "logs/log_store.h"

namespace millrace::logs {

// Its thread runs from construction to destruction: LogStore::apply_retention() at once and every so often.
class RetentionTask {
 public:
  RetentionTask(LogStore& store, std::chrono::milliseconds every);
  ~RetentionTask();

 private:
  void run();

  LogStore& store_;
  const std::chrono::milliseconds every_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::logs
