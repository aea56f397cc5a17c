#include "exec/scratch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/random.h"

namespace millrace::exec {

namespace fs = std::filesystem;

Scratch::Scratch(std::string root) : root_(std::move(root)), trash_(root_ + ".removed") {
  std::error_code ignored;
  for (const std::string& directory : {root_, trash_})
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
      throw base::TransientError(base::system_message("mkdir " + directory, errno));
  for (const auto& entry : fs::directory_iterator(trash_, ignored)) empty_later(entry.path().string());
  for (const auto& entry : fs::directory_iterator(root_, ignored)) remove(entry.path().string());
}

Scratch::~Scratch() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::string Scratch::make(uint64_t token) {
  std::string directory = root_ + "/" + std::to_string(token);
  if (mkdir(directory.c_str(), 0700) != 0)
    throw base::TransientError(base::system_message("mkdir " + directory, errno));
  return directory;
}

void Scratch::remove(const std::string& directory) {
  if (rmdir(directory.c_str()) == 0 || errno == ENOENT) return;
  std::string aside = trash_ + "/" + base::random_hex(8) + "-" + std::to_string(++number_);
  if (rename(directory.c_str(), aside.c_str()) == 0) empty_later(aside);
}

void Scratch::empty_later(const std::string& directory) {
  std::lock_guard lock(mutex_);
  to_empty_.push_back(directory);
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
}

void Scratch::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !to_empty_.empty(); });
    if (stop_) return;
    std::string directory = std::move(to_empty_.front());
    to_empty_.pop_front();
    lock.unlock();
    std::error_code ignored;  // what cannot be removed is tried again at the next start
    fs::remove_all(directory, ignored);
    lock.lock();
  }
}

}  // namespace millrace::exec
