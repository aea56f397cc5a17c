// What the steps of the job `stac` share. Internal to it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "workloads/stac/checkpoint.h"
#include "workloads/stac/http_source.h"
#include "workloads/stac/item_store.h"
#include "workloads/stac/stac.h"

namespace millrace::stac {

// ItemRecord::identity.
uint64_t identity_of(std::string_view collection, std::string_view id);

// What a merge finds in the file that is there.
struct Existing {
  std::string chunk;                 // its items; empty: there is no file
  std::vector<uint64_t> identities;  // ascending
  int64_t written_us = kNoTime;      // the oldest of the files
  bool has(std::string_view collection, std::string_view id) const;
};

// What a source left in the spool, and what it could not bring. Everything that is missing was named.
struct Gathered {
  std::vector<std::string> chunks;
  uint64_t missing = 0;      // items that are known to be missing
  uint64_t failed_days = 0;  // days (or files) of which nobody knows how many are missing
  // With a merge: of the items that the catalogue lists, those that are not in `chunks`; in any order.
  std::vector<uint64_t> listed;
};

class StacJob {
 public:
  StacJob(const JobOptions& options, const base::Clock& clock, workloads::JobResult& result);

  const JobOptions& options;
  const base::Clock& clock;
  workloads::JobResult& result;
  HttpSource http;

  // Throws when the job is to stop: a signal, or a thread that cannot go on.
  void check_stop() const;
  // Calls `work` for 0 … count-1, `threads` at a time. The first exception stops the others and is thrown
  // again.
  void for_each(size_t count, unsigned threads, const std::function<void(size_t)>& work);
  // True for a day that is so near that more of it may come.
  bool is_recent(const Day& day) const;
  // An item that is missing. Throws DeniedError after many in a row were refused: the credentials are no good
  // (any more), and to name a hundred thousand items would help nobody.
  void item_missing(const std::string& name, const base::Error& error);
  void item_came() { refused_in_a_row_ = 0; }
  // A day or file of which nobody knows what is missing.
  void day_failed(const std::string& name, const base::Error& error);

  // The days of the month under way; none without --checkpoint.
  std::optional<Checkpoint> checkpoint;
  // Brings a chunk that is not in the spool from the checkpoint.
  void restore(ItemSpool& spool, const std::string& chunk);
  // Keeps a finished one there. That it cannot be kept is told in the result, and is no reason to stop.
  void keep(const ItemSpool& spool, const std::string& chunk);

  std::atomic<uint64_t> days{0}, days_done{0}, listed{0}, done{0};
  void set_phase(const std::string& phase);
  StacProgress progress() const;

 private:
  std::atomic<bool> ended_{false};
  std::atomic<int> refused_in_a_row_{0};
  mutable std::mutex mutex_;
  std::string phase_;
};

Gathered gather_granules(StacJob& job, ItemSpool& spool, const Month& month, const Existing& existing);
// Finds the links of all days of the months and keeps them.
void keep_links(StacJob& job);
Gathered gather_api_items(StacJob& job, ItemSpool& spool, const Month& month);
// Also given: which months are wanted.
Gathered gather_files(StacJob& job, ItemSpool& spool, const std::string& work);

}  // namespace millrace::stac
