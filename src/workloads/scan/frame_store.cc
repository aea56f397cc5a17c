#include "workloads/scan/frame_store.h"

#include <cerrno>

#include "base/error.h"

namespace millrace::scan {
namespace {

struct Block {
  int64_t earlier = -1;
  FrameMember members[FrameStore::kBlock];
};

[[noreturn]] void fail(const char* what) { throw base::TransientError(base::system_message(what, errno)); }

}  // namespace

void FrameStore::append(List& list, const FrameMember& member) {
  if (list.last.size() == kBlock) {
    if (!file_) file_.reset(std::tmpfile());
    if (!file_) fail("make a temporary file");
    Block block;
    block.earlier = list.earlier;
    for (size_t i = 0; i < kBlock; ++i) block.members[i] = list.last[i];
    if (fseeko(file_.get(), end_, SEEK_SET) != 0 || std::fwrite(&block, sizeof block, 1, file_.get()) != 1)
      fail("write a temporary file");
    list.earlier = end_;
    end_ += static_cast<int64_t>(sizeof block);
    list.last.clear();
  }
  list.last.push_back(member);
}

void FrameStore::for_each(const List& list, const std::function<void(const FrameMember&)>& visit) {
  for (const FrameMember& member : list.last) visit(member);
  Block block;
  for (int64_t at = list.earlier; at >= 0; at = block.earlier) {
    if (fseeko(file_.get(), at, SEEK_SET) != 0 || std::fread(&block, sizeof block, 1, file_.get()) != 1)
      fail("read a temporary file");
    for (const FrameMember& member : block.members) visit(member);
  }
}

}  // namespace millrace::scan
