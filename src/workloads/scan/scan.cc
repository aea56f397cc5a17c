#include "workloads/scan/scan.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "objects/store.h"
#include "workloads/bounded_queue.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/extract.h"
#include "workloads/scan/finish.h"
#include "workloads/scan/scan_result.h"
#include "workloads/scan/scan_source.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

using workloads::JobResult;
using Steady = std::chrono::steady_clock;

constexpr size_t kBatchFiles = 32;             // handed to one worker at a time
constexpr size_t kTransactionFiles = 8192;     // committed together at most
constexpr size_t kTransactionBytes = 8 << 20;  // of rows: they are kept until they are committed
constexpr auto kTransactionTime = std::chrono::milliseconds(500);
constexpr auto kProgressTime = std::chrono::milliseconds(500);
constexpr unsigned kBucketWorkers = 16;  // they wait for the network most of the time
constexpr unsigned kWorkersMax = 256;
constexpr int kWriteAttempts = 6;
constexpr size_t kPostgresPathMax = 2600;  // bytes that fit into PostgreSQL's index for certain

// The first exception of any thread.
class FirstError {
 public:
  void keep(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
  }
  void rethrow() {
    std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

// One scan: the caller's thread lists and compares with the catalogue, workers read, one thread writes.
//   list -> (candidates_) -> workers -> (batches_) -> writer
class Scan {
 public:
  Scan(const ScanOptions& options, const base::Clock& clock, JobResult& result)
      : options_(options),
        clock_(clock),
        result_(result),
        source_(open_source(options.source)),
        range_(paths_below(source_.context.root)),
        reading_(options.dry_run ? open_if_catalog(options.database_url)
                                 : open_catalog(options.database_url)),
        writing_(options.dry_run ? nullptr : open_catalog(options.database_url)),
        writer_(writing_ ? std::make_unique<CatalogWriter>(*writing_) : nullptr),
        known_(reading_.get(), range_),
        candidates_(workers() + 2),
        batches_(2 * workers() + 8) {
    source_.context.hash = options.hash;
    source_.context.media_helper = find_media_helper();
    if (!options.thumbnails.empty()) {
      if (source_.context.media_helper.empty())
        throw base::UsageError(
            "thumbnails are made by millrace-media, which is neither beside this program nor where "
            "MILLRACE_MEDIA "
            "says");
      source_.context.thumbnails = std::filesystem::absolute(options.thumbnails).lexically_normal().string();
    }
    postgresql_ = reading_ && reading_->dialect() == sql::Dialect::kPostgresql;
    auto path = sql::sqlite_path(options.database_url);
    if (path && source_.context.storage == "local") {
      database_path_ = std::filesystem::absolute(*path).lexically_normal().string();
    }
  }

  void run() {
    if (options_.dry_run) return plan();
    ScanContext& context = source_.context;
    context.scan_date = database_time(clock_.now_ms());
    expected_ = last_files_listed(*writing_, context, options_.shard);
    context.scan_id = begin_scan(*writing_, context, options_.shard, {options_.run_id, ""}, clock_.now_ms());
    spdlog::info("scan {} of {} with {} workers", context.scan_id, workloads::printable(context.root),
                 workers());
    const std::string rules = options_.shard.whole() ? options_.sequences.text() : "";
    try {
      walk_and_read();
      if (stopped()) throw base::TransientError("interrupted: what was read is kept, start again to go on");
      if (files_done_ != files_listed_) {
        throw base::Error(base::ErrorKind::kInternal,
                          std::to_string(files_listed_) + " files were listed and " +
                              std::to_string(files_done_) + " written: please report this as a bug");
      }
      if (options_.shard.whole()) finish({context.scan_id}, unlistable_);
    } catch (const base::Error& e) {
      note_end(stopped() ? "interrupted" : "failed", e.what(), "");
      throw;
    }
    if (options_.max_errors.exceeded(errors_, files_listed_)) {
      const std::string error = std::to_string(errors_) + " of " + std::to_string(files_listed_) +
                                " files failed, more than --max-errors " + options_.max_errors.text() +
                                " allows";
      result_.fail(error);
      return note_end("failed", error, rules);
    }
    note_end(errors_ > 0 ? "partial" : "complete", "", rules);
    if (!options_.shard.whole()) finish_round();
  }

  const ScanCounts& counts() const { return counts_; }

 private:
  unsigned workers() const {
    unsigned wanted = options_.workers;
    if (wanted == 0) {
      wanted = source_.context.storage == "local" ? std::max(1U, std::thread::hardware_concurrency())
                                                  : kBucketWorkers;
    }
    return std::min(wanted, kWorkersMax);
  }
  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  // --- listing
  // -------------------------------------------------------------------------------------------------

  void walk_and_read() {
    std::vector<std::thread> readers;
    std::thread writer([this] { guarded([this] { write_all(); }); });
    for (unsigned i = 0; i < workers(); ++i) {
      readers.emplace_back([this] { guarded([this] { read_all(); }); });
    }
    guarded([this] { list_all(); });
    stopped() ? candidates_.abort() : candidates_.close();
    for (std::thread& reader : readers) reader.join();
    batches_.close();
    writer.join();
    error_.rethrow();
  }

  // An error in one thread ends them all.
  template <typename Action>
  void guarded(const Action& action) {
    try {
      action();
    } catch (...) {
      error_.keep(std::current_exception());
      candidates_.abort();
      batches_.close();  // what was read before is still written, unless it is the writer that failed
      failed_ = true;
    }
  }

  void list_all() {
    source_.reader->list_tolerant(
        source_.prefix, [this](const objects::ObjectInfo& object) { return listed(object); },
        [this](const std::string& key, const base::Error& error) { unlistable(key, error); });
    compare();
    hand_over(true);
  }

  bool listed(const objects::ObjectInfo& object) {
    if (stopped() || failed_) return false;
    if (object.key.ends_with('/')) return true;  // what consoles make for a "folder"
    std::string path = source_.context.base + object.key;
    if (!options_.shard.has(path) || is_own_database(path)) return true;
    if (!options_.filters.empty() &&
        !workloads::takes(options_.filters, std::string_view(object.key).substr(source_.prefix.size())))
      return true;
    ++files_listed_;
    bytes_listed_ += static_cast<int64_t>(object.size);
    paths_.push_back(workloads::storage_text(path));
    asked_.push_back({object, 0});
    if (asked_.size() >= KnownFiles::kAskedMax) compare();
    return true;
  }

  // The catalogue below its own tree would be found changed by every scan.
  bool is_own_database(std::string_view path) const {
    const std::string& thumbnails = source_.context.thumbnails;  // below its own tree, likewise
    if (!thumbnails.empty() && path.starts_with(thumbnails) &&
        path.substr(thumbnails.size()).starts_with('/'))
      return true;
    return !database_path_.empty() && path.starts_with(database_path_) &&
           (path.size() == database_path_.size() || path.substr(database_path_.size()).starts_with('-'));
  }

  // Sorts what was listed into what is known and unchanged and what has to be read.
  void compare() {
    std::vector<KnownFiles::File> files = known_.find(paths_);
    auto note = std::make_unique<Batch>();
    for (size_t i = 0; i < asked_.size(); ++i) {
      const KnownFiles::File& file = files[i];
      const objects::ObjectInfo& object = asked_[i].object;
      if (postgresql_ && paths_[i].size() > kPostgresPathMax) {
        note->unstorable.push_back(
            {paths_[i], 0, FileType::kOther, "the path is too long for the database", "PathTooLong"});
        continue;
      }
      asked_[i].id = file.id;
      if (file.id != 0 && file.status != "missing") ++seen_;
      // What was missing and is back was moved or restored with its old time.
      const bool old = options_.since && object.last_modified < *options_.since && file.status != "missing";
      if (old && file.id == 0) {
        ++note->skipped;
        if (options_.dry_run) planned("skip", paths_[i]);
        continue;
      }
      if (!old && (options_.full || !is_unchanged(file, object))) {
        if (options_.dry_run) {
          ++(file.id == 0 ? counts_.files_added : counts_.files_changed);
          planned(file.id == 0 ? "add" : "change", paths_[i]);
          continue;
        }
        chosen_.push_back(std::move(asked_[i]));
        continue;
      }
      note->unchanged.push_back(file.id);
      count_type(file.file_type);
      if (file.status == "broken" || file.status == "partial") {
        note->still_broken.push_back({paths_[i], file.id, FileType::kOther, file.error,
                                      file.status == "broken" ? "Broken" : "Partial"});
      }
    }
    asked_.clear();
    paths_.clear();
    if (options_.dry_run) return count(*note);
    if (!note->unchanged.empty() || !note->unstorable.empty() || note->skipped > 0)
      batches_.push(std::move(note));
    hand_over(false);
  }

  bool is_unchanged(const KnownFiles::File& file, const objects::ObjectInfo& object) const {
    if (options_.hash && !file.has_hash && file.status != "broken") return false;
    if (file.id == 0 || file.status == "missing" || file.reader_version != kReaderVersion) return false;
    if (static_cast<uint64_t>(file.size) != object.size) return false;
    if (!object.etag.empty()) return file.etag == object.etag;
    return object.mtime_ns != 0 && file.mtime_ns == object.mtime_ns;
  }

  void hand_over(bool all) {
    size_t done = 0;
    while (chosen_.size() - done >= kBatchFiles || (all && done < chosen_.size())) {
      size_t count = std::min(kBatchFiles, chosen_.size() - done);
      auto first = chosen_.begin() + static_cast<std::ptrdiff_t>(done);
      std::vector<Candidate> part(std::make_move_iterator(first),
                                  std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count)));
      done += count;
      if (!candidates_.push(std::move(part))) break;
    }
    chosen_.erase(chosen_.begin(), chosen_.begin() + static_cast<std::ptrdiff_t>(done));
  }

  void unlistable(const std::string& key, const base::Error& error) {
    std::string path = source_.context.base + key;
    if (unlistable_.size() <= kUnlistableMax) unlistable_.push_back(workloads::storage_text(path));
    if (options_.shard.has(path)) {
      keep_problem(path, error.what(), "Unlistable");
      name_failed(path, error.what(), "Unlistable");
    }
  }

  // --- reading
  // -------------------------------------------------------------------------------------------------

  void read_all() {
    Extractor extractor(*source_.reader, source_.context);
    while (auto candidates = candidates_.pop()) {
      auto batch = std::make_unique<Batch>();
      for (const Candidate& candidate : *candidates) {
        if (stopped()) break;
        extractor.extract(candidate, *batch);
      }
      if (!batches_.push(std::move(batch))) return;
    }
  }

  // --- writing
  // -------------------------------------------------------------------------------------------------

  using Group = std::vector<std::unique_ptr<Batch>>;

  void write_all() {
    Group group;
    size_t files = 0, bytes = 0;
    auto due = Steady::now() + kTransactionTime;
    // What was taken and is not committed counts: the queue may be closed right after its last batch was
    // taken.
    while (!group.empty() || !batches_.finished()) {
      auto batch = batches_.pop_until(std::min(due, progress_due_));
      if (batch) {
        files += (*batch)->outcomes.size() + (*batch)->unchanged.size() + (*batch)->unstorable.size();
        bytes += (*batch)->row_bytes();
        group.push_back(std::move(*batch));
      }
      const bool full = files >= kTransactionFiles || bytes >= kTransactionBytes;
      if (!group.empty() && (full || Steady::now() >= due || batches_.finished())) {
        commit(group);
        group.clear();
        files = bytes = 0;
      }
      if (group.empty()) due = Steady::now() + kTransactionTime;
      show_progress();
    }
  }

  void commit(const Group& group) {
    for (int attempt = 1;; ++attempt) {
      try {
        sql::Transaction transaction(*writing_);
        for (const auto& batch : group) store(*batch);
        transaction.commit();
        break;
      } catch (const base::TransientError& e) {
        if (attempt >= kWriteAttempts || e.code() == "DiskFull") throw;
        spdlog::warn("{}; trying again", e.what());
        std::this_thread::sleep_for(std::chrono::milliseconds(50) * (1 << attempt));
        reopen();
      } catch (const base::Error& e) {
        if (e.kind() == base::ErrorKind::kCorrupt) throw;
        return commit_one_by_one(group);
      }
    }
    for (const auto& batch : group) count(*batch);
  }

  void store(const Batch& batch) {
    writer_->store(batch, 0, batch.outcomes.size());
    writer_->mark_seen(batch.unchanged, source_.context.scan_id);
  }

  // Something in the group cannot be stored: find out which file it is, and keep the rest.
  void commit_one_by_one(const Group& group) {
    for (const auto& batch : group) {
      try {
        sql::Transaction transaction(*writing_);
        store(*batch);
        transaction.commit();
      } catch (const base::TransientError&) {
        throw;
      } catch (const base::Error&) {
        commit_file_by_file(*batch);
      }
      count(*batch);
    }
  }

  void commit_file_by_file(Batch& batch) {
    for (size_t i = 0; i < batch.outcomes.size(); ++i) {
      try {
        sql::Transaction transaction(*writing_);
        writer_->store(batch, i, i + 1);
        transaction.commit();
      } catch (const base::TransientError&) {
        throw;
      } catch (const base::Error& e) {
        batch.outcomes[i].error = std::string("cannot be stored: ") + e.what();
        batch.outcomes[i].code = "Database";
        keep_problem(batch.outcomes[i].path, batch.outcomes[i].error, "Database");
      }
    }
    sql::Transaction transaction(*writing_);
    writer_->mark_seen(batch.unchanged, source_.context.scan_id);
    transaction.commit();
  }

  // A lost connection is replaced; a busy SQLite file needs no new one.
  void reopen() {
    if (writing_->dialect() == sql::Dialect::kSqlite) return;
    auto fresh = open_catalog(options_.database_url);
    writer_ = std::make_unique<CatalogWriter>(
        *fresh);  // before its connection goes: it owns statements of the old one
    writing_ = std::move(fresh);
  }

  void count(const Batch& batch) {
    for (const FileOutcome& file : batch.outcomes) {
      ++(file.id == 0 ? counts_.files_added : counts_.files_changed);
      count_type(file_type_name(file.type));
      if (!file.error.empty()) name_failed(file.path, file.error, file.code);
    }
    for (const FileOutcome& file : batch.still_broken) name_failed(file.path, file.error, file.code);
    for (const FileOutcome& file : batch.unstorable) {
      keep_problem(file.path, file.error, file.code);
      name_failed(file.path, file.error, file.code);
    }
    counts_.files_skipped += static_cast<int64_t>(batch.skipped);
    counts_.files_unchanged += static_cast<int64_t>(batch.unchanged.size());
    counts_.bytes_read += static_cast<int64_t>(batch.bytes_read);
    counts_.requests += static_cast<int64_t>(batch.requests);
    files_done_ += static_cast<int64_t>(batch.outcomes.size() + batch.unchanged.size() +
                                        batch.unstorable.size() + batch.skipped + batch.gone);
  }

  void count_type(std::string_view type) {
    ++(type == "image" ? images_ : type == "video" ? videos_ : type == "blend" ? blend_files_ : other_files_);
  }

  void name_failed(std::string_view path, std::string_view error, std::string_view code) {
    ++errors_;
    spdlog::warn("{}: {}", workloads::printable(path), workloads::printable(error));
    result_.item_failed(path, error, code);
  }

  // What failed and has no row in `files`.
  void keep_problem(std::string_view path, std::string_view error, std::string_view code) {
    std::lock_guard lock(problems_mutex_);
    if (problems_.size() <= 2 * kUnlistableMax)
      problems_.push_back({std::string(path), 0, FileType::kOther, std::string(error), std::string(code)});
  }

  void show_progress() {
    if (Steady::now() < progress_due_) return;
    progress_due_ = Steady::now() + kProgressTime;
    if (!options_.on_progress) return;
    options_.on_progress({files_listed_, files_done_, bytes_listed_, errors_, expected_});
  }

  // --- after the walk
  // ------------------------------------------------------------------------------------------

  void finish(const std::vector<int64_t>& scan_ids, const std::vector<std::string>& unlistable) {
    FinishOptions finishing;
    finishing.scan_ids = scan_ids;
    finishing.unlistable = unlistable;
    finishing.filters = options_.filters;
    finishing.sequences = options_.sequences;
    finishing.anything_new = !options_.shard.whole() || counts_.files_added > 0 || counts_.files_changed > 0;
    finishing.stop = options_.stop;
    FinishCounts done = finish_tree(*writing_, *source_.reader, source_.context, range_, finishing);
    counts_.files_missing += done.files_missing;
    counts_.files_renamed += done.files_renamed;
    counts_.files_added -= done.files_renamed;
    counts_.sequences = done.sequences;
  }

  // The last shard does what needs all of them.
  void finish_round() {
    const FinishCounts done = finish_shards(options_, clock_, *writing_, source_, range_);
    counts_.files_missing += done.files_missing;
    counts_.files_renamed += done.files_renamed;
    counts_.sequences += done.sequences;
    counts_.ended_all_shards = done.of_all_shards;
  }

  // A dry run: what would be read, and how many files would be called vanished.
  void plan() {
    list_all();
    int64_t known = 0;
    if (reading_) {
      auto query = reading_->prepare(
          "SELECT file_path FROM files WHERE file_path>$1 AND file_path<$2 AND status<>'missing' ORDER BY "
          "file_path LIMIT 5000");
      std::string after = range_.first;
      for (bool more = true; more && !stopped();) {
        query->bind(1, after).bind(2, range_.end);
        more = false;
        while (query->step()) {
          more = true;
          after = query->text(0);
          std::string bytes = workloads::storage_bytes(after);
          if (options_.shard.has(bytes) &&
              workloads::takes(options_.filters, std::string_view(bytes).substr(source_.context.root.size())))
            ++known;
        }
      }
    }
    if (stopped()) throw base::TransientError("interrupted");
    counts_.files_missing = std::max<int64_t>(known - seen_, 0);
    fill_counts();
  }

  void planned(std::string_view action, std::string_view path) {
    if (options_.on_plan) options_.on_plan(action, path);
  }

  void fill_counts() {
    counts_.files_listed = files_listed_;
    counts_.bytes_listed = bytes_listed_;
    counts_.images = images_;
    counts_.videos = videos_;
    counts_.blend_files = blend_files_;
    counts_.other_files = other_files_;
    counts_.errors = errors_;
  }

  void note_end(const std::string& status, const std::string& error, const std::string& rules) {
    fill_counts();
    try {
      sql::Transaction transaction(*writing_);
      for (const FileOutcome& problem : problems_)
        add_scan_problem(*writing_, source_.context.scan_id, problem.path, problem.code, problem.error);
      finish_scan(*writing_, source_.context.scan_id, counts_, status, error, rules, clock_.now_ms());
      transaction.commit();
    } catch (const base::Error& e) {
      if (error.empty()) throw;
      spdlog::warn("the end of the scan could not be noted: {}",
                   e.what());  // the first error is the one to report
    }
  }

  const ScanOptions& options_;
  const base::Clock& clock_;
  JobResult& result_;
  OpenedSource source_;
  PathRange range_;
  bool postgresql_ = false;
  std::string database_path_;                 // of a SQLite catalogue
  std::unique_ptr<sql::Connection> reading_;  // of the listing thread
  std::unique_ptr<sql::Connection> writing_;  // of the writer, and of the caller before and after it
  std::unique_ptr<CatalogWriter> writer_;
  KnownFiles known_;
  workloads::BoundedQueue<std::vector<Candidate>> candidates_;
  workloads::BoundedQueue<std::unique_ptr<Batch>> batches_;
  FirstError error_;
  std::atomic<bool> failed_ = false;
  ScanCounts counts_;  // of the writer; the atomics below are of several threads
  std::atomic<int64_t> files_listed_ = 0, bytes_listed_ = 0, files_done_ = 0, errors_ = 0;
  std::atomic<int64_t> images_ = 0, videos_ = 0, blend_files_ = 0, other_files_ = 0;
  int64_t expected_ = 0;
  Steady::time_point progress_due_ = Steady::now();

  // Of the listing thread.
  std::vector<Candidate> asked_;
  std::vector<std::string> paths_;  // of asked_, as in the database
  std::vector<Candidate> chosen_;
  std::vector<std::string> unlistable_;  // one more than the limit says that there were too many
  int64_t seen_ = 0;                     // of a dry run: known files that are there
  std::mutex problems_mutex_;
  std::vector<FileOutcome> problems_;
};

}  // namespace

ScanCounts run_scan(const ScanOptions& options, const base::Clock& clock, JobResult& result) {
  add_details(options, result);
  Scan scan(options, clock, result);
  try {
    scan.run();
  } catch (...) {
    report(scan.counts(), options.dry_run, result);
    throw;
  }
  report(scan.counts(), options.dry_run, result);
  return scan.counts();
}

}  // namespace millrace::scan
