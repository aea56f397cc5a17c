// What one scan, or several shards together, say in their result; and the finishing of shards.
#pragma once

#include "base/time.h"
#include "sql/connection.h"
#include "workloads/result.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/finish.h"
#include "workloads/scan/scan.h"
#include "workloads/scan/scan_source.h"

namespace millrace::scan {

void add_details(const ScanOptions& options, workloads::JobResult& result);
void report(const ScanCounts& counts, bool dry_run, workloads::JobResult& result);

// When all shards of this run have ended and nobody has brought them together: does that, with a row of its
// own in `scans`. Otherwise nothing.
FinishCounts finish_shards(const ScanOptions& options, const base::Clock& clock, sql::Connection& connection,
                           OpenedSource& source, const PathRange& range);

}  // namespace millrace::scan
