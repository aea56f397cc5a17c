// The inside of the job `copy`: what its threads share. Its functions are in copy.cc (the job as a whole),
// copy_threads.cc, copy_rows.cc and copy_objects.cc.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/worker_pool.h"
#include "workloads/copy/copy.h"
#include "workloads/copy/item_queues.h"
#include "workloads/copy/journal.h"
#include "workloads/copy/report.h"
#include "workloads/copy/row_state.h"
#include "workloads/copy/shared_place.h"

namespace millrace::copy {

using objects::ObjectInfo;
using workloads::JobResult;

inline bool is_interrupted(const base::Error& error) { return error.code() == "Interrupted"; }

// The caller's thread reads the list; planners compare rows and ranges of rows, and start what one request
// copies; workers do the rest; one thread keeps time (journal, progress, stop).
class CopyJob {
 public:
  CopyJob(const JobOptions& options, const base::Clock& clock, JobResult& result);

  void run();
  void report_counts();

 private:
  // ---- the job as a whole: copy.cc ----
  void read_rows();
  void choose_rows();
  void not_mine(size_t row);
  bool has(std::string_view key) const { return !shard_keys_ || options_.shard.has(key); }
  // Rows that are deleted from are one shard's: nothing of a row goes before all of it was copied.
  bool shares_keys(const Row& row) const { return shard_keys_ && !row.options.remove_extra; }
  void share_rows();
  std::vector<std::string> cuts_of(const Row& row, size_t ranges_max);
  void refuse_overlaps();
  bool is_single(const Row& row);
  void open_outputs();
  void resume();
  void save_journal();
  void save_uploads();
  // What a later run would have to do for a row; nothing: all of it.
  static std::optional<RowLeft> left_of(RowState& row);
  void finish();
  // Nothing at all was done of what was asked for: that is a failure, not a part.
  void judge();

  // ---- threads: copy_threads.cc ----
  void work();
  void stop_all();
  void fatal(std::exception_ptr error);
  void tick();
  CopyProgress progress();
  // Looks ahead of the planners, who are only as far as the copies let them: how much is there to do?
  void count_ahead();
  void count_row(size_t index, uint64_t& objects, uint64_t& bytes);
  struct Task {
    enum class Kind { kRow, kRange, kRetry, kFinish } kind = Kind::kRow;
    size_t index = 0;
    std::shared_ptr<RowState> row;
    RangeProgress* range = nullptr;
    std::vector<std::string> keys;
  };
  void post(Task task);
  std::optional<Task> next_task();
  void plan_all();
  void work_all();

  // ---- rows: copy_rows.cc ----
  std::string name_of(const Row& row) const;
  void begin_row(size_t index);
  void set_rules(RowState& state) const;
  std::vector<KeyRange> ranges_of(size_t index) const;  // this shard's
  std::optional<RowLeft> before_of(size_t index);
  Task range_task(const std::shared_ptr<RowState>& row, KeyRange range);
  // Finds out what the row is: one object, or everything below a prefix or folder.
  void open_sites(RowState& state);
  void find_holes(RowState& state) const;
  // False: nothing but children is there. Throws NotFoundError when there is nothing at all.
  bool is_object(const Site& root, const std::string& key);
  void break_row(RowState& state, const base::Error& error);
  static std::string kind_name(base::ErrorKind kind);
  void plan_single(const std::shared_ptr<RowState>& state);
  static ObjectInfo head(const Site& site, const std::string& key);
  void compare_range(const std::shared_ptr<RowState>& state, RangeProgress* range);
  // Gives the second half of what is left of a range to a planner that has nothing to do.
  std::optional<std::string> split(const std::shared_ptr<RowState>& state, RangeProgress& range,
                                   const std::string& behind);
  void retry_keys(const std::shared_ptr<RowState>& state, const std::vector<std::string>& keys);
  void end_row(const std::shared_ptr<RowState>& state);
  // Why nothing is deleted: a code and a text; empty: it may be.
  std::pair<std::string, std::string> not_to_be_deleted(const RowState& state, uint64_t extra) const;
  void remove_extra(RowState& state);
  // Those that are still there.
  std::set<std::string> remove_keys(RowState& state, const std::vector<std::string>& keys);
  void forget(const std::shared_ptr<RowState>& state, bool done);

  // ---- objects: copy_objects.cc ----
  void decided(const std::shared_ptr<RowState>& state, RangeProgress* range, Decision decision,
               const char* why, const ObjectInfo* source, const ObjectInfo* destination);
  static const std::string& target_key(const RowState& state, const std::string& key);
  void start(ItemPtr item, RangeProgress* range);
  // Begins as many copies as there is room for. Called by planners, and by whoever ends a request: so the
  // next one begins without another thread being woken.
  void begin_ready();
  // Behind the gate.
  void begin_copy(const ItemPtr& item);
  bool fits_one_request(const RowState& state, const ObjectInfo& source) const;
  void work_on(const ItemPtr& item);
  void finished(const ItemPtr& item, const Transferred& done);
  void fail(RowState& state, const std::string& url, const std::string& key, const base::Error& error);
  void write(const RowState& state, std::string_view action, const std::string& source,
             const std::string& destination, uint64_t bytes, const Transferred& done, std::string_view code,
             std::string_view reason);
  // Not done, and not failed either: the job is being stopped.
  void abandon(const ItemPtr& item) { leave(*item); }
  void done_with(const ItemPtr& item);
  void leave(Item& item);
  void release(const std::shared_ptr<RowState>& row);

  const JobOptions& options_;
  const base::Clock& clock_;
  JobResult& result_;
  std::atomic<bool> stopping_ = false;
  std::shared_ptr<objects::S3Traffic> traffic_ = std::make_shared<objects::S3Traffic>();
  std::shared_ptr<Limiter> limiter_;
  Sites sites_;
  base::WorkerPool pool_;  // pages of listings on their way
  std::unique_ptr<Report> report_;
  std::unique_ptr<Journal> journal_;
  std::mutex journal_mutex_;  // of `saved_`, and while the journal is written
  JournalState saved_;
  OpenUploads uploads_;
  std::string fingerprint_;

  std::vector<Row> rows_;
  std::vector<std::pair<uint64_t, std::string>> bad_;
  int64_t bad_rows_ = 0;
  std::map<size_t, std::string> refused_;
  bool shard_keys_ = false;
  std::string list_fingerprint_;  // the same for all shards
  std::map<size_t, std::vector<std::string>> cuts_;
  SlowQueue slow_;
  ReadyQueue ready_;

  std::atomic<uint64_t> rows_done_{0}, rows_failed_{0}, rows_resumed_{0}, rows_elsewhere_{0};
  std::atomic<uint64_t> copied_{0}, bytes_copied_{0}, skipped_{0}, vanished_{0}, deleted_{0}, failed_{0};
  std::atomic<uint64_t> planned_copies_{0}, planned_deletes_{0}, objects_planned_{0}, bytes_planned_{0},
      bytes_moved_{0};
  std::atomic<uint64_t> objects_expected_{0}, bytes_expected_{0};  // 0: nobody counted

  std::mutex mutex_;  // of all below; taken before that of a row
  std::condition_variable wake_, idle_;
  std::deque<Task> tasks_;
  std::vector<bool> done_;
  std::map<size_t, RowLeft> before_;  // of rows that are neither done nor active
  std::set<std::shared_ptr<RowState>> active_;
  size_t next_row_ = 0;
  unsigned comparing_ = 0, idle_planners_ = 0;
  uint64_t in_flight_ = 0;  // objects
  std::atomic<bool> ended_ = false;
  std::exception_ptr fatal_;
};

}  // namespace millrace::copy
