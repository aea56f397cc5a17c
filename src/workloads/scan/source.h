// The bytes of one file as header readers see them: random access, bounded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace millrace::scan {

// Thrown when a reader wants more than its budget allows; the file is then recorded as "partial".
struct BudgetError : base::Error {
  explicit BudgetError(const std::string& m) : base::Error(base::ErrorKind::kCorrupt, m, "BudgetExceeded") {}
};

// One object, read by ranges through a small cache. Not thread-safe. Errors of the store pass through.
class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  // Exactly the bytes [offset, offset+length), valid until the next call. Throws CorruptError ("truncated:
  // …") when the file ends before, BudgetError when the budget of bytes, requests or one read (at most 8 MiB)
  // is used up.
  virtual std::string_view read(uint64_t offset, size_t length) = 0;
  // Like read(), but only what there is: shorter at the end of the file.
  virtual std::string_view read_some(uint64_t offset, size_t length) = 0;
  // At least what read_some() gives, and what else is had at the same cost: as a rule all up to the end of
  // the 32 KiB block in which the wanted bytes end.
  virtual std::string_view window(uint64_t offset, size_t length) {
    constexpr uint64_t kBlock = 32 << 10;
    uint64_t end = offset + length;
    uint64_t block_end =
        size() - std::min(size(), end) < kBlock ? size() : (end + kBlock - 1) / kBlock * kBlock;
    return read_some(offset, static_cast<size_t>(std::max(block_end, end) - offset));
  }
};

}  // namespace millrace::scan
