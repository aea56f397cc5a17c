#include "workloads/copy/row_state.h"

#include <cerrno>

#include "base/error.h"

namespace millrace::copy {

void KeyFile::add(std::string_view key) {
  if (!file_) file_.reset(std::tmpfile());
  auto size = static_cast<uint32_t>(key.size());
  if (!file_ || std::fwrite(&size, sizeof size, 1, file_.get()) != 1 ||
      std::fwrite(key.data(), 1, key.size(), file_.get()) != key.size())
    throw base::TransientError(base::system_message("keep keys in a temporary file", errno));
  ++count_;
}

void KeyFile::for_each(const std::function<void(std::string)>& visit) {
  if (!file_) return;
  std::rewind(file_.get());
  for (uint64_t i = 0; i < count_; ++i) {
    uint32_t size = 0;
    std::string key;
    bool whole = std::fread(&size, sizeof size, 1, file_.get()) == 1;
    key.resize(size);
    if (!whole || std::fread(key.data(), 1, size, file_.get()) != size)
      throw base::TransientError(base::system_message("read keys from a temporary file", errno));
    visit(std::move(key));
  }
}

uint64_t RangeProgress::begin(const std::string& key) {
  open_.push_back({key, false});
  return first_ + open_.size() - 1;
}

void RangeProgress::end(uint64_t ticket) {
  open_[static_cast<size_t>(ticket - first_)].done = true;
  while (!open_.empty() && open_.front().done) {
    left_.after = std::move(open_.front().key);
    open_.pop_front();
    ++first_;
  }
}

}  // namespace millrace::copy
