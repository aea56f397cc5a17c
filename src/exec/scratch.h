// A folder for each attempt that names none.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace millrace::exec {

// Folders are made and, when empty, removed at once (10 us each); one that a job filled is moved aside and
// emptied by a thread, so that a million small files hold nobody up. Use from one thread.
class Scratch {
 public:
  // Takes away what an earlier runner left in `root`.
  explicit Scratch(std::string root);
  ~Scratch();  // waits for the folder being emptied; the rest goes at the next start
  // Throws TransientError.
  std::string make(uint64_t token);
  void remove(const std::string& directory);

 private:
  void empty_later(const std::string& directory);
  void work();

  std::string root_, trash_;
  uint64_t number_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> to_empty_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace millrace::exec
