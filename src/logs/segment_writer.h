// Appends log events to segment files: append-only files shared by many streams, readable by other processes
// while they grow.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"

namespace millrace::logs {

// A directory may have several writers, in several processes, each with its own name; every writer has its
// own files. A torn record at the end of a file (power cut) is ignored by readers. Not thread-safe.
class SegmentWriter {
 public:
  // `writer` names the files ("<writer>-<number>.seg"); numbers go on after the highest one there.
  // Creates the directory when it is missing. `writer`: letters, digits, '-', '_', '.' (UsageError
  // otherwise).
  SegmentWriter(std::string directory, std::string writer, uint64_t segment_bytes_max = 64 << 20);
  // Flushes; what a full disk does not take is lost.
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;
  // A number for the pair (each at most 512 bytes), for append(); costs nothing on disk until the first
  // event. The number is the writer's own. Opening a pair twice gives two numbers.
  uint32_t open_stream(std::string_view group, std::string_view stream);
  // Forgets the stream; its number may be given out again.
  void close_stream(uint32_t stream);
  // Buffers one event (at most 1 MiB of message, UsageError beyond; longer ones are the caller's to split).
  // Writes out by itself what has become large; a disk that is full then is not reported before flush().
  void append(uint32_t stream, base::TimeMs timestamp, base::TimeMs ingestion, std::string_view message);
  // Hands everything to the kernel: it survives the death of this process. Throws TransientError when the
  // disk is full (nothing is lost: call again later).
  void flush();
  // flush() and fdatasync(): it survives a power cut.
  void sync();
  // Bytes of events that are still only in this process: the caller stops reading its jobs' output when a
  // full disk lets it grow.
  size_t buffered_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::logs
