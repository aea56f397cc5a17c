// The members of sequences that are still open: in memory while they are few, else in one unnamed file.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

namespace millrace::scan {

struct FrameMember {
  int64_t id = 0;  // of the file's row
  int64_t frame = 0;
  int64_t old_sequence = 0, old_frame = 0;  // as the catalogue has them; 0: none
};

// Throws TransientError when the disk is full.
class FrameStore {
 public:
  static constexpr size_t kBlock = 128;  // members in memory a list

  struct List {
    std::vector<FrameMember> last;  // the newest, at most kBlock
    int64_t earlier = -1;           // offset of the block before in the file, -1: none
  };

  void append(List& list, const FrameMember& member);
  // All members, the newest first within blocks of any order: do not count on it.
  void for_each(const List& list, const std::function<void(const FrameMember&)>& visit);
  // Nothing is kept any more: all lists must be gone.
  void clear() { end_ = 0; }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
  int64_t end_ = 0;
};

}  // namespace millrace::scan
