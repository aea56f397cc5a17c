// A folder for each attempt that names none.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace millrace::exec {

// Gives out empty folders. One that comes back untouched is given out again, because making and removing one
// costs a journalled file system more than the process that ran in it; one that a job filled is moved aside
// and emptied by a thread, so that a million small files hold nobody up. Use from one thread.
class Scratch {
 public:
  struct Folder {
    std::string path;
    base::UniqueFd fd;
    ino_t inode = 0;
  };

  // Takes away what an earlier runner left in `root`.
  explicit Scratch(std::string root);
  ~Scratch();  // waits for the folder being emptied; the rest goes at the next start
  // Throws TransientError.
  std::unique_ptr<Folder> take();
  void give_back(std::unique_ptr<Folder> folder);

 private:
  void move_aside(const std::string& path);
  void empty_later(const std::string& directory);
  void work();

  std::string root_, trash_;
  uint64_t number_ = 0;
  std::vector<std::unique_ptr<Folder>> idle_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> to_empty_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace millrace::exec
