#include "exec/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/random.h"

namespace millrace::exec {

namespace fs = std::filesystem;

namespace {

constexpr size_t kIdleMax = 64;

// True when the folder has nothing but itself and its parent. Times are no proof: they have ticks of
// milliseconds.
bool is_empty(int fd) {
  alignas(8) char entries[512];
  if (lseek(fd, 0, SEEK_SET) != 0) return false;
  // Two entries of 24 bytes each (getdents64(2)); where they fit there is room to see a third.
  return syscall(SYS_getdents64, fd, entries, sizeof entries) == 48;
}

}  // namespace

Scratch::Scratch(std::string root) : root_(std::move(root)), trash_(root_ + ".removed") {
  std::error_code ignored;
  for (const std::string& directory : {root_, trash_})
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
      throw base::TransientError(base::system_message("mkdir " + directory, errno));
  for (const auto& entry : fs::directory_iterator(trash_, ignored)) empty_later(entry.path().string());
  for (const auto& entry : fs::directory_iterator(root_, ignored)) move_aside(entry.path().string());
}

Scratch::~Scratch() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::unique_ptr<Scratch::Folder> Scratch::take() {
  if (!idle_.empty()) {
    std::unique_ptr<Folder> folder = std::move(idle_.back());
    idle_.pop_back();
    return folder;
  }
  auto folder = std::make_unique<Folder>();
  folder->path = root_ + "/" + std::to_string(++number_);
  if (mkdir(folder->path.c_str(), 0700) != 0)
    throw base::TransientError(base::system_message("mkdir " + folder->path, errno));
  folder->fd.reset(open(folder->path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status;
  if (!folder->fd || fstat(folder->fd.get(), &status) != 0) {
    int error = errno;
    rmdir(folder->path.c_str());
    throw base::TransientError(base::system_message("open " + folder->path, error));
  }
  folder->inode = status.st_ino;
  return folder;
}

void Scratch::give_back(std::unique_ptr<Folder> folder) {
  struct stat status;
  if (idle_.size() < kIdleMax && lstat(folder->path.c_str(), &status) == 0 &&
      status.st_ino == folder->inode && status.st_mode == (S_IFDIR | 0700) && status.st_uid == geteuid() &&
      is_empty(folder->fd.get())) {
    idle_.push_back(std::move(folder));
    return;
  }
  folder->fd.reset();
  move_aside(folder->path);
}

void Scratch::move_aside(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return;
  std::string aside = trash_ + "/" + base::random_hex(8) + "-" + std::to_string(++number_);
  if (rename(path.c_str(), aside.c_str()) == 0) empty_later(aside);
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
