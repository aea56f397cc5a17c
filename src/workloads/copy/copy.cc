#include "workloads/copy/copy.h"

#include <malloc.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "workloads/copy/journal.h"
#include "workloads/copy/key_split.h"
#include "workloads/copy/overlap.h"
#include "workloads/copy/report.h"
#include "workloads/copy/row_state.h"
#include "workloads/copy/transfer.h"
#include "workloads/text.h"

namespace millrace::copy {
namespace {

using objects::ObjectInfo;
using workloads::JobResult;
using Steady = std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(250);
constexpr auto kJournalPause = std::chrono::seconds(1);
constexpr unsigned kWorkersMax = 32;   // threads for what takes more than one request
constexpr size_t kReadyMax = 256;      // objects that wait for their request
constexpr size_t kSlowMax = 256;       // objects that wait for them
constexpr size_t kDeleteBatch = 1000;  // DeleteObjects: keys a request
constexpr int kChangedAttempts = 3;    // for objects that change while they are copied
constexpr int kSplitProbes = 40;
constexpr unsigned kRowsPerShard = 4;  // with fewer rows the keys of each row are shared out

bool is_interrupted(const base::Error& error) { return error.code() == "Interrupted"; }

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// One object that is copied (or looked at first).
struct Item {
  std::shared_ptr<RowState> row;
  RangeProgress* range = nullptr;  // of the row; null: none is kept
  uint64_t ticket = 0;
  ObjectInfo source;  // key relative to the row's source
  std::string key;    // relative to its destination
  std::optional<ObjectInfo> destination;
  const char* why = "";
  bool inspect = false;               // is it different at all?
  std::optional<Transferred> copied;  // and only to be verified
};
using ItemPtr = std::shared_ptr<Item>;

// Items for the workers. Planners wait for room; the HTTP client's thread, which must not, never does.
class SlowQueue {
 public:
  void wait_room(const std::atomic<bool>& stop) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return items_.size() < kSlowMax || stop; });
  }
  void push(ItemPtr item) {
    std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    filled_.notify_one();
  }
  ItemPtr pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return nullptr;
    ItemPtr item = std::move(items_.front());
    items_.pop_front();
    room_.notify_all();
    return item;
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
    room_.notify_all();
  }
  void wake() {
    std::lock_guard lock(mutex_);
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<ItemPtr> items_;
  bool closed_ = false;
};

// Items that one request copies, waiting for their turn. Planners fill it in batches, so that they are not
// woken for each request that ends.
class ReadyQueue {
 public:
  void push(ItemPtr item, const std::atomic<bool>& stop) {
    std::unique_lock lock(mutex_);
    if (items_.size() >= kReadyMax) {
      ++waiting_;
      room_.wait(lock, [&] { return items_.size() <= kReadyMax / 2 || stop; });
      --waiting_;
    }
    items_.push_back(std::move(item));
  }
  ItemPtr pop() {
    std::lock_guard lock(mutex_);
    if (items_.empty()) return nullptr;
    ItemPtr item = std::move(items_.front());
    items_.pop_front();
    if (waiting_ > 0 && items_.size() <= kReadyMax / 2) room_.notify_all();
    return item;
  }
  void wake() {
    std::lock_guard lock(mutex_);
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<ItemPtr> items_;
  unsigned waiting_ = 0;
};

// The caller's thread reads the list; planners compare rows and ranges of rows, and start what one request
// copies; workers do the rest; one thread keeps time (journal, progress, stop).
class CopyJob {
 public:
  CopyJob(const JobOptions& options, const base::Clock& clock, JobResult& result)
      : options_(options),
        clock_(clock),
        result_(result),
        limiter_(std::make_shared<Limiter>(options.limits, &stopping_)),
        sites_(options.from, options.to,
               {traffic_, limiter_, options.limits.concurrency, options.multipart_threshold}),
        pool_(std::max(2u, 2 * options.listings)) {
    limiter_->set_on_room([this] { begin_ready(); });
  }

  void run() {
    read_rows();
    choose_rows();
    if (!options_.allow_overlap) refuse_overlaps();
    open_outputs();
    resume();
    work();
    finish();
    judge();
  }

  // Nothing at all was done of what was asked for: that is a failure, not a part.
  void judge() {
    if (rows_failed_ + static_cast<uint64_t>(bad_rows_) == 0 || rows_done_ + rows_resumed_ > 0) return;
    if (copied_ + skipped_ + deleted_ + vanished_ + planned_copies_ + planned_deletes_ > 0) return;
    result_.fail(rows_.size() + bad_.size() == 1 ? "the row could not be done" : "no row could be done");
  }

  void report_counts() {
    result_.count("rows", static_cast<int64_t>(rows_.size()) + bad_rows_);
    result_.count("rows_done", static_cast<int64_t>(rows_done_));
    result_.count("rows_failed", static_cast<int64_t>(rows_failed_) + bad_rows_);
    if (rows_resumed_ > 0) result_.count("rows_done_before", static_cast<int64_t>(rows_resumed_));
    result_.count("copied", static_cast<int64_t>(copied_));
    result_.count("bytes_copied", static_cast<int64_t>(bytes_copied_));
    result_.count("skipped", static_cast<int64_t>(skipped_));
    if (vanished_ > 0) result_.count("vanished", static_cast<int64_t>(vanished_));
    result_.count("deleted", static_cast<int64_t>(deleted_));
    result_.count("failed", static_cast<int64_t>(failed_));
    if (planned_copies_ > 0) result_.count("would_copy", static_cast<int64_t>(planned_copies_));
    if (planned_deletes_ > 0) result_.count("would_delete", static_cast<int64_t>(planned_deletes_));
    result_.count("requests", static_cast<int64_t>(traffic_->requests));
    result_.count("retries", static_cast<int64_t>(traffic_->retries));
    result_.count("throttled", static_cast<int64_t>(traffic_->throttled));
  }

 private:
  // --- rows -------------------------------------------------------------------------------------------

  void read_rows() {
    base::Digest digest(base::Digest::Algorithm::kSha256);
    auto add = [&](Row row) {
      std::string text = row.source + '\0' + row.destination + '\0' + row.options.acl + '\0' +
                         row.options.storage_class + (row.options.remove_extra ? "\1" : "\2");
      for (const FilterRule& rule : row.options.filters) text += (rule.include ? "\1" : "\2") + rule.pattern;
      digest.update(text + '\n');
      // Both are in the locations, too; there may be many rows.
      row.source = {};
      row.destination = {};
      rows_.push_back(std::move(row));
    };
    if (options_.manifest.empty()) {
      Row row{0, options_.source, options_.destination, {}, {}, options_.row};
      parse_locations(row);
      add(std::move(row));
    } else {
      ManifestReader reader(options_.header, options_.row, options_.own_options, add,
                            [&](uint64_t line, const std::string& why) {
                              ++bad_rows_;
                              bad_.emplace_back(line, why);
                              result_.item_failed("row " + std::to_string(line), why, "BadRow");
                            });
      read_manifest(options_.manifest, reader);
      if (rows_.empty() && bad_rows_ == 0) spdlog::warn("the list has no rows");
    }
    for (const ServiceOptions* service : {&options_.from, &options_.to})
      digest.update(service->endpoint + '\0' + service->profile + '\0');
    digest.update(std::to_string(static_cast<int>(options_.compare)) + (options_.markers ? "m" : "") + "/" +
                  std::to_string(options_.shard.index) + "/" + std::to_string(options_.shard.count));
    fingerprint_ = base::hex(digest.finish()).substr(0, 32);
  }

  void choose_rows() {
    done_.assign(rows_.size(), false);
    if (options_.shard.whole()) return;
    shard_keys_ = rows_.size() < static_cast<size_t>(options_.shard.count) * kRowsPerShard;
    if (shard_keys_) return;
    for (size_t i = 0; i < rows_.size(); ++i)
      if (i % options_.shard.count != options_.shard.index) not_mine(i);
  }
  void not_mine(size_t row) {
    done_[row] = true;
    ++rows_elsewhere_;
  }
  bool has(std::string_view key) const { return !shard_keys_ || options_.shard.has(key); }

  void refuse_overlaps() {
    std::vector<Overlap> overlaps = find_overlaps(rows_, sites_.same_service());
    // Only where it matters is it worth asking what a source without a slash is.
    bool again = false;
    for (const Overlap& overlap : overlaps) {
      rows_[overlap.row].single = is_single(rows_[overlap.row]);
      again |= rows_[overlap.row].single;
    }
    if (again) overlaps = find_overlaps(rows_, sites_.same_service());
    for (const Overlap& overlap : overlaps) {
      const Row &row = rows_[overlap.row], &other = rows_[overlap.other];
      std::string why = "refused: " + overlap.why;
      if (overlap.row == overlap.other)
        why = "refused: source and destination overlap";
      else
        why += " (row " + std::to_string(row.line) + " and row " + std::to_string(other.line) + ")";
      why += "; --allow-overlap does it all the same";
      refused_.emplace(overlap.row, std::move(why));
    }
  }

  bool is_single(const Row& row) {
    try {
      if (row.from.is_s3)
        return !row.from.path.empty() && !row.from.path.ends_with('/') &&
               is_object(sites_.bucket(true, row.from.bucket, ""), row.from.path);
      std::error_code ignored;
      return std::filesystem::is_regular_file(row.from.path, ignored);
    } catch (const base::Error&) {
      return false;  // it is told when it is that row's turn
    }
  }

  // --- outputs ----------------------------------------------------------------------------------------

  void open_outputs() {
    if (options_.dry_run)
      report_ = std::make_unique<Report>(options_.plan.empty() ? "-" : options_.plan, false);
    else if (!options_.report.empty())
      report_ = std::make_unique<Report>(options_.report, options_.resume);
    for (const auto& [line, why] : bad_)
      if (report_)
        report_->write({.row = line,
                        .action = "row-failed",
                        .source = {},
                        .destination = {},
                        .version = {},
                        .etag = {},
                        .checksum = {},
                        .code = "BadRow",
                        .reason = why});
    if (options_.dry_run || options_.journal == "none") return;
    std::string place = options_.journal.empty() ? default_journal(fingerprint_) : options_.journal;
    if (place.empty())
      spdlog::warn("there is no folder for a journal: a run that is killed begins anew (--journal FILE)");
    else
      journal_ = std::make_unique<Journal>(place);
  }

  void resume() {
    if (!journal_) return;
    if (options_.resume) {
      if (auto state = journal_->load()) {
        if (state->fingerprint != fingerprint_)
          throw base::UsageError("the journal " + journal_->location() +
                                 " is of another list or of other options: remove it to begin anew");
        for (auto [first, last] : state->done)
          for (size_t i = first; i <= last && i < rows_.size(); ++i)
            if (!done_[i]) {
              done_[i] = true;
              ++rows_resumed_;
            }
        before_ = std::move(state->rows);
        spdlog::info("going on with {}: {} rows are done", journal_->location(), rows_resumed_);
      }
    }
    save_journal();  // what cannot be written is found out now
  }

  void save_journal() {
    if (!journal_) return;
    sites_.sync_folders();
    if (report_) report_->sync();
    JournalState state;
    state.fingerprint = fingerprint_;
    {
      std::lock_guard lock(mutex_);
      for (size_t i = 0; i < done_.size(); ++i) {
        if (!done_[i]) continue;
        if (!state.done.empty() && state.done.back().second + 1 == i)
          state.done.back().second = i;
        else
          state.done.emplace_back(i, i);
      }
      state.rows = before_;
      for (const std::shared_ptr<RowState>& row : active_)
        if (auto left = left_of(*row))
          state.rows[row->index] = std::move(*left);
        else
          state.rows.erase(row->index);
    }
    journal_->save(state);
  }

  // What a later run would have to do for a row; nothing: all of it.
  static std::optional<RowLeft> left_of(RowState& row) {
    std::lock_guard lock(row.mutex);
    // What the destination has too much is known only when all of it was listed.
    if (row.single || row.row.options.remove_extra || row.restart || !row.broken.empty() ||
        row.ranges.empty())
      return std::nullopt;
    RowLeft left;
    left.failed = row.failed_keys;
    for (const RangeProgress& range : row.ranges)
      if (!range.done()) left.ranges.push_back(range.left());
    return left;
  }

  // --- threads ----------------------------------------------------------------------------------------

  void work() {
    std::vector<std::thread> planners, workers;
    unsigned planner_count = std::max(1u, options_.listings);
    unsigned worker_count = std::clamp(options_.limits.concurrency, 1u, kWorkersMax);
    for (unsigned i = 0; i < planner_count; ++i) planners.emplace_back([this] { plan_all(); });
    for (unsigned i = 0; i < worker_count; ++i) workers.emplace_back([this] { work_all(); });
    std::thread ticker([this] { tick(); });
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
    if (fatal_) std::rethrow_exception(fatal_);
  }

  void stop_all() {
    stopping_ = true;
    limiter_->wake();
    slow_.wake();
    ready_.wake();
    while (ItemPtr item = ready_.pop()) abandon(item);
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }

  void fatal(std::exception_ptr error) {
    {
      std::lock_guard lock(mutex_);
      if (!fatal_) fatal_ = error;
    }
    stop_all();
  }

  void tick() {
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

  CopyProgress progress() {
    CopyProgress now;
    now.rows = rows_.size();
    now.rows_done = rows_done_ + rows_failed_ + rows_resumed_ + rows_elsewhere_;
    now.objects_planned = objects_planned_;
    now.objects_done = copied_ + failed_ + vanished_;
    now.bytes_planned = bytes_planned_;
    now.bytes_done = bytes_copied_;
    now.skipped = skipped_;
    now.deleted = deleted_;
    now.failed = failed_;
    std::lock_guard lock(mutex_);
    now.planned = next_row_ >= rows_.size() && comparing_ == 0;
    return now;
  }

  struct Task {
    enum class Kind { kRow, kRange, kRetry, kFinish } kind = Kind::kRow;
    size_t index = 0;
    std::shared_ptr<RowState> row;
    RangeProgress* range = nullptr;
    std::vector<std::string> keys;
  };

  void post(Task task) {
    std::lock_guard lock(mutex_);
    // Ends of rows first: they free what the rows hold.
    if (task.kind == Task::Kind::kFinish)
      tasks_.push_front(std::move(task));
    else
      tasks_.push_back(std::move(task));
    wake_.notify_all();
  }

  std::optional<Task> next_task() {
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

  void plan_all() {
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

  // --- one row ----------------------------------------------------------------------------------------

  std::string name_of(const Row& row) const {
    std::string name = row.line > 0 ? "row " + std::to_string(row.line) + ": " : "";
    return name + shown(row.from) + " to " + shown(row.to);
  }

  void begin_row(size_t index) {
    const Row& row = rows_[index];
    auto state = std::make_shared<RowState>(row, index);
    {
      std::lock_guard lock(mutex_);
      active_.insert(state);
    }
    if (auto refused = refused_.find(index); refused != refused_.end()) {
      state->broken = refused->second;
      state->broken_code = "Overlap";
      return release(state);
    }
    try {
      open_sites(*state);
    } catch (const base::Error& error) {
      break_row(*state, error);
      return release(state);
    }
    state->rules.compare = options_.compare;
    state->rules.filters = row.options.filters;
    state->rules.markers = options_.markers;
    state->rules.thaw = options_.thaw;
    state->rules.exact_times = state->from.is_s3() && !state->to.is_s3();
    find_holes(*state);
    state->transfer.acl = row.options.acl;
    state->transfer.storage_class = row.options.storage_class;
    state->transfer.keep_encryption = options_.keep_encryption;
    state->transfer.verify = options_.verify;
    state->transfer.server_side = sites_.same_service();
    state->transfer.stream_if_denied = !sites_.same_credentials();
    if (state->single) {
      try {
        plan_single(state);
      } catch (const base::Error& error) {
        break_row(*state, error);
      }
      return release(state);
    }
    std::vector<KeyRange> ranges = {KeyRange{}};
    std::vector<std::string> failed;
    if (auto left = before_of(index)) {
      ranges = std::move(left->ranges);
      failed = std::move(left->failed);
      state->went_on = true;
    }
    std::vector<Task> tasks;
    for (KeyRange& range : ranges) tasks.push_back(range_task(state, std::move(range)));
    if (!failed.empty()) {
      Task task;
      task.kind = Task::Kind::kRetry;
      task.row = state;
      task.keys = std::move(failed);
      ++state->open;
      tasks.push_back(std::move(task));
    }
    {
      std::lock_guard lock(mutex_);
      before_.erase(index);
      comparing_ += static_cast<unsigned>(tasks.size());
    }
    for (Task& task : tasks) post(std::move(task));
    release(state);
  }

  std::optional<RowLeft> before_of(size_t index) {
    std::lock_guard lock(mutex_);
    auto found = before_.find(index);
    if (found == before_.end()) return std::nullopt;
    return found->second;
  }

  Task range_task(const std::shared_ptr<RowState>& row, KeyRange range) {
    Task task;
    task.kind = Task::Kind::kRange;
    task.row = row;
    ++row->open;
    std::lock_guard lock(row->mutex);
    task.range = &row->ranges.emplace_back(std::move(range));
    return task;
  }

  // Finds out what the row is: one object, or everything below a prefix or folder.
  void open_sites(RowState& state) {
    const Row& row = state.row;
    std::string object;  // the name of a single one
    if (row.from.is_s3) {
      std::string key = row.from.path;
      if (!key.empty() && !key.ends_with('/')) {
        Site root = sites_.bucket(true, row.from.bucket, "");
        if (is_object(root, key)) {
          state.single = true;
          state.source_key = key;
          object = last_part(key);
          state.from = root;
        } else {
          key += '/';
        }
      }
      if (!state.single) state.from = sites_.bucket(true, row.from.bucket, key);
    } else {
      struct stat st{};
      if (stat(row.from.path.c_str(), &st) != 0) {
        std::string text = base::system_message("read " + row.from.path, errno);
        if (errno == EACCES) throw base::DeniedError(text);
        throw base::NotFoundError(text, "NotFound");
      }
      if (S_ISDIR(st.st_mode)) {
        state.from = sites_.folder(row.from.path);
      } else {
        std::filesystem::path path = row.from.path;
        state.single = true;
        state.source_key = object = path.filename().string();
        state.from = sites_.folder(path.has_parent_path() ? path.parent_path().string() : ".");
      }
    }
    if (row.to.is_s3) {
      std::string key = row.to.path;
      if (state.single) {
        // A place for objects, and not the name of one.
        if (key.empty() || key.ends_with('/')) key += object;
        state.destination_key = key;
        state.to = sites_.bucket(false, row.to.bucket, "");
      } else {
        if (!key.empty() && !key.ends_with('/')) key += '/';
        state.to = sites_.bucket(false, row.to.bucket, key);
      }
      return;
    }
    if (!state.single) {
      state.to = sites_.folder(row.to.path);
      return;
    }
    std::filesystem::path path = row.to.path;
    std::error_code ignored;
    if (row.to.path.ends_with('/') || std::filesystem::is_directory(path, ignored)) path /= object;
    state.destination_key = path.filename().string();
    state.to = sites_.folder(path.has_parent_path() ? path.parent_path().string() : ".");
  }

  void find_holes(RowState& state) const {
    if (state.single || state.from.is_s3() != state.to.is_s3()) return;
    std::string from = state.from.prefix, to = state.to.prefix;
    if (state.from.is_s3()) {
      if (!sites_.same_service() || state.from.client->url() != state.to.client->url()) return;
    } else {
      auto whole = [](const Site& site) {
        std::error_code ignored;
        std::string path = std::filesystem::weakly_canonical(site.folder->path(), ignored).string();
        return path.ends_with('/') ? path : path + "/";
      };
      from = whole(state.from);
      to = whole(state.to);
    }
    if (to.size() > from.size() && to.starts_with(from)) state.rules.source_hole = to.substr(from.size());
    if (from.size() > to.size() && from.starts_with(to))
      state.rules.destination_hole = from.substr(to.size());
  }

  // False: nothing but children is there. Throws NotFoundError when there is nothing at all.
  bool is_object(const Site& root, const std::string& key) {
    try {
      objects::ObjectDetails details = root.client->details(key);
      // What other tools store to mark a folder.
      return details.info.size > 0 ||
             !details.headers.get("content-type").starts_with("application/x-directory");
    } catch (const base::NotFoundError&) {
    }
    std::string below = key + "/";
    if (!root.client
             ->list_page({.prefix = below, .delimiter = {}, .start_after = {}, .token = {}, .keys_max = 1})
             .objects.empty())
      return false;
    throw base::NotFoundError("there is no object " + root.url(key) + " and nothing below it", "NoSuchKey");
  }

  void break_row(RowState& state, const base::Error& error) {
    std::lock_guard lock(state.mutex);
    if (!state.broken.empty()) return;
    state.broken = error.what();
    state.broken_code = error.code().empty() ? kind_name(error.kind()) : error.code();
  }

  static std::string kind_name(base::ErrorKind kind) {
    switch (kind) {
      case base::ErrorKind::kNotFound:
        return "NotFound";
      case base::ErrorKind::kDenied:
        return "AccessDenied";
      case base::ErrorKind::kConflict:
        return "Conflict";
      case base::ErrorKind::kTransient:
        return "Unavailable";
      case base::ErrorKind::kCorrupt:
        return "Corrupt";
      case base::ErrorKind::kUsage:
        return "Invalid";
      case base::ErrorKind::kInternal:
        break;
    }
    return "Failed";
  }

  // --- comparing --------------------------------------------------------------------------------------

  void plan_single(const std::shared_ptr<RowState>& state) {
    if (!has(state->source_key)) return;
    ObjectInfo source = head(state->from, state->source_key);
    std::optional<ObjectInfo> destination;
    try {
      destination = head(state->to, state->destination_key);
    } catch (const base::NotFoundError&) {
    }
    const char* why = "";
    Decision decision = decide(source, destination ? &*destination : nullptr, state->rules, why);
    // Whoever names one object wants that object: only what is known to be the same is left alone.
    if (decision == Decision::kSkip && options_.compare == Compare::kTime) {
      bool same = state->from.is_s3() && state->to.is_s3()
                      ? !source.etag.empty() && source.etag == destination->etag
                      : source.last_modified == destination->last_modified;
      if (!same) {
        decision = Decision::kCopy;
        why = "not known to be the same";
      }
    }
    source.key = state->source_key;
    decided(state, nullptr, decision, why, &source, destination ? &*destination : nullptr);
  }

  static ObjectInfo head(const Site& site, const std::string& key) {
    if (site.is_s3()) {
      objects::ObjectDetails details = site.client->details(site.key(key));
      details.info.key = key;
      details.info.storage_class = details.headers.get("x-amz-storage-class");
      return details.info;
    }
    ObjectInfo info = objects::open_reader(objects::Location{false, "", site.folder->path()})->head(key);
    info.key = key;
    return info;
  }

  void compare_range(const std::shared_ptr<RowState>& state, RangeProgress* range) {
    try {
      KeyRange bounds;
      {
        std::lock_guard lock(state->mutex);
        bounds = range->left();
      }
      auto unreadable = [&](const std::string& key, const base::Error& error) {
        // Whatever lies there was not seen: nothing may be taken for gone.
        fail(*state, state->from.url(key), "", error);
        break_row(*state, error);
      };
      std::unique_ptr<Listing> source = state->from.list(bounds, pool_, unreadable);
      std::unique_ptr<Listing> destination = state->to.list(bounds, pool_, unreadable);
      bool may_split = state->from.is_s3() && state->to.is_s3();
      MergeCounts counts = merge(
          *source, *destination, state->rules,
          [&](Decision decision, const char* why, const ObjectInfo* from, const ObjectInfo* to) {
            decided(state, range, decision, why, from, to);
            return true;
          },
          may_split ? OnPause([&](const std::string& behind) { return split(state, *range, behind); })
                    : OnPause());
      state->source_listed += counts.source_listed;
      state->source_objects += counts.source_objects;
      state->destination_objects += counts.destination_objects;
      std::lock_guard lock(state->mutex);
      range->listed();
    } catch (const base::Error& error) {
      if (!is_interrupted(error)) break_row(*state, error);
    }
    release(state);
  }

  // Gives the second half of what is left of a range to a planner that has nothing to do.
  std::optional<std::string> split(const std::shared_ptr<RowState>& state, RangeProgress& range,
                                   const std::string& behind) {
    {
      std::lock_guard lock(mutex_);
      if (idle_planners_ == 0 || next_row_ < rows_.size()) return std::nullopt;
    }
    std::string until;
    {
      std::lock_guard lock(state->mutex);
      until = range.left().until;
    }
    auto next_key = [&](const std::string& start_after) -> std::optional<std::string> {
      std::string from = state->from.key(start_after);
      objects::ListedPage page = state->from.client->list_page(
          {.prefix = state->from.prefix, .delimiter = {}, .start_after = from, .token = {}, .keys_max = 1});
      if (page.objects.empty()) return std::nullopt;
      return page.objects[0].key.substr(state->from.prefix.size());
    };
    auto key = split_key(behind, until, next_key, kSplitProbes);
    if (!key) return std::nullopt;
    Task task = range_task(state, KeyRange{*key, until});
    {
      std::lock_guard lock(state->mutex);
      range.shorten(*key);
    }
    {
      std::lock_guard lock(mutex_);
      ++comparing_;
    }
    post(std::move(task));
    return key;
  }

  void retry_keys(const std::shared_ptr<RowState>& state, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      try {
        ObjectInfo source = head(state->from, key);
        std::optional<ObjectInfo> destination;
        try {
          destination = head(state->to, key);
        } catch (const base::NotFoundError&) {
        }
        const char* why = "";
        Decision decision = decide(source, destination ? &*destination : nullptr, state->rules, why);
        decided(state, nullptr, decision, why, &source, destination ? &*destination : nullptr);
      } catch (const base::NotFoundError&) {
        ++vanished_;
        ++state->vanished;
        write(*state, "vanished", key, key, 0, {}, "", "gone since an earlier run failed to copy it");
      } catch (const base::Error& error) {
        if (is_interrupted(error)) break;
        fail(*state, state->from.url(key), key, error);
      }
    }
    release(state);
  }

  void decided(const std::shared_ptr<RowState>& state, RangeProgress* range, Decision decision,
               const char* why, const ObjectInfo* source, const ObjectInfo* destination) {
    if (stopping_) throw base::TransientError("interrupted", "Interrupted");
    const std::string& key = source ? source->key : destination->key;
    auto pass = [&] {
      if (!range || !journal_) return;
      std::lock_guard lock(state->mutex);
      range->pass(key);
    };
    if (shard_keys_ && !state->single && !has(key)) return pass();
    switch (decision) {
      case Decision::kSkip:
        ++skipped_;
        ++state->skipped;
        write(*state, "skipped", key, target_key(*state, key), source->size, {}, "", why);
        return pass();
      case Decision::kExtra:
        if (state->row.options.remove_extra && !state->single) {
          std::lock_guard lock(state->mutex);
          state->extra.add(key);
        }
        return pass();
      case Decision::kArchived:
        fail(*state, state->from.url(key), key,
             base::InternalError("in the storage class " + source->storage_class +
                                     ": it has to be restored first (then: --force-archived)",
                                 "InvalidObjectState"));
        return pass();
      case Decision::kInspect:
      case Decision::kCopy:
        break;
    }
    if (options_.dry_run && decision == Decision::kCopy) {
      ++planned_copies_;
      write(*state, "copy", key, target_key(*state, key), source->size, {}, "", why);
      return;
    }
    auto item = std::make_shared<Item>();
    item->row = state;
    item->source = *source;
    item->key = target_key(*state, key);
    if (destination) item->destination = *destination;
    item->why = why;
    item->inspect = decision == Decision::kInspect;
    start(std::move(item), range);
  }

  static const std::string& target_key(const RowState& state, const std::string& key) {
    return state.single ? state.destination_key : key;
  }

  void start(ItemPtr item, RangeProgress* range) {
    RowState& state = *item->row;
    slow_.wait_room(stopping_);
    if (range && journal_) {
      std::lock_guard lock(state.mutex);
      item->range = range;
      item->ticket = range->begin(item->source.key);
    }
    ++state.open;
    ++objects_planned_;
    bytes_planned_ += item->source.size;
    {
      std::lock_guard lock(mutex_);
      ++in_flight_;
    }
    try {
      if (!item->inspect && fits_one_request(state, item->source)) {
        limiter_->spend(item->source.size);
        if (limiter_->limits_requests()) {
          limiter_->enter();
          begin_copy(item);
          return;
        }
        ready_.push(item, stopping_);
        begin_ready();
        return;
      }
    } catch (...) {
      abandon(item);
      throw;
    }
    slow_.push(std::move(item));
  }

  // Begins as many copies as there is room for. Called by planners, and by whoever ends a request: so the
  // next one begins without another thread being woken.
  void begin_ready() {
    while (limiter_->try_enter()) {
      ItemPtr item = ready_.pop();
      if (!item) return limiter_->leave_unused();
      begin_copy(item);
    }
  }

  // Behind the gate.
  void begin_copy(const ItemPtr& item) {
    RowState& state = *item->row;
    ObjectInfo whole = item->source;
    whole.key = state.from.key(item->source.key);
    try {
      state.to.client->start_copy(state.from.client->options().bucket, whole, state.to.key(item->key),
                                  copy_options(item->source, state.transfer),
                                  [this, item](objects::CopyResult result, std::exception_ptr error) {
                                    // This is the HTTP client's thread: nothing here may wait for another
                                    // request.
                                    if (error) return slow_.push(item);
                                    Transferred done{std::move(result.etag), std::move(result.version_id),
                                                     std::move(result.checksum), ""};
                                    if (options_.verify) {
                                      if (done.etag != item->source.etag || !is_md5(done.etag)) {
                                        item->copied = std::move(done);
                                        return slow_.push(item);
                                      }
                                      done.verified = "etag";
                                    }
                                    finished(item, done);
                                  });
    } catch (const base::Error&) {
      // No credentials: the workers find out, and say so.
      limiter_->leave_unused();
      slow_.push(item);
    }
  }

  bool fits_one_request(const RowState& state, const ObjectInfo& source) const {
    return state.from.is_s3() && state.to.is_s3() && state.transfer.server_side &&
           !state.transfer.keep_encryption && state.transfer.acl != "keep" &&
           state.to.client->copied_by_one_request(source.size);
  }

  // --- copying ----------------------------------------------------------------------------------------

  void work_all() {
    while (ItemPtr item = slow_.pop()) {
      try {
        work_on(item);
      } catch (...) {
        fatal(std::current_exception());
        abandon(item);
      }
    }
  }

  void work_on(const ItemPtr& item) {
    RowState& state = *item->row;
    for (int attempt = 1;; ++attempt) {
      try {
        if (item->copied) {
          if (options_.verify) item->copied->verified = verify(state.from, item->source, state.to, item->key);
          return finished(item, *item->copied);
        }
        if (item->inspect) {
          ObjectInfo there = *item->destination;
          there.key = item->key;
          if (same_content(state.from, item->source, state.to, there)) {
            ++skipped_;
            ++state.skipped;
            write(state, "skipped", item->source.key, item->key, item->source.size, {}, "", "same content");
            return done_with(item);
          }
          item->why = "content differs";
          item->inspect = false;
          if (options_.dry_run) {
            ++planned_copies_;
            write(state, "copy", item->source.key, item->key, item->source.size, {}, "", item->why);
            return done_with(item);
          }
        }
        if (attempt == 1) limiter_->spend(item->source.size);
        return finished(item,
                        transfer(state.from, item->source, state.to, item->key, state.transfer, *limiter_));
      } catch (const base::Error& error) {
        if (is_interrupted(error) || stopping_) return abandon(item);
        bool changed = error.code() == "PreconditionFailed";
        bool gone = error.kind() == base::ErrorKind::kNotFound;
        if (changed || gone) {
          try {
            ObjectInfo now = head(state.from, item->source.key);
            bool same = now.etag == item->source.etag && now.size == item->source.size &&
                        now.mtime_ns == item->source.mtime_ns;
            if (!same && attempt < kChangedAttempts) {
              now.key = item->source.key;
              item->source = std::move(now);
              continue;
            }
          } catch (const base::NotFoundError& missing) {
            if (missing.code() != "NoSuchBucket") {
              ++vanished_;
              ++state.vanished;
              write(state, "vanished", item->source.key, item->key, 0, {}, "", "removed while the copy ran");
              return done_with(item);
            }
          } catch (const base::Error& other) {
            if (is_interrupted(other)) return abandon(item);
          }
        }
        fail(state, state.from.url(item->source.key), item->source.key, error);
        return done_with(item);
      }
    }
  }

  void finished(const ItemPtr& item, const Transferred& done) {
    RowState& state = *item->row;
    ++copied_;
    ++state.copied;
    bytes_copied_ += item->source.size;
    state.bytes += item->source.size;
    if (report_) {
      std::string reason = item->why;
      if (!done.verified.empty()) reason += "; verified by " + done.verified;
      write(state, "copied", item->source.key, item->key, item->source.size, done, "", reason);
    }
    done_with(item);
  }

  void fail(RowState& state, const std::string& url, const std::string& key, const base::Error& error) {
    ++failed_;
    ++state.failed;
    std::string code = error.code().empty() ? kind_name(error.kind()) : error.code();
    std::string text = error.what();
    if (error.kind() == base::ErrorKind::kDenied && !state.transfer.acl.empty() && state.to.is_s3())
      text += " (setting the ACL " + state.transfer.acl + " needs s3:PutObjectAcl; --acl none sets none)";
    result_.item_failed(url, text, code);
    if (report_) {
      std::string target = state.single ? state.to.url(state.destination_key) : state.to.url(key);
      report_->write({state.row.line, "failed", url, target, 0, {}, {}, {}, code, text});
    }
    if (!journal_ || state.single) return;
    std::lock_guard lock(state.mutex);
    if (state.failed_keys.size() < RowState::kFailedKeysMax)
      state.failed_keys.push_back(key);
    else
      state.restart = true;
  }

  void write(const RowState& state, std::string_view action, const std::string& source,
             const std::string& destination, uint64_t bytes, const Transferred& done, std::string_view code,
             std::string_view reason) {
    if (!report_) return;
    std::string checksum;
    if (done.checksum)
      checksum = std::string(objects::checksum_name(done.checksum->algorithm)) + ":" + done.checksum->value;
    std::string from = source.empty() && action != "copied" ? "" : state.from.url(source);
    report_->write({state.row.line, action, from, state.to.url(destination), bytes, done.version_id,
                    done.etag, checksum, code, reason});
  }

  // Not done, and not failed either: the job is being stopped.
  void abandon(const ItemPtr& item) { leave(*item); }

  void done_with(const ItemPtr& item) {
    if (item->range) {
      std::lock_guard lock(item->row->mutex);
      item->range->end(item->ticket);
    }
    leave(*item);
  }

  void leave(Item& item) {
    // The HTTP client's thread may be the last to hold the item: what it held must not outlive the job.
    std::shared_ptr<RowState> row = std::move(item.row);
    release(row);
    row.reset();
    std::lock_guard lock(mutex_);
    if (--in_flight_ == 0) {
      idle_.notify_all();
      wake_.notify_all();
    }
  }

  void release(const std::shared_ptr<RowState>& row) {
    if (--row->open > 0) return;
    Task task;
    task.kind = Task::Kind::kFinish;
    task.row = row;
    post(std::move(task));
  }

  // --- the end of a row -------------------------------------------------------------------------------

  void end_row(const std::shared_ptr<RowState>& state) {
    if (stopping_) return forget(state, false);
    if (state->broken.empty() && !state->single && state->from.is_s3() && !state->from.prefix.empty() &&
        state->source_listed == 0 && state->vanished == 0 && !state->went_on)
      break_row(*state, base::NotFoundError("there is nothing below " + state->from.url(""), "NoSuchPrefix"));
    uint64_t extra = state->extra.count();
    if (extra > 0) {
      if (auto why = not_to_be_deleted(*state, extra); !why.second.empty()) {
        std::lock_guard lock(state->mutex);
        if (state->broken.empty()) {
          state->broken = why.second;
          state->broken_code = why.first;
        }
      } else {
        try {
          remove_extra(*state);
        } catch (const base::Error& error) {
          if (is_interrupted(error)) return forget(state, false);
          break_row(*state, error);
        }
      }
    }
    bool broken = !state->broken.empty();
    if (broken) result_.item_failed(name_of(state->row), state->broken, state->broken_code);
    bool failed = broken || state->failed > 0;
    ++(failed ? rows_failed_ : rows_done_);
    if (report_) {
      std::string totals = std::to_string(state->copied) + " copied, " + std::to_string(state->skipped) +
                           " skipped, " + std::to_string(state->deleted) + " deleted, " +
                           std::to_string(state->failed) + " failed";
      if (broken) totals += "; " + state->broken;
      report_->write({state->row.line,
                      failed ? "row-failed" : "row-done",
                      shown(state->row.from),
                      shown(state->row.to),
                      state->bytes,
                      {},
                      {},
                      {},
                      state->broken_code,
                      totals});
    }
    forget(state, !failed);
  }

  // Why nothing is deleted: a code and a text; empty: it may be.
  std::pair<std::string, std::string> not_to_be_deleted(const RowState& state, uint64_t extra) const {
    std::string many = std::to_string(extra) + " objects only the destination has were not deleted: ";
    if (!state.broken.empty()) return {"NotDeleted", many + state.broken};
    if (state.failed > 0) return {"NotDeleted", many + "not everything was copied"};
    if (state.source_objects == 0 && !options_.allow_empty_source)
      return {"EmptySource", many + "there is nothing at the source (--allow-empty-source)"};
    if (!options_.max_delete.allows(extra, state.destination_objects))
      return {"TooManyDeletes",
              many + "more than --max-delete allows, of " + std::to_string(state.destination_objects)};
    return {};
  }

  void remove_extra(RowState& state) {
    std::vector<std::string> keys;
    auto remove = [&] {
      if (options_.dry_run) {
        for (const std::string& key : keys) {
          ++planned_deletes_;
          write(state, "delete", "", key, 0, {}, "", "only the destination has it");
        }
      } else {
        std::set<std::string> failed = remove_keys(state, keys);
        for (const std::string& key : keys) {
          if (failed.contains(key)) continue;
          ++deleted_;
          ++state.deleted;
          write(state, "deleted", "", key, 0, {}, "", "only the destination had it");
        }
      }
      keys.clear();
    };
    state.extra.for_each([&](std::string key) {
      keys.push_back(std::move(key));
      if (keys.size() < kDeleteBatch) return;
      limiter_->spend(0);
      remove();
    });
    if (!keys.empty()) remove();
  }

  // Those that are still there.
  std::set<std::string> remove_keys(RowState& state, const std::vector<std::string>& keys) {
    std::set<std::string> left;
    auto failed = [&](const std::string& key, const std::string& code, const std::string& why) {
      left.insert(key);
      ++failed_;
      ++state.failed;
      result_.item_failed(state.to.url(key), "not deleted: " + why, code);
      if (report_)
        report_->write(
            {state.row.line, "failed", "", state.to.url(key), 0, {}, {}, {}, code, "not deleted: " + why});
    };
    if (state.to.is_s3()) {
      std::vector<std::string> whole;
      for (const std::string& key : keys) whole.push_back(state.to.key(key));
      for (const objects::RemoveFailure& failure : state.to.client->remove_all(whole))
        failed(failure.key.substr(std::min(failure.key.size(), state.to.prefix.size())), failure.code,
               failure.message);
    } else {
      for (const std::string& key : keys) {
        try {
          state.to.folder->remove(key);
        } catch (const base::Error& error) {
          failed(key, kind_name(error.kind()), error.what());
        }
      }
    }
    return left;
  }

  void forget(const std::shared_ptr<RowState>& state, bool done) {
    std::lock_guard lock(mutex_);
    if (done) {
      done_[state->index] = true;
      before_.erase(state->index);
    } else if (auto left = left_of(*state)) {
      before_[state->index] = std::move(*left);
    }
    active_.erase(state);
    wake_.notify_all();
  }

  // --- the end of the job -----------------------------------------------------------------------------

  void finish() {
    sites_.sync_folders();
    if (report_) report_->finish();
    if (stopping_) {
      save_journal();
      throw base::TransientError(journal_ ? "interrupted: what was copied is kept, --resume goes on"
                                          : "interrupted: what was copied is kept");
    }
    if (!journal_) return;
    if (rows_failed_ == 0 && bad_rows_ == 0 && failed_ == 0)
      journal_->remove();
    else
      save_journal();
  }

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
  std::string fingerprint_;

  std::vector<Row> rows_;
  std::vector<std::pair<uint64_t, std::string>> bad_;
  int64_t bad_rows_ = 0;
  std::map<size_t, std::string> refused_;
  bool shard_keys_ = false;
  SlowQueue slow_;
  ReadyQueue ready_;

  std::atomic<uint64_t> rows_done_{0}, rows_failed_{0}, rows_resumed_{0}, rows_elsewhere_{0};
  std::atomic<uint64_t> copied_{0}, bytes_copied_{0}, skipped_{0}, vanished_{0}, deleted_{0}, failed_{0};
  std::atomic<uint64_t> planned_copies_{0}, planned_deletes_{0}, objects_planned_{0}, bytes_planned_{0};

  std::mutex mutex_;  // of all below; taken before that of a row
  std::condition_variable wake_, idle_;
  std::deque<Task> tasks_;
  std::vector<bool> done_;
  std::map<size_t, RowLeft> before_;  // of rows that are neither done nor active
  std::set<std::shared_ptr<RowState>> active_;
  size_t next_row_ = 0;
  unsigned comparing_ = 0, idle_planners_ = 0;
  uint64_t in_flight_ = 0;  // objects
  bool ended_ = false;
  std::exception_ptr fatal_;
};

}  // namespace

void run_copy(const JobOptions& options, const base::Clock& clock, JobResult& result) {
  // Many threads that allocate little: an arena each would cost more memory than all they hold.
  mallopt(M_ARENA_MAX, 2);
  auto text = [](const std::string& bytes) { return base::json::string(workloads::storage_text(bytes)); };
  if (options.manifest.empty()) {
    result.detail("source", text(options.source));
    result.detail("destination", text(options.destination));
  } else {
    result.detail("manifest", text(options.manifest));
  }
  if (!options.shard.whole())
    result.detail("shard", {{"index", options.shard.index}, {"count", options.shard.count}});
  if (options.dry_run) result.detail("dry_run", true);
  CopyJob job(options, clock, result);
  try {
    job.run();
  } catch (...) {
    job.report_counts();
    throw;
  }
  job.report_counts();
}

}  // namespace millrace::copy
