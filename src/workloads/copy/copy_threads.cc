// The threads of a copy job: planners, workers, and one that keeps time.
#include <algorithm>
#include <thread>

#include "workloads/copy/copy_job.h"

namespace millrace::copy {
namespace {

using Steady = std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(250);
constexpr auto kJournalPause = std::chrono::seconds(1);
constexpr auto kUncounted = std::chrono::seconds(2);  // what is done by then needs no look ahead
constexpr size_t kRowsCounted = 100;  // with more of them those that are done tell how long it will take
constexpr unsigned kWorkersMax = 32;  // threads for what takes more than one request

}  // namespace

void CopyJob::work() {
  std::vector<std::thread> planners, workers;
  unsigned planner_count = std::max(1u, options_.listings);
  unsigned worker_count = std::clamp(options_.limits.concurrency, 1u, kWorkersMax);
  for (unsigned i = 0; i < planner_count; ++i) planners.emplace_back([this] { plan_all(); });
  for (unsigned i = 0; i < worker_count; ++i) workers.emplace_back([this] { work_all(); });
  std::thread ticker([this] { tick(); }), counter;
  if (options_.on_progress && !options_.dry_run) counter = std::thread([this] { count_ahead(); });
  for (std::thread& thread : planners) thread.join();
  slow_.close();
  for (std::thread& thread : workers) thread.join();
  {
    // What is still under way in the HTTP client calls back into this object.
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return in_flight_ == 0; });
    ended_ = true;
    wake_.notify_all();
  }
  ticker.join();
  if (counter.joinable()) counter.join();
  if (fatal_) std::rethrow_exception(fatal_);
}

void CopyJob::stop_all() {
  stopping_ = true;
  limiter_->wake();
  slow_.wake();
  ready_.wake();
  while (ItemPtr item = ready_.pop()) abandon(item);
  std::lock_guard lock(mutex_);
  wake_.notify_all();
}

void CopyJob::fatal(std::exception_ptr error) {
  {
    std::lock_guard lock(mutex_);
    if (!fatal_) fatal_ = error;
  }
  stop_all();
}

void CopyJob::tick() {
  auto journal_due = Steady::now() + kJournalPause;
  std::unique_lock lock(mutex_);
  while (!ended_) {
    wake_.wait_for(lock, kTick);
    lock.unlock();
    if (options_.stop && options_.stop->load() && !stopping_) stop_all();
    if (Steady::now() >= journal_due && !stopping_) {
      auto begun = Steady::now();
      try {
        save_journal();
      } catch (...) {
        fatal(std::current_exception());
      }
      // A large journal, or a slow disk, must not become what the job does.
      journal_due = Steady::now() + std::max<Steady::duration>(kJournalPause, 20 * (Steady::now() - begun));
    }
    if (options_.on_progress) options_.on_progress(progress());
    lock.lock();
  }
}

CopyProgress CopyJob::progress() {
  CopyProgress now;
  now.rows = rows_.size();
  now.rows_done = rows_done_ + rows_failed_ + rows_resumed_ + rows_elsewhere_;
  now.objects_planned = objects_planned_;
  now.objects_done = copied_ + failed_ + vanished_;
  now.bytes_planned = bytes_planned_;
  now.bytes_done = bytes_moved_;
  now.skipped = skipped_;
  now.deleted = deleted_;
  now.failed = failed_;
  std::lock_guard lock(mutex_);
  now.planned = next_row_ >= rows_.size() && comparing_ == 0;
  if (!now.planned && objects_expected_ > 0) {
    now.planned = now.about = true;
    now.objects_planned = std::max<uint64_t>(now.objects_planned, objects_expected_);
    now.bytes_planned = std::max<uint64_t>(now.bytes_planned, bytes_expected_);
  }
  return now;
}

void CopyJob::count_ahead() {
  if (rows_.size() > kRowsCounted) return;
  {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kUncounted, [&] { return ended_ || stopping_; });
  }
  // Objects that are done meanwhile are not counted again: they are the same at both ends now.
  uint64_t objects = objects_planned_, bytes = bytes_planned_;
  try {
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (ended_ || stopping_) return;
      bool mine;
      {
        std::lock_guard lock(mutex_);
        mine = !done_[i] && !refused_.contains(i);
      }
      if (mine) count_row(i, objects, bytes);
    }
  } catch (const base::Error&) {
    return;  // whoever copies finds that out, too, and says so
  }
  bytes_expected_ = bytes;
  objects_expected_ = objects;
}

void CopyJob::count_row(size_t index, uint64_t& objects, uint64_t& bytes) {
  RowState state(rows_[index], index);
  open_sites(state);
  if (state.single) return;
  set_rules(state);
  for (KeyRange& range : ranges_of(index)) {
    auto ignore = [](const std::string&, const base::Error&) {};
    std::unique_ptr<Listing> source = state.from.list(range, pool_, ignore);
    std::unique_ptr<Listing> destination = state.to.list(range, pool_, ignore);
    merge(*source, *destination, state.rules,
          [&](Decision decision, const char*, const ObjectInfo* from, const ObjectInfo*) {
            if (ended_ || stopping_) throw base::TransientError("not needed any more");
            if (decision != Decision::kCopy && decision != Decision::kInspect) return true;
            if (shares_keys(state.row) && !has(from->key)) return true;
            ++objects;
            bytes += from->size;
            return true;
          },
          {});
  }
}

void CopyJob::post(Task task) {
  std::lock_guard lock(mutex_);
  // Ends of rows first: they free what the rows hold.
  if (task.kind == Task::Kind::kFinish)
    tasks_.push_front(std::move(task));
  else
    tasks_.push_back(std::move(task));
  wake_.notify_all();
}

std::optional<CopyJob::Task> CopyJob::next_task() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      return task;
    }
    if (stopping_ && in_flight_ == 0 && comparing_ == 0) return std::nullopt;
    if (!stopping_) {
      while (next_row_ < rows_.size() && done_[next_row_]) ++next_row_;
      if (next_row_ < rows_.size()) {
        Task task;
        task.index = next_row_++;
        ++comparing_;
        return task;
      }
      if (active_.empty() && comparing_ == 0) return std::nullopt;
    }
    ++idle_planners_;
    wake_.wait(lock);
    --idle_planners_;
  }
}

void CopyJob::plan_all() {
  while (auto task = next_task()) {
    try {
      switch (task->kind) {
        case Task::Kind::kRow:
          begin_row(task->index);
          break;
        case Task::Kind::kRange:
          compare_range(task->row, task->range);
          break;
        case Task::Kind::kRetry:
          retry_keys(task->row, task->keys);
          break;
        case Task::Kind::kFinish:
          end_row(task->row);
          break;
      }
    } catch (...) {
      fatal(std::current_exception());
    }
    std::lock_guard lock(mutex_);
    if (task->kind != Task::Kind::kFinish) --comparing_;
    wake_.notify_all();
  }
  std::lock_guard lock(mutex_);
  wake_.notify_all();
}

void CopyJob::work_all() {
  while (ItemPtr item = slow_.pop()) {
    try {
      work_on(item);
    } catch (...) {
      fatal(std::current_exception());
      abandon(item);
    }
  }
}

}  // namespace millrace::copy
