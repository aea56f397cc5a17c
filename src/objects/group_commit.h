// One thread that owns the index for writing and commits changes in groups: writers that arrive while a
// commit runs share the next one, so that 32 of them pay for one fsync.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "objects/content_files.h"
#include "objects/events.h"
#include "objects/object_index.h"

namespace millrace::objects {

// What a change writes through, inside the transaction of its group.
class Commit {
 public:
  Commit(ObjectIndex& index, int64_t sequence) : index(index), sequence_(sequence) {}
  ObjectIndex& index;
  // A number above all earlier ones, also of earlier runs.
  int64_t next_sequence() { return ++sequence_; }
  // The content is of a file in incoming/: publish it after the commit.
  void adopt(ContentId content) {
    if (content > 0) adopted_.push_back(content);
  }
  // Nobody needs the content any more: its bytes go after the commit.
  void release(ContentId content);
  void emit(ObjectEvent event) { events_.push_back(std::move(event)); }

 private:
  friend class GroupCommit;
  int64_t sequence_;
  std::vector<ContentId> adopted_, garbage_;
  std::vector<ObjectEvent> events_;
};

// Thread-safe.
class GroupCommit {
 public:
  using Apply = std::function<void(Commit&)>;
  using Done = std::function<void(std::exception_ptr)>;

  // Runs until destruction. `observer` is called in the thread of the commits, after each commit and before
  // its answers, in commit order; it must be quick and not throw.
  GroupCommit(ObjectIndex& index, ContentFiles& files, int64_t first_sequence,
              std::function<void(const ObjectEvent&)> observer);
  // Finishes what was submitted.
  ~GroupCommit();

  // Events go into the index with what they tell of, until they are forgotten.
  void keep_events() { keep_events_ = true; }
  void forget_events(int64_t sequence) { forgotten_ = sequence; }

  // `apply` runs in the thread of the commits; what it wrote is undone when it throws. `done` is called there
  // once the change is durable, or with the reason why it is not. It must be quick and not throw.
  void submit(Apply apply, Done done);
  // The same, blocking; throws what went wrong.
  void run(const Apply& apply);

 private:
  struct Change {
    Apply apply;
    Done done;
    std::exception_ptr error;
  };
  void loop();
  void commit_group(std::vector<Change>& group);

  ObjectIndex& index_;
  ContentFiles& files_;
  int64_t sequence_;
  std::function<void(const ObjectEvent&)> observer_;
  std::atomic<bool> keep_events_{false};
  std::atomic<int64_t> forgotten_{0};  // events up to here are not needed
  int64_t erased_ = 0;                 // and are gone up to here
  std::vector<ContentId> unlinked_;    // removed, but still in the index's list of garbage
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Change> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::objects
