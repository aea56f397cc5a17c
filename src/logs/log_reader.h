// Reads events: a stream's pages, a group's matches, what comes in.
#pragma once

#include <vector>

#include "logs/log_queries.h"
#include "logs/store_state.h"

namespace millrace::logs {

// Thread-safe. A query holds the index only while it plans which spans of the files to read.
class LogReader {
 public:
  LogReader(StoreState& state, uint64_t scan_bytes_max) : state_(state), scan_bytes_max_(scan_bytes_max) {}

  GetPage get_events(const GetQuery& query);
  FilterPage filter_events(const FilterQuery& query);
  TailPosition tail_from_now();
  TailPage tail(const TailQuery& query, TailPosition& position);

 private:
  // The spans of one stream's parts, or of all of a group's segments, in a range of time.
  std::vector<ScanItem> plan(GroupId group, const std::vector<StreamId>* wanted, base::TimeMs from,
                             base::TimeMs to) const;
  // The spans beyond the position; moves it.
  std::vector<ScanItem> plan_tail(TailPosition& position) const;

  StoreState& state_;
  const uint64_t scan_bytes_max_;
};

}  // namespace millrace::logs
