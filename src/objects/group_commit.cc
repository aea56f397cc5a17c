#include "objects/group_commit.h"

#include <spdlog/spdlog.h>

#include <future>

#include "base/error.h"

namespace millrace::objects {
namespace {
constexpr size_t kGroupMax = 512;  // changes in one transaction
}

void Commit::release(ContentId content) {
  if (content < 0) index.erase_inline(content);
  if (content <= 0) return;
  index.add_garbage(content);
  garbage_.push_back(content);
}

GroupCommit::GroupCommit(ObjectIndex& index, ContentFiles& files, int64_t first_sequence,
                         std::function<void(const ObjectEvent&)> observer)
    : index_(index),
      files_(files),
      sequence_(first_sequence),
      observer_(std::move(observer)),
      thread_([this] { loop(); }) {}

GroupCommit::~GroupCommit() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void GroupCommit::submit(Apply apply, Done done) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back({std::move(apply), std::move(done), nullptr});
  }
  wake_.notify_one();
}

void GroupCommit::run(const Apply& apply) {
  std::promise<void> finished;
  submit(apply, [&](std::exception_ptr error) {
    if (error)
      finished.set_exception(error);
    else
      finished.set_value();
  });
  finished.get_future().get();
}

void GroupCommit::loop() {
  std::vector<Change> group;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      if (queue_.size() <= kGroupMax) {
        group.swap(queue_);
      } else {
        auto end = queue_.begin() + kGroupMax;
        group.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
        queue_.erase(queue_.begin(), end);
      }
    }
    commit_group(group);
    group.clear();
  }
}

void GroupCommit::commit_group(std::vector<Change>& group) {
  Commit commit(index_, sequence_);
  bool committed = false;
  try {
    index_.begin();
    for (ContentId content : unlinked_) index_.erase_garbage(content);
    for (Change& change : group) {
      size_t adopted = commit.adopted_.size(), garbage = commit.garbage_.size(),
             events = commit.events_.size();
      index_.mark();
      try {
        change.apply(commit);
        index_.release_mark();
      } catch (...) {
        change.error = std::current_exception();
        try {
          index_.undo_to_mark();
        } catch (const base::Error&) {
          // A full disk ended the whole transaction: the group fails, for the reason that this change met.
          std::rethrow_exception(change.error);
        }
        commit.adopted_.resize(adopted);
        commit.garbage_.resize(garbage);
        commit.events_.erase(commit.events_.begin() + static_cast<std::ptrdiff_t>(events),
                             commit.events_.end());
      }
    }
    const int64_t forgotten = forgotten_;
    if (keep_events_)
      for (const ObjectEvent& event : commit.events_) index_.insert_event(event);
    if (forgotten > erased_) index_.erase_events(forgotten);
    if (!commit.adopted_.empty()) files_.sync_names();
    index_.commit();
    committed = true;
    erased_ = forgotten;
    unlinked_.clear();
  } catch (...) {
    std::exception_ptr error = std::current_exception();
    try {
      index_.rollback();
    } catch (const base::Error&) {
      // SQLite has rolled back already (a full disk does that): there is no transaction to end.
    }
    for (Change& change : group)
      if (!change.error) change.error = error;
  }
  sequence_ = commit.sequence_;
  if (committed && observer_)
    for (const ObjectEvent& event : commit.events_) observer_(event);
  for (Change& change : group) change.done(change.error);
  if (!committed) return;
  try {
    for (ContentId content : commit.adopted_) files_.publish(content);
  } catch (const base::Error& error) {
    spdlog::warn("objects: {}; the file stays where it is and is found there", error.what());
  }
  for (ContentId content : commit.garbage_) {
    files_.remove(content);
    unlinked_.push_back(content);
  }
}

}  // namespace millrace::objects
