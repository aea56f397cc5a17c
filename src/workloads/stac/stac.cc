#include "workloads/stac/stac.h"

#include <fmt/format.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "objects/new_object.h"
#include "workloads/stac/cmr.h"
#include "workloads/stac/geoparquet.h"
#include "workloads/stac/item.h"
#include "workloads/stac/places.h"
#include "workloads/stac/scope.h"
#include "workloads/stac/source_collections.h"
#include "workloads/stac/stac_job.h"
#include "workloads/stac/work_folder.h"

namespace millrace::stac {
namespace {

constexpr const char* kExistingChunk = "existing";

// Tells on_progress twice a second, from a thread of its own.
class ProgressTeller {
 public:
  explicit ProgressTeller(const StacJob& job) {
    if (!job.options.on_progress) return;
    thread_ = std::thread([this, &job] {
      std::unique_lock lock(mutex_);
      while (!wake_.wait_for(lock, std::chrono::milliseconds(500), [&] { return ended_; }))
        job.options.on_progress(job.progress());
    });
  }
  ~ProgressTeller() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  ProgressTeller(const ProgressTeller&) = delete;
  ProgressTeller& operator=(const ProgressTeller&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

// Of a collection, whose name is whatever its source says: different ones are in different folders, all of
// them below the destination.
std::string folder_name(const std::string& collection) {
  std::string name = base::replace_all(base::replace_all(collection, "%", "%25"), "/", "%2F");
  if (name == "." || name == "..") name = base::replace_all(name, ".", "%2E");
  return name;
}

objects::Location file_of(const JobOptions& options, const Month& month, const std::string& collection) {
  std::string name = fmt::format("year={:04}/month={:02}/data.parquet", month.year, month.month);
  if (options.layout == Layout::kCollectionMonth) name = folder_name(collection) + "/" + name;
  return below(objects::parse_location(options.destination), name);
}

struct MonthFile {
  objects::Location file;
  std::string collection;  // the only one in it; empty: those of the month
};

// The files of a month whose names are known before it is read: none when they come from the items.
std::vector<MonthFile> files_of(const JobOptions& options, const Month& month) {
  if (options.layout == Layout::kMonth) return {{file_of(options, month, ""), ""}};
  std::vector<MonthFile> files;
  for (const std::string& collection : options.collections) {
    const std::string name =
        options.source == SourceKind::kCmr ? cmr_collection(collection).name : collection;
    files.push_back({file_of(options, month, name), name});
  }
  return files;
}

std::vector<std::string> names_in(const ItemStore& items) {
  std::vector<bool> used(items.collections().size());
  for (const ItemRecord& record : items.records()) used[record.collection] = true;
  std::vector<std::string> names;
  for (size_t i = 0; i < used.size(); ++i)
    if (used[i]) names.push_back(items.collections()[i]);
  return names;
}

class StacRun {
 public:
  explicit StacRun(StacJob& job) : job_(job), options_(job.options), source_collections_(job) {}

  void run_month(const Month& month) {
    job_.set_phase(month.text() + ": items");
    if (options_.skip_existing && !job_.is_recent(month.days().back()) && all_there(month)) return;
    WorkFolder work(options_.work.empty() ? default_work() : options_.work, identity(month.text()));
    ItemSpool spool(work.path() + "/spool");
    job_.checkpoint.reset();
    if (!options_.checkpoint.empty()) job_.checkpoint.emplace(options_.checkpoint, identity(month.text()));
    Existing existing = existing_items(spool, month);
    Gathered gathered = options_.source == SourceKind::kCmr ? gather_granules(job_, spool, month, existing)
                                                            : gather_api_items(job_, spool, month);
    if (options_.merge && gathered.failed_days == 0) count_not_listed(spool, existing, gathered);
    if (!existing.chunk.empty()) gathered.chunks.insert(gathered.chunks.begin(), existing.chunk);
    if (publish(work, spool, gathered, month.text()) && gathered.missing == 0 && !options_.keep_work) {
      if (job_.checkpoint) job_.checkpoint->remove(gathered.chunks);
      work.remove();
    }
  }

  void run_files() {
    job_.set_phase("items");
    std::string months;
    for (const Month& month : options_.months) months += " " + month.text();
    WorkFolder work(options_.work.empty() ? default_work() : options_.work, identity("files" + months));
    ItemSpool spool(work.path() + "/spool");
    Gathered gathered = gather_files(job_, spool, work.path());
    if (publish(work, spool, gathered, options_.input) && gathered.missing == 0 && !options_.keep_work)
      work.remove();
  }

  void report_files() {
    if (!files_.empty()) job_.result.detail("files", std::move(files_));
  }

 private:
  // What a file is asked to hold: all that the run asks for, or one collection of it.
  Scope scope_of(const std::string& collection) const {
    Scope scope{.collections = {}, .box = options_.box ? options_.box->text : ""};
    if (!collection.empty()) {
      scope.collections = {collection};
    } else {
      for (const std::string& name : options_.collections)
        scope.collections.push_back(options_.source == SourceKind::kCmr ? cmr_collection(name).name : name);
    }
    return scope;
  }

  // True when the month has all its files already, so that nothing is to be done. One that was made of
  // something else is named as a failure: it is neither what was asked for, nor to be replaced.
  bool all_there(const Month& month) {
    const auto files = files_of(options_, month);
    for (const auto& [file, collection] : files)
      if (!find_object(file)) return false;
    if (files.empty()) return false;
    bool good = true;
    for (const auto& [file, collection] : files) {
      const Scope asked = scope_of(collection);
      try {
        const auto made = scopes_of(file);
        if (!made || cover(*made, asked)) continue;
        std::vector<std::string> texts;
        for (const Scope& scope : *made) texts.push_back(scope.text());
        job_.result.item_failed(shown(file),
                                "it is there, but was made of " + base::join(texts, "; ") + " instead of " +
                                    asked.text() + ": --skip-existing leaves it, --merge adds to it",
                                "MadeOfOther");
      } catch (const base::CorruptError& error) {
        job_.result.item_failed(shown(file), error.what(), "NoParquet");
      }
      good = false;
    }
    job_.result.count(good ? "months_skipped" : "months_refused");
    return true;
  }

  // All that decides which items there are: a run that differs in it must not find those of another.
  std::string identity(const std::string& what) const {
    return fmt::format(
        "{}\nrecords 2\nsource {}\ninput {}\ncollections {}\nbox {}\nprotocol {}\ndestination {}\nmerge {}\n",
        what, static_cast<int>(options_.source), options_.input, base::join(options_.collections, ","),
        options_.box ? options_.box->text : "", options_.protocol, options_.destination, options_.merge);
  }

  // With --merge: what the files of the month hold already, as a chunk.
  Existing existing_items(ItemSpool& spool, const Month& month) {
    Existing out;
    before_.clear();
    scopes_before_.clear();
    if (!options_.merge) return out;
    spool.remove(kExistingChunk);
    ItemChunk chunk = spool.begin(kExistingChunk);
    ItemChecker checker;
    for (const auto& [file, collection] : files_of(options_, month)) {
      std::optional<objects::ObjectInfo> info = find_object(file);
      before_[shown(file)] = info;
      if (!info) continue;
      scopes_before_[shown(file)] = scopes_of(file);
      out.chunk = kExistingChunk;
      int64_t written_us = info->last_modified * 1000;
      out.written_us = out.written_us == kNoTime ? written_us : std::min(out.written_us, written_us);
      read_items(file, [&](std::string_view text) {
        job_.check_stop();
        const CheckedItem& item = checker.check(text);
        chunk.add(item, month.number());
        out.identities.push_back(item.record.identity);
      });
    }
    chunk.finish();
    std::sort(out.identities.begin(), out.identities.end());
    job_.result.count("items_in_file_before", static_cast<int64_t>(out.identities.size()));
    return out;
  }

  // Rows that a merge keeps although this search did not list them: what the catalogue has taken back, and
  // what was not asked for (another box, other collections).
  void count_not_listed(const ItemSpool& spool, const Existing& existing, Gathered& gathered) {
    std::vector<uint64_t> listed = std::move(gathered.listed);
    for (const std::string& chunk : gathered.chunks)
      for (const ItemRecord& record : spool.records_of(chunk)) listed.push_back(record.identity);
    std::sort(listed.begin(), listed.end());
    auto kept = std::count_if(existing.identities.begin(), existing.identities.end(), [&](uint64_t identity) {
      return !std::binary_search(listed.begin(), listed.end(), identity);
    });
    job_.result.count("kept_not_listed", kept);
  }

  // False when what there is was not made a file, because too much is missing.
  bool publish(const WorkFolder& work, const ItemSpool& spool, const Gathered& gathered,
               const std::string& what) {
    if (gathered.failed_days > 0 || gathered.missing > options_.allow_missing) {
      std::string why = gathered.failed_days > 0
                            ? fmt::format("{} of its days or files could not be read", gathered.failed_days)
                            : fmt::format("{} of its items are missing, {} are allowed", gathered.missing,
                                          options_.allow_missing);
      job_.result.item_failed(what,
                              "not published: " + why +
                                  "; what was there stays, what was fetched is kept in " + work.path() +
                                  " for the next run",
                              "Incomplete");
      job_.result.count("files_not_published");
      return false;
    }
    job_.set_phase(what + ": sorting");
    SealReport sealed;
    std::vector<ItemSpool::Part> parts =
        spool.seal(gathered.chunks, options_.layout == Layout::kCollectionMonth, sealed);
    job_.result.count("items", static_cast<int64_t>(sealed.items - sealed.duplicates));
    job_.result.count("duplicates", static_cast<int64_t>(sealed.duplicates));
    for (const ItemSpool::Part& part : parts) write_part(work, part, gathered.missing);
    return true;
  }

  void write_part(const WorkFolder& work, const ItemSpool::Part& part, uint64_t missing) {
    job_.check_stop();
    const Month month = month_of_number(part.month);
    const objects::Location file = file_of(options_, month, part.collection);
    job_.set_phase(month.text() + ": writing " + shown(file));
    make_folders_of(file);
    objects::NewObject out(file, "application/vnd.apache.parquet");
    GeoParquetOptions writer;
    writer.temporary_folder = work.path();
    writer.threads = options_.threads;
    writer.collections = source_collections_.of(names_in(part.items));
    if (options_.source != SourceKind::kFiles) writer.scopes = scopes_with(file, scope_of(part.collection));
    WriteReport report = write_geoparquet(part.items, writer, out);
    if (report.rows != part.items.size())
      throw base::InternalError(fmt::format("{}: {} rows were written of {} items; it is not published",
                                            shown(file), report.rows, part.items.size()));
    publish_file(out, file);
    job_.result.count("files");
    job_.result.count("rows", static_cast<int64_t>(report.rows));
    base::json::object told;
    told["file"] = shown(file);
    told["month"] = month.text();
    if (!part.collection.empty()) told["collection"] = part.collection;
    told["rows"] = report.rows;
    told["row_groups"] = report.row_groups;
    told["bytes"] = report.bytes;
    if (missing > 0) told["missing"] = missing;
    files_.push_back(std::move(told));
  }

  // Those of the file that a merge adds to, and `asked`. None when that one does not say what it was made of:
  // neither can what is made of it.
  std::vector<Scope> scopes_with(const objects::Location& file, const Scope& asked) {
    std::vector<Scope> scopes;
    if (const auto before = scopes_before_.find(shown(file)); before != scopes_before_.end()) {
      if (!before->second) return {};
      scopes = *before->second;
    }
    std::erase_if(scopes, [&](const Scope& scope) { return asked.covers(scope); });
    if (!cover(scopes, asked)) scopes.push_back(asked);
    return scopes;
  }

  // A merge replaces only what it has read: what another run wrote meanwhile is not in it.
  void publish_file(objects::NewObject& out, const objects::Location& file) {
    if (!options_.merge) return out.publish();
    try {
      out.publish_over(before_[shown(file)]);
    } catch (const base::ConflictError& error) {
      throw base::ConflictError(
          std::string(error.what()) + "; it stays as it is: merge again, what was fetched is kept",
          error.code());
    }
  }

  StacJob& job_;
  const JobOptions& options_;
  SourceCollections source_collections_;
  // Files of the month that a merge has read, by their shown names.
  std::map<std::string, std::optional<objects::ObjectInfo>> before_;
  std::map<std::string, std::optional<std::vector<Scope>>> scopes_before_;
  base::json::array files_;
};

void check_options(const JobOptions& options) {
  if (options.source == SourceKind::kCmr)
    for (const std::string& name : options.collections) cmr_collection(name);
  if (options.source == SourceKind::kCmr && options.collections.empty())
    throw base::UsageError("--collection: CMR is asked for collections, one by one");
  if (options.source != SourceKind::kFiles && options.months.empty())
    throw base::UsageError("which month? Say --year-month YYYYMM, or --from and --to");
  if (options.source != SourceKind::kCmr && options.input.empty())
    throw base::UsageError("--input: which API, file or prefix?");
  if (options.source != SourceKind::kCmr && (options.links_only || options.require_complete_links))
    throw base::UsageError(
        "only CMR gives links to items: --links-only and --require-complete-links are of no use");
  if ((options.links_only || options.require_complete_links) && options.links.empty())
    throw base::UsageError("--links: where are links kept?");
  if (options.source == SourceKind::kFiles && options.merge)
    throw base::UsageError(
        "--merge needs a source that is asked for months: give the files of before as input, too");
  if (options.source == SourceKind::kFiles && !options.checkpoint.empty())
    throw base::UsageError("--checkpoint is for items that are fetched; files are read again");
  if (!options.checkpoint.empty()) objects::parse_location(options.checkpoint);
  if (options.merge && options.layout == Layout::kCollectionMonth && options.collections.empty())
    throw base::UsageError("--merge with --layout collection-month needs --collection");
  if (!options.links_only) {
    if (options.destination.empty()) throw base::UsageError("--destination: where should the files go?");
    objects::parse_location(options.destination);
  }
  if (options.concurrent_days == 0 || options.concurrent_per_day == 0)
    throw base::UsageError("nothing can be fetched with a concurrency of 0");
}

}  // namespace

void run_stac(const JobOptions& options, const base::Clock& clock, workloads::JobResult& result) {
  check_options(options);
  StacJob job(options, clock, result);
  StacRun run(job);
  // Also of a run that failed: what it cost, and what it did before.
  struct Account {
    StacJob& job;
    StacRun& run;
    ~Account() {
      const HttpTraffic& traffic = job.http.traffic();
      job.result.count("requests", static_cast<int64_t>(traffic.requests.load()));
      job.result.count("retries", static_cast<int64_t>(traffic.retries.load()));
      job.result.count("throttled", static_cast<int64_t>(traffic.throttled.load()));
      run.report_files();
    }
  } account{job, run};
  ProgressTeller teller(job);
  if (options.links_only) {
    job.set_phase("links");
    keep_links(job);
  } else if (options.source == SourceKind::kFiles) {
    run.run_files();
  } else {
    for (const Month& month : options.months) run.run_month(month);
  }
}

}  // namespace millrace::stac
