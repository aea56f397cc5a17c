#include "exec/log_sink.h"

#include <algorithm>

#include "base/error.h"

namespace millrace::exec {

void LogSink::append(uint32_t stream, base::TimeMs at, std::string_view line, int64_t now_ms) {
  // A first line goes out at once, a stream of them in batches.
  if (flush_at_ms_ < 0) flush_at_ms_ = std::max(now_ms, last_flush_ms_ + kFlushEveryMs);
  writer_.append(stream, at, at, line);
  ++appended_;
  buffered_bytes_ += line.size() + 32;
  if (!disk_full_ && buffered_bytes_ >= kBufferBytesMax / 2) flush(now_ms);
}

bool LogSink::flush(int64_t now_ms) {
  if (flushed_ == appended_) return true;
  last_flush_ms_ = now_ms;
  try {
    writer_.flush();
  } catch (const base::TransientError& error) {
    disk_full_ = true;
    disk_error_ = error.what();
    flush_at_ms_ = now_ms + kFullDiskRetryMs;
    return false;
  }
  disk_full_ = false;
  flushed_ = appended_;
  buffered_bytes_ = 0;
  flush_at_ms_ = -1;
  return true;
}

}  // namespace millrace::exec
