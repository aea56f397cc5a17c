// The runner's way to the log files: lines are handed to the kernel in batches, and a full disk holds output
// back instead of losing it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "logs/segment_writer.h"

namespace millrace::exec {

constexpr int64_t kFlushEveryMs = 50;
constexpr int64_t kFullDiskRetryMs = 250;
constexpr size_t kBufferBytesMax = 8 << 20;

// Not thread-safe. Times are of a steady clock, in ms, given by the caller.
class LogSink {
 public:
  LogSink(const std::string& directory, const std::string& writer) : writer_(directory, writer) {}

  uint32_t open_stream(std::string_view group, std::string_view stream) {
    return writer_.open_stream(group, stream);
  }
  void close_stream(uint32_t stream) { writer_.close_stream(stream); }
  void append(uint32_t stream, base::TimeMs at, std::string_view line, int64_t now_ms);

  // How many lines were appended, and how many of them outlive this process.
  uint64_t appended() const { return appended_; }
  uint64_t flushed() const { return flushed_; }

  // When flush_due() will be true; -1: not before the next append().
  int64_t flush_at_ms() const { return flush_at_ms_; }
  bool flush_due(int64_t now_ms) const { return flush_at_ms_ >= 0 && now_ms >= flush_at_ms_; }
  // Makes appended lines outlive this process; false when the disk is full (tried again every
  // kFullDiskRetryMs).
  bool flush(int64_t now_ms);
  // True while the disk is full and the buffer is too: append() no more.
  bool blocked() const { return disk_full_ && buffered_bytes_ >= kBufferBytesMax; }
  bool disk_full() const { return disk_full_; }
  const std::string& disk_error() const { return disk_error_; }

 private:
  logs::SegmentWriter writer_;
  uint64_t appended_ = 0, flushed_ = 0;
  size_t buffered_bytes_ = 0;
  int64_t flush_at_ms_ = -1, last_flush_ms_ = 0;
  bool disk_full_ = false;
  std::string disk_error_;
};

}  // namespace millrace::exec
