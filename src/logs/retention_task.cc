#include "logs/retention_task.h"

#include <spdlog/spdlog.h>

#include <exception>

namespace millrace::logs {

RetentionTask::RetentionTask(LogStore& store, std::chrono::milliseconds every)
    : store_(store), every_(every), thread_([this] { run(); }) {}

RetentionTask::~RetentionTask() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RetentionTask::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      if (size_t deleted = store_.apply_retention(); deleted > 0)
        spdlog::info("logs: {} segments past their retention deleted", deleted);
    } catch (const std::exception& error) {
      spdlog::warn("logs: retention: {}; tried again later", error.what());
    }
    lock.lock();
    wake_.wait_for(lock, every_, [this] { return stopping_; });
  }
}

}  // namespace millrace::logs
