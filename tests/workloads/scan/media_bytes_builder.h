// Files built byte by byte for the tests of the header readers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "workloads/scan/source.h"

namespace millrace::scan::testing {

// Bytes of a file in memory; counts what is asked for.
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  std::string_view read(uint64_t offset, size_t length) override {
    if (offset > bytes_.size() || length > bytes_.size() - offset)
      throw base::CorruptError("truncated: source");
    return read_some(offset, length);
  }
  std::string_view read_some(uint64_t offset, size_t length) override {
    ++reads;
    if (offset >= bytes_.size()) return {};
    // A fresh copy each time: a view used after the next read is then a use after free, which ASan sees.
    window_ = std::string(std::string_view(bytes_).substr(offset, length));
    window_.shrink_to_fit();
    bytes_read += window_.size();
    return window_;
  }
  unsigned reads = 0;
  uint64_t bytes_read = 0;

 private:
  std::string bytes_;
  std::string window_;
};

inline std::string be(uint64_t value, int bytes) {
  std::string s;
  for (int i = bytes - 1; i >= 0; --i) s += static_cast<char>(value >> (8 * i) & 0xFF);
  return s;
}
inline std::string le(uint64_t value, int bytes) {
  std::string s;
  for (int i = 0; i < bytes; ++i) s += static_cast<char>(value >> (8 * i) & 0xFF);
  return s;
}
inline std::string zeros(size_t n) { return std::string(n, '\0'); }

}  // namespace millrace::scan::testing
