// One row while it is being done: what was counted, what is left, what may be deleted.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "workloads/copy/journal.h"
#include "workloads/copy/merge.h"
#include "workloads/copy/row.h"
#include "workloads/copy/sites.h"
#include "workloads/copy/transfer.h"

namespace millrace::copy {

// Keys in an unnamed file: as many as there are. One thread at a time.
class KeyFile {
 public:
  void add(std::string_view key);
  // All keys in the order of add(), once.
  void for_each(const std::function<void(std::string)>& visit);
  uint64_t count() const { return count_; }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
  uint64_t count_ = 0;
};

// How far a range of keys is done, whatever the order in which its objects are. Guarded by the row's mutex.
class RangeProgress {
 public:
  explicit RangeProgress(KeyRange range) : left_(std::move(range)) {}
  uint64_t begin(const std::string& key);
  void end(uint64_t ticket);
  // `key` needed nothing.
  void pass(const std::string& key) {
    if (open_.empty())
      left_.after = key;
    else
      open_.push_back({key, true});
  }
  void shorten(std::string until) { left_.until = std::move(until); }
  void listed() { listed_ = true; }
  bool done() const { return listed_ && open_.empty(); }
  const KeyRange& left() const { return left_; }

 private:
  struct Item {
    std::string key;
    bool done;
  };
  KeyRange left_;
  std::deque<Item> open_;  // from the first that is not done; the first has ticket first_
  uint64_t first_ = 0;
  bool listed_ = false;
};

struct RowState {
  RowState(const Row& row_, size_t index_) : row(row_), index(index_) {}

  const Row& row;
  const size_t index;
  Site from, to;
  bool went_on = false;  // where an earlier run stopped: what is left may be nothing
  bool partial = false;  // other shards do other keys
  bool single = false;   // one object: `from` and `to` are roots, and these the keys
  std::string source_key, destination_key;
  MergeRules rules;
  TransferOptions transfer;

  std::atomic<uint64_t> copied{0}, bytes{0}, skipped{0}, vanished{0}, failed{0}, deleted{0};
  std::atomic<uint64_t> source_listed{0}, source_objects{0}, destination_objects{0};  // see MergeCounts
  // Ranges being compared and objects being copied. Who takes it to 0 sees to the end of the row.
  std::atomic<uint64_t> open{1};

  std::mutex mutex;  // of all below
  std::list<RangeProgress> ranges;
  std::vector<std::string> failed_keys;  // for the journal, at most kFailedKeysMax
  bool restart = false;                  // too many failed: the journal forgets this row
  KeyFile extra;                         // relative keys that only the destination has
  std::string broken, broken_code;       // why not all of the row was seen; empty: it was

  static constexpr size_t kFailedKeysMax = 10'000;
};

}  // namespace millrace::copy
