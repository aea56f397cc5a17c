#include "workloads/copy/copy.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "workloads/copy/copy_job.h"
#include "workloads/copy/overlap.h"
#include "workloads/text.h"

namespace millrace::copy {
namespace {

constexpr unsigned kRowsPerShard = 4;  // with fewer rows the keys of each row are shared out
// In more ranges than there are shards: they are not equally large.
constexpr size_t kRangesPerShard = 8, kRangesMax = 1024;
constexpr unsigned kKeysWorthCutting = 1000;

}  // namespace

CopyJob::CopyJob(const JobOptions& options, const base::Clock& clock, JobResult& result)
    : options_(options),
      clock_(clock),
      result_(result),
      limiter_(std::make_shared<Limiter>(options.limits, &stopping_)),
      sites_(options.from, options.to,
             {traffic_, limiter_, options.limits.concurrency, options.multipart_threshold}),
      pool_(options.listings + 2),
      uploads_([this] { save_uploads(); }, clock, stopping_) {
  limiter_->set_on_room([this] { begin_ready(); });
}

void CopyJob::run() {
  read_rows();
  choose_rows();
  if (!options_.allow_overlap) refuse_overlaps();
  open_outputs();
  resume();
  work();
  finish();
  judge();
}

void CopyJob::judge() {
  if (rows_failed_ + static_cast<uint64_t>(bad_rows_) == 0 || rows_done_ + rows_resumed_ > 0) return;
  if (copied_ + skipped_ + deleted_ + vanished_ + planned_copies_ + planned_deletes_ > 0) return;
  result_.fail(rows_.size() + bad_.size() == 1 ? "the row could not be done" : "no row could be done");
}

void CopyJob::report_counts() {
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

void CopyJob::read_rows() {
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
  digest.update(std::to_string(static_cast<int>(options_.compare)) + (options_.markers ? "m" : ""));
  list_fingerprint_ = base::hex(digest.finish()).substr(0, 32);
  fingerprint_ = base::sha256_hex(list_fingerprint_ + "/" + std::to_string(options_.shard.index) + "/" +
                                  std::to_string(options_.shard.count))
                     .substr(0, 32);
}

void CopyJob::choose_rows() {
  done_.assign(rows_.size(), false);
  if (options_.shard.whole()) return;
  if (!options_.share.empty()) return share_rows();
  shard_keys_ = rows_.size() < static_cast<size_t>(options_.shard.count) * kRowsPerShard;
  for (size_t i = 0; i < rows_.size(); ++i)
    if (!shares_keys(rows_[i]) && i % options_.shard.count != options_.shard.index) not_mine(i);
}

void CopyJob::share_rows() {
  SharedPlace place(options_.share);
  auto plan = place.plan();
  if (!plan) {
    plan = ShardPlan{list_fingerprint_, options_.shard.count, rows_.size() + bad_.size(), {}};
    if (rows_.size() < static_cast<size_t>(options_.shard.count) * kRowsPerShard) {
      size_t wanted = std::clamp<size_t>(
          options_.shard.count * kRangesPerShard / std::max<size_t>(1, rows_.size()), 2, kRangesMax);
      for (size_t i = 0; i < rows_.size(); ++i)
        if (auto cuts = cuts_of(rows_[i], wanted); !cuts.empty()) plan->cuts[i] = std::move(cuts);
    }
    plan = place.agree(*plan);
  }
  if (plan->fingerprint != list_fingerprint_ || plan->shards != options_.shard.count)
    throw base::UsageError("the plan at " + options_.share +
                           " is of another list, of other options or of another number of shards");
  cuts_ = std::move(plan->cuts);
  for (size_t i = 0; i < rows_.size(); ++i)
    if (!cuts_.contains(i) && i % options_.shard.count != options_.shard.index) not_mine(i);
}

std::vector<std::string> CopyJob::cuts_of(const Row& row, size_t ranges_max) {
  if (!row.from.is_s3 || row.options.remove_extra) return {};
  try {
    RowState state(row, 0);
    open_sites(state);
    if (state.single) return {};
    auto page = [&](const std::string& start_after, unsigned keys_max) {
      std::string from = start_after.empty() ? "" : state.from.key(start_after);
      return state.from.client->list_page({.prefix = state.from.prefix,
                                           .delimiter = {},
                                           .start_after = from,
                                           .token = {},
                                           .keys_max = keys_max});
    };
    if (page("", kKeysWorthCutting).next.empty()) return {};
    return cut_keys(
        [&](const std::string& start_after) -> std::optional<std::string> {
          objects::ListedPage found = page(start_after, 1);
          if (found.objects.empty()) return std::nullopt;
          return found.objects[0].key.substr(state.from.prefix.size());
        },
        ranges_max);
  } catch (const base::Error& error) {
    if (is_interrupted(error)) throw;
    return {};  // it is told when it is that row's turn
  }
}

void CopyJob::not_mine(size_t row) {
  done_[row] = true;
  ++rows_elsewhere_;
}

void CopyJob::refuse_overlaps() {
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

bool CopyJob::is_single(const Row& row) {
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

void CopyJob::open_outputs() {
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

void CopyJob::resume() {
  if (!journal_) return;
  if (auto state = journal_->load()) {
    bool same = state->fingerprint == fingerprint_;
    if (!same && options_.resume)
      throw base::UsageError("the journal " + journal_->location() +
                             " is of another list or of other options: remove it to begin anew");
    if (!same && !state->uploads.empty())
      throw base::UsageError(
          "the journal " + journal_->location() + " is of another list, and knows " +
          std::to_string(state->uploads.size()) +
          " uploads that a run has not finished: --resume that run, or remove the journal");
    uploads_.adopt(std::move(state->uploads));
    if (options_.resume) {
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

void CopyJob::save_journal() {
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
  std::lock_guard lock(journal_mutex_);
  state.uploads = uploads_.all();
  journal_->save(state);
  saved_ = std::move(state);
}

// In between, of uploads alone: what else the journal says is what was on the disk when it was last written.
void CopyJob::save_uploads() {
  std::lock_guard lock(journal_mutex_);
  saved_.uploads = uploads_.all();
  journal_->save(saved_);
}

std::optional<RowLeft> CopyJob::left_of(RowState& row) {
  std::lock_guard lock(row.mutex);
  // What the destination has too much is known only when all of it was listed.
  if (row.single || row.row.options.remove_extra || row.restart || !row.broken.empty() || row.ranges.empty())
    return std::nullopt;
  RowLeft left;
  left.failed = row.failed_keys;
  for (const RangeProgress& range : row.ranges)
    if (!range.done()) left.ranges.push_back(range.left());
  return left;
}

void CopyJob::finish() {
  sites_.sync_folders();
  if (!stopping_ && journal_)
    uploads_.abort_rest([&](const std::string& bucket) { return sites_.bucket(false, bucket, "").client; },
                        [&](const OpenUpload& upload, const base::Error& error) {
                          ++failed_;
                          result_.item_failed(
                              "s3://" + upload.bucket + "/" + upload.key,
                              std::string("an upload of an earlier run is still there: ") + error.what(),
                              "UploadLeft");
                        });
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
