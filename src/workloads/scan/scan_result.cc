#include "workloads/scan/scan_result.h"

#include "base/error.h"
#include "base/json.h"
#include "workloads/scan/scan_rounds.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

using workloads::JobResult;

std::vector<int64_t> ids_of(const ShardRound& round) {
  std::vector<int64_t> ids;
  for (const ShardRound::Part& part : round.parts) ids.push_back(part.scan_id);
  return ids;
}

std::vector<std::string> unlistable_of(sql::Connection& connection, const std::vector<int64_t>& scan_ids) {
  std::vector<std::string> paths;
  auto query = connection.prepare("SELECT item FROM scan_problems WHERE scan_id=$1 AND code='Unlistable'");
  for (int64_t id : scan_ids) {
    query->bind(1, id);
    while (query->step())
      if (paths.size() <= kUnlistableMax) paths.emplace_back(query->text(0));
  }
  return paths;
}

// What the scan of one shard counted.
ScanCounts counts_of(sql::Connection& connection, int64_t scan_id) {
  auto query = connection.prepare(
      "SELECT "
      "files_listed,bytes_listed,files_added,files_changed,files_unchanged,files_missing,images,videos,"
      "blend_files,other_files,errors,bytes_read,requests,coalesce(files_renamed,0),coalesce(sequences,0) "
      "FROM scans "
      "WHERE id=$1");
  query->bind(1, scan_id);
  ScanCounts counts;
  if (!query->step()) return counts;
  int column = 0;
  for (int64_t* count :
       {&counts.files_listed, &counts.bytes_listed, &counts.files_added, &counts.files_changed,
        &counts.files_unchanged, &counts.files_missing, &counts.images, &counts.videos, &counts.blend_files,
        &counts.other_files, &counts.errors, &counts.bytes_read, &counts.requests, &counts.files_renamed,
        &counts.sequences})
    *count = query->int64(column++);
  return counts;
}

void add(ScanCounts& sum, const ScanCounts& more) {
  sum.files_listed += more.files_listed;
  sum.bytes_listed += more.bytes_listed;
  sum.files_added += more.files_added;
  sum.files_changed += more.files_changed;
  sum.files_unchanged += more.files_unchanged;
  sum.files_missing += more.files_missing;
  sum.files_renamed += more.files_renamed;
  sum.images += more.images;
  sum.videos += more.videos;
  sum.blend_files += more.blend_files;
  sum.other_files += more.other_files;
  sum.errors += more.errors;
  sum.bytes_read += more.bytes_read;
  sum.requests += more.requests;
  sum.sequences += more.sequences;
}

// Names what failed, and gives how many there were.
int64_t name_failures(sql::Connection& connection, const std::vector<int64_t>& scan_ids,
                      const std::vector<workloads::FilterRule>& filters, std::string_view root,
                      const PathRange& range, JobResult& result) {
  int64_t named = 0;
  auto problems = connection.prepare("SELECT item,error,code FROM scan_problems WHERE scan_id=$1");
  for (int64_t id : scan_ids) {
    problems->bind(1, id);
    for (; problems->step(); ++named)
      result.item_failed(problems->text(0), problems->text(1), problems->is_null(2) ? "" : problems->text(2));
  }
  auto files = connection.prepare(
      "SELECT file_path,error,status FROM files WHERE file_path>$1 AND file_path<$2 AND status IN "
      "('broken','partial') ORDER BY file_path LIMIT 1000");
  std::string after = range.first;
  for (bool more = true; more;) {
    more = false;
    files->bind(1, after).bind(2, range.end);
    while (files->step()) {
      more = true;
      after = files->text(0);
      if (!filters.empty() &&
          !workloads::takes(filters, std::string_view(workloads::storage_bytes(after)).substr(root.size())))
        continue;  // no shard has looked at it
      ++named;
      result.item_failed(after, files->text(1), files->text(2) == "broken" ? "Broken" : "Partial");
    }
  }
  return named;
}

FinishCounts finish_claimed(const ScanOptions& options, const base::Clock& clock, sql::Connection& connection,
                            OpenedSource& source, const PathRange& range, const ShardRound& round,
                            int64_t merge_id) {
  FinishOptions finishing;
  finishing.scan_ids = ids_of(round);
  finishing.unlistable = unlistable_of(connection, finishing.scan_ids);
  finishing.filters = options.filters;
  finishing.sequences = options.sequences;
  finishing.stop = options.stop;
  FinishCounts done;
  ScanCounts counts;
  try {
    done = finish_tree(connection, *source.reader, source.context, range, finishing);
  } catch (const base::Error& e) {
    finish_scan(connection, merge_id, counts, "failed", e.what(), "", clock.now_ms());
    throw;
  }
  done.of_all_shards = true;
  counts.files_missing = done.files_missing;
  counts.files_renamed = done.files_renamed;
  counts.sequences = done.sequences;
  finish_scan(connection, merge_id, counts, "complete", "", options.sequences.text(), clock.now_ms());
  return done;
}

}  // namespace

bool ErrorLimit::exceeded(int64_t errors, int64_t files) const {
  if (errors == 0) return false;
  if (count) return errors > *count;
  return share && static_cast<double>(errors) > *share * static_cast<double>(files);
}

std::string ErrorLimit::text() const {
  if (count) return std::to_string(*count);
  if (!share) return "";
  std::string percent = std::to_string(*share * 100);
  while (percent.ends_with('0')) percent.pop_back();
  if (percent.ends_with('.')) percent.pop_back();
  return percent + "%";
}

void add_details(const ScanOptions& options, JobResult& result) {
  result.detail("source", base::json::string(workloads::storage_text(options.source)));
  result.detail("database", base::json::string(sql::without_password(options.database_url)));
  if (!options.shard.whole()) {
    result.detail("shard", {{"index", options.shard.index}, {"count", options.shard.count}});
  }
  if (options.dry_run) result.detail("dry_run", true);
}

void report(const ScanCounts& counts, bool dry_run, JobResult& result) {
  result.count("files_listed", counts.files_listed);
  result.count("bytes_listed", counts.bytes_listed);
  result.count(dry_run ? "would_add" : "files_added", counts.files_added);
  result.count(dry_run ? "would_change" : "files_changed", counts.files_changed);
  result.count("files_unchanged", counts.files_unchanged);
  result.count(dry_run ? "would_be_missing" : "files_missing", counts.files_missing);
  result.count("files_skipped", counts.files_skipped);
  if (!dry_run) {
    result.count("files_renamed", counts.files_renamed);
    result.count("sequences", counts.sequences);
    result.count("images", counts.images);
    result.count("videos", counts.videos);
    result.count("blend_files", counts.blend_files);
    result.count("other_files", counts.other_files);
  }
  result.count("errors", counts.errors);
  result.count("bytes_read", counts.bytes_read);
  result.count("requests", counts.requests);
}

FinishCounts finish_shards(const ScanOptions& options, const base::Clock& clock, sql::Connection& connection,
                           OpenedSource& source, const PathRange& range) {
  const int64_t merge_id =
      claim_round(connection, source.context, options.shard.count, options.run_id, clock.now_ms());
  if (merge_id == 0) return {};
  const ShardRound round = find_round(connection, source.context, options.shard.count, options.run_id);
  return finish_claimed(options, clock, connection, source, range, round, merge_id);
}

ScanCounts merge_shards(const ScanOptions& options, const base::Clock& clock, JobResult& result) {
  add_details(options, result);
  OpenedSource source = open_source(options.source);
  const PathRange range = paths_below(source.context.root);
  auto connection = open_existing_catalog(options.database_url);
  const uint32_t shards = newest_shard_count(*connection, source.context, options.run_id);
  if (shards == 0)
    throw base::NotFoundError("no shard has scanned " + workloads::printable(source.context.root) +
                              " so far");
  result.detail("shards", shards);
  ScanOptions whole = options;
  whole.shard = {0, shards};
  finish_shards(whole, clock, *connection, source, range);
  const ShardRound round = find_round(*connection, source.context, shards, options.run_id);
  ScanCounts sum;
  for (uint32_t i = 0; i < shards; ++i) {
    const ShardRound::Part& part = round.parts[i];
    if (part.scan_id != 0) add(sum, counts_of(*connection, part.scan_id));
    if (part.status == "complete" || part.status == "partial") continue;
    result.item_failed("shard " + std::to_string(i) + "/" + std::to_string(shards),
                       part.scan_id == 0    ? "it has not begun"
                       : part.error.empty() ? "it is " + part.status
                                            : part.status + ": " + part.error,
                       "Shard");
  }
  if (round.merge_id != 0) add(sum, counts_of(*connection, round.merge_id));
  sum.files_added -= sum.files_renamed;
  const int64_t named =
      name_failures(*connection, ids_of(round), options.filters, source.context.root, range, result);
  if (named < sum.errors) {
    result.item_failed(source.context.root,
                       std::to_string(sum.errors - named) + " more failed; the shards' own results name them",
                       "Partial");
  }
  report(sum, false, result);
  if (!round.all_ended()) {
    result.fail("not all shards have ended well: nothing was looked for that vanished");
  } else if (!round.merged()) {
    result.fail("another process is bringing the shards together");
  } else if (options.max_errors.exceeded(sum.errors, sum.files_listed)) {
    result.fail(std::to_string(sum.errors) + " of " + std::to_string(sum.files_listed) +
                " files failed, more than --max-errors " + options.max_errors.text() + " allows");
  }
  return sum;
}

}  // namespace millrace::scan
