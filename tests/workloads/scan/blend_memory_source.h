// A Source over bytes in memory, that counts what is read and can refuse after a number of bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "workloads/scan/source.h"

namespace millrace::scan {

class MemorySource final : public Source {
 public:
  explicit MemorySource(std::string bytes, uint64_t bytes_max = std::numeric_limits<uint64_t>::max())
      : bytes_(std::move(bytes)), bytes_left_(bytes_max) {}
  uint64_t size() const override { return bytes_.size(); }
  std::string_view read(uint64_t offset, size_t length) override {
    if (offset > bytes_.size() || bytes_.size() - offset < length)
      throw base::CorruptError("truncated: wanted " + std::to_string(length) + " bytes at offset " +
                               std::to_string(offset));
    return read_some(offset, length);
  }
  std::string_view read_some(uint64_t offset, size_t length) override {
    if (length > (size_t{8} << 20)) throw BudgetError("one read of " + std::to_string(length) + " bytes");
    if (offset >= bytes_.size()) return {};
    length = std::min<uint64_t>(length, bytes_.size() - offset);
    if (length > bytes_left_) throw BudgetError("no more than that may be read");
    bytes_left_ -= length;
    bytes_read_ += length;
    // A copy of its own, so that the sanitizer sees a view used after the next read.
    last_.assign(bytes_, offset, length);
    last_.shrink_to_fit();
    return last_;
  }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  const std::string bytes_;
  uint64_t bytes_left_;
  uint64_t bytes_read_ = 0;
  std::string last_;
};

}  // namespace millrace::scan
