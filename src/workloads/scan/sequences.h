// The table `sequences`: which files of the catalogue are frames of one sequence.
#pragma once

#include <atomic>
#include <cstdint>

#include "sql/connection.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/extract.h"
#include "workloads/scan/sequence_names.h"

namespace millrace::scan {

// Goes through the files of `range` folder by folder and sets their sequence_id and frame; every file is in
// one sequence or in none. A sequence is known by folder, name and padding, so that one that grows keeps its
// row; one of which nothing is left gets the status 'missing'. Compares what the frames are (resolution,
// channels, …) and says in `differences` what is not the same. `changed` false: no file came, went or
// changed since the last time, so that there is nothing to do when the rules are the same.
// `fresh_from`: files read by this scan or a later one are looked at again.
// Gives how many sequences the range has. Constant memory. Stops early when `stop` is set.
int64_t find_sequences(sql::Connection& connection, const ScanContext& context, const PathRange& range,
                       const SequenceRules& rules, bool changed, int64_t scan_id, int64_t fresh_from,
                       const std::atomic<bool>& stop);

// Texture sets that a .blend calls UDIM are that, whatever their names say. After resolve_dependencies().
void mark_udims(sql::Connection& connection);

}  // namespace millrace::scan
