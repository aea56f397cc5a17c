#include "workloads/scan/finish.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/error.h"
#include "workloads/scan/dependencies.h"
#include "workloads/scan/renamed.h"
#include "workloads/scan/sequences.h"
#include "workloads/shard.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr int64_t kPage = 1000;

// What was seen by this scan or a later one is new: since a scan of this root was last brought to its end.
// Scans that were killed since have left files behind, too. One that began after `own`, the first of ours,
// and has ended before says nothing of what ours have read.
int64_t new_from(sql::Connection& connection, const ScanContext& context, int64_t own) {
  auto query = connection.prepare("SELECT max(id) FROM scans WHERE root=$1 AND rules IS NOT NULL AND id<$2");
  query->bind(1, workloads::storage_text(context.root)).bind(2, own);
  return query->step() && !query->is_null(0) ? query->int64(0) + 1 : 0;
}

// How many scans there were since, of this root, or of others that were not brought to their end: they may
// have read files of this one.
int64_t scans_from(sql::Connection& connection, const ScanContext& context, int64_t first) {
  auto query = connection.prepare(
      "SELECT count(*) FROM scans WHERE (root=$1 OR rules IS NULL) AND id>=$2 AND kind IS NULL");
  query->bind(1, workloads::storage_text(context.root)).bind(2, first);
  return query->step() ? query->int64(0) : 0;
}

class Finish {
 public:
  Finish(sql::Connection& connection, const ScanContext& context, const PathRange& range,
         const FinishOptions& options)
      : connection_(connection), context_(context), range_(range), options_(options), writer_(connection) {}

  // Files of the catalogue that no listing had. Not those of folders that could not be listed, and not those
  // that the filters leave out.
  void mark_vanished(int64_t new_from, FinishCounts& counts) {
    auto query = connection_.prepare(
        "SELECT id,file_path,scan_id,sha256,file_size FROM files WHERE file_path>$1 AND file_path<$2 AND "
        "scan_id<$3 AND status<>'missing' ORDER BY file_path LIMIT $4");
    query->bind(4, kPage);
    const int64_t newest = *std::max_element(options_.scan_ids.begin(), options_.scan_ids.end());
    std::string after = range_.first;
    for (bool more = true; more;) {
      check_stop();
      query->bind(1, after).bind(2, range_.end).bind(3, newest);
      std::vector<VanishedFile> gone;
      more = false;
      while (query->step()) {
        more = true;
        after = query->text(1);
        if (query->int64(2) >= scan_of(after) || left_out(after)) continue;
        VanishedFile& file = gone.emplace_back();
        file.id = query->int64(0);
        file.path = after;
        if (!query->is_null(3)) file.sha256 = query->text(3);
        file.size = query->int64(4);
      }
      sql::Transaction transaction(connection_);
      const int64_t renamed = adopt_renamed(connection_, gone, new_from, range_);
      std::vector<int64_t> ids;
      for (const VanishedFile& file : gone)
        if (!file.found_again) ids.push_back(file.id);
      writer_.mark_missing(ids, newest);
      transaction.commit();
      counts.files_renamed += renamed;
      counts.files_missing += static_cast<int64_t>(ids.size());
    }
  }

  void check_stop() const {
    if (options_.stop != nullptr && options_.stop->load())
      throw base::TransientError("interrupted: what was read is kept, start again to go on");
  }

 private:
  // The scan that would have seen it.
  int64_t scan_of(const std::string& path) const {
    const auto count = static_cast<uint32_t>(options_.scan_ids.size());
    if (count == 1) return options_.scan_ids.front();
    return options_.scan_ids[workloads::shard_of_item(workloads::storage_bytes(path), count)];
  }
  bool left_out(const std::string& path) const {
    for (const std::string& folder : options_.unlistable)
      if (path.starts_with(folder)) return true;
    if (options_.filters.empty()) return false;
    std::string bytes = workloads::storage_bytes(path);
    return !workloads::takes(options_.filters, std::string_view(bytes).substr(context_.root.size()));
  }

  sql::Connection& connection_;
  const ScanContext& context_;
  const PathRange& range_;
  const FinishOptions& options_;
  CatalogWriter writer_;
};

}  // namespace

FinishCounts finish_tree(sql::Connection& connection, objects::ObjectReader& reader,
                         const ScanContext& context, const PathRange& range, const FinishOptions& options) {
  FinishCounts counts;
  const int64_t own = *std::min_element(options.scan_ids.begin(), options.scan_ids.end());
  const int64_t first_new = new_from(connection, context, own);
  Finish finish(connection, context, range, options);
  if (options.unlistable.size() > kUnlistableMax) {
    spdlog::warn("more than {} folders could not be listed: vanished files are not looked for",
                 kUnlistableMax);
  } else {
    finish.mark_vanished(first_new, counts);
  }
  finish.check_stop();
  const bool changed = options.anything_new || scans_from(connection, context, first_new) > 1 ||
                       counts.files_missing > 0 || counts.files_renamed > 0;
  static const std::atomic<bool> never = false;
  const std::atomic<bool>& stop = options.stop ? *options.stop : never;
  counts.sequences =
      find_sequences(connection, context, range, options.sequences, changed, own, first_new, stop);
  finish.check_stop();
  resolve_dependencies(connection, reader, context, range, stop);
  mark_udims(connection);
  finish.check_stop();
  return counts;
}

}  // namespace millrace::scan
