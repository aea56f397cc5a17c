// The outer layer of a .blend: plain, gzip (to 2.93), zstd (3.0 on), or one inside the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "workloads/scan/blend.h"
#include "workloads/scan/source.h"

namespace millrace::scan {

// Throws BudgetError when the time for one file is over: hostile input must not hold a worker.
class BlendClock {
 public:
  explicit BlendClock(std::chrono::milliseconds time_max)
      : end_(std::chrono::steady_clock::now() + time_max), time_max_(time_max) {}
  void check() const;

 private:
  std::chrono::steady_clock::time_point end_;
  std::chrono::milliseconds time_max_;
};

// The bytes inside the outer layer. Not thread-safe.
class BlendBytes {
 public:
  static constexpr size_t kReadMax = size_t{8} << 20;

  virtual ~BlendBytes() = default;
  // False for a stream: offsets must then never go back.
  virtual bool random_access() const = 0;
  // How long the content is, where that is known before reading it.
  virtual std::optional<uint64_t> size() const = 0;
  // Exactly [offset, offset+length), length <= kReadMax, valid until the next call. Throws CorruptError
  // ("truncated: ...") at the end, BudgetError when a bound of BlendLimits is reached.
  virtual std::string_view read(uint64_t offset, size_t length) = 0;
};

struct BlendLayer {
  std::unique_ptr<BlendBytes> bytes;
  std::string compression;  // "none", "gzip", "zstd": the outermost
};

// `source`, `limits` and `clock` must outlive the answer. Throws CorruptError when the first bytes are none
// of a .blend.
BlendLayer open_blend_layer(Source& source, const BlendLimits& limits, const BlendClock& clock);

}  // namespace millrace::scan
