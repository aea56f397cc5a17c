#include "logs/event_intake.h"

namespace millrace::logs {
namespace {

constexpr size_t kOpenStreamsMax = 4096;

}  // namespace

void EventIntake::put(std::string_view group, std::string_view stream, base::TimeMs ingestion,
                      std::span<const InputEvent> events) {
  Batch batch{group, stream, ingestion, events, false, nullptr};
  // The first to come writes for all that wait: one sync for many batches.
  std::unique_lock lock(queue_mutex_);
  queue_.push_back(&batch);
  done_.wait(lock, [&] { return batch.done || !writing_; });
  if (!batch.done) {
    writing_ = true;
    std::vector<Batch*> batches = std::exchange(queue_, {});
    lock.unlock();
    std::exception_ptr error;
    try {
      write(batches);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    for (Batch* each : batches) {
      each->error = error;
      each->done = true;
    }
    writing_ = false;
    done_.notify_all();
  }
  if (batch.error) std::rethrow_exception(batch.error);
}

void EventIntake::write(const std::vector<Batch*>& batches) {
  std::scoped_lock lock(writer_mutex_);
  for (const Batch* batch : batches) {
    const uint32_t number = number_of(batch->group, batch->stream);
    for (const InputEvent& event : batch->events)
      writer_.append(number, event.timestamp, batch->ingestion, event.message);
  }
  writer_.sync();
}

uint32_t EventIntake::number_of(std::string_view group, std::string_view stream) {
  std::pair<std::string, std::string> key(group, stream);
  auto it = numbers_.find(key);
  if (it != numbers_.end()) return it->second;
  if (numbers_.size() >= kOpenStreamsMax) {
    for (const auto& [name, number] : numbers_) writer_.close_stream(number);
    numbers_.clear();
  }
  return numbers_[std::move(key)] = writer_.open_stream(group, stream);
}

void EventIntake::forget(std::string_view group, const std::string_view* stream) {
  std::scoped_lock lock(writer_mutex_);
  std::erase_if(numbers_, [&](const auto& entry) {
    if (entry.first.first != group || (stream != nullptr && entry.first.second != *stream)) return false;
    writer_.close_stream(entry.second);
    return true;
  });
}

}  // namespace millrace::logs
