// What the parts of the log store share: the index over the segments, the table of groups, and the locks.
#pragma once

#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "base/time.h"
#include "logs/group_table.h"
#include "logs/log_index.h"

namespace millrace::logs {

// CloudWatch Logs' refusals.
[[noreturn]] void no_group();
[[noreturn]] void no_stream();
[[noreturn]] void bad_token();

// `table` and changes of `index` want `mutex` exclusively, reading of `index` wants it shared.
struct StoreState {
  // Opens or creates the directory and reads the heads of all segments.
  StoreState(const std::string& directory, const base::Clock& clock);

  // Takes in what the writers have appended since the last call.
  void catch_up();
  // Throws when there is none. Under `mutex`.
  Group& known_group(std::string_view name);
  // Older events of the group are past its retention.
  base::TimeMs oldest_kept(const Group& group) const;

  const base::Clock& clock;
  std::mutex catch_up_mutex;  // before `mutex`: held by whoever looks at the directory
  std::shared_mutex mutex;
  GroupTable table;
  LogIndex index;
};

}  // namespace millrace::logs
