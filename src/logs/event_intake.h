// The way of PutLogEvents into the engine's own segments: concurrent batches share one sync.
#pragma once

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "logs/log_queries.h"
#include "logs/segment_writer.h"

namespace millrace::logs {

// Thread-safe.
class EventIntake {
 public:
  EventIntake(const std::string& directory, const std::string& writer, uint64_t segment_bytes_max)
      : writer_(directory, writer, segment_bytes_max) {}

  // Durable on return. Throws TransientError when the disk is full.
  void put(std::string_view group, std::string_view stream, base::TimeMs ingestion,
           std::span<const InputEvent> events);
  // The group, or one stream of it, was deleted: later events are of another stream of the same name.
  void forget(std::string_view group, const std::string_view* stream);

 private:
  // A put() that waits for its turn; its thread sleeps.
  struct Batch {
    std::string_view group, stream;
    base::TimeMs ingestion;
    std::span<const InputEvent> events;
    bool done = false;
    std::exception_ptr error;
  };
  void write(const std::vector<Batch*>& batches);
  uint32_t number_of(std::string_view group, std::string_view stream);

  std::mutex queue_mutex_;
  std::condition_variable done_;
  std::vector<Batch*> queue_;
  bool writing_ = false;

  std::mutex writer_mutex_;
  SegmentWriter writer_;
  std::map<std::pair<std::string, std::string>, uint32_t, std::less<>> numbers_;
};

}  // namespace millrace::logs
