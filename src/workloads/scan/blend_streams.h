// Pull streams that a compressed .blend is read through: the object's bytes, and decoders that stack on each
// other.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "workloads/scan/blend_layer.h"

namespace millrace::scan {

// Counts what decoders produce, so that a small hostile file cannot become a large amount of work.
class InflateBudget {
 public:
  InflateBudget(const BlendLimits& limits, uint64_t compressed_bytes, const BlendClock& clock);
  // Throws BudgetError when `bytes` more are too many, or the time is over.
  void take(uint64_t bytes);

 private:
  uint64_t left_;
  const uint64_t max_;
  const BlendClock& clock_;
};

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // The next piece, valid until the next call; empty at the end. Throws CorruptError when the bytes stop
  // early or do not follow their format; all pieces that came before are good.
  virtual std::string_view next() = 0;
};

std::unique_ptr<ByteStream> stream_source(Source& source);
// First `first` (copied), then what `rest` gives.
std::unique_ptr<ByteStream> stream_prefixed(std::string_view first, std::unique_ptr<ByteStream> rest);
std::unique_ptr<ByteStream> stream_gunzip(std::unique_ptr<ByteStream> input, InflateBudget& budget);
std::unique_ptr<ByteStream> stream_unzstd(std::unique_ptr<ByteStream> input, InflateBudget& budget);

// The largest zstd window that is accepted (Blender uses 2 MiB at most); bounds the decoder's memory.
constexpr int kZstdWindowLogMax = 26;

}  // namespace millrace::scan
