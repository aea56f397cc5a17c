// Appends log events to segment files: append-only files shared by many streams, readable by other processes while
// they grow.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"

namespace millrace::logs {

// A directory may have several writers, in several processes, each with its own name; every writer has its own
// files. A torn record at the end of a file (power cut) is ignored by readers. Not thread-safe.
class SegmentWriter {
 public:
  // `writer` names the files ("<writer>-<number>.seg"); numbers go on after the highest one there.
  SegmentWriter(std::string directory, std::string writer, uint64_t segment_bytes_max = 64 << 20);
  ~SegmentWriter();
  // A number for the pair, for append(); costs nothing on disk until the first event. The number is the writer's own.
  uint32_t open_stream(std::string_view group, std::string_view stream);
  // Forgets the stream; its number may be given out again.
  void close_stream(uint32_t stream);
  // Buffers one event (at most 1 MiB of message; longer ones are the caller's to split).
  void append(uint32_t stream, base::TimeMs timestamp, base::TimeMs ingestion, std::string_view message);
  // Hands everything to the kernel: it survives the death of this process. Throws TransientError when the disk is full
  // (nothing is lost: call again later).
  void flush();
  // flush() and fdatasync(): it survives a power cut.
  void sync();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::logs
