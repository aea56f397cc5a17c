// Finds out which files that .blend files need are there.
#pragma once

#include <atomic>

#include "objects/store.h"
#include "sql/connection.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/extract.h"

namespace millrace::scan {

// Fills dependencies."exists", resolved_file_id and suggestion, and blend_files.missing_count, for all files
// in `range`: by the catalogue, and where that does not know the file by asking the store (a path outside of
// what was scanned). Patterns ("####",
// "<UDIM>") and folders exist when a file of theirs does; a UDIM set whose tiles are known, when all do.
// Paged: constant memory. Stops early, at a page, when `stop` is set.
void resolve_dependencies(sql::Connection& connection, objects::ObjectReader& reader,
                          const ScanContext& context, const PathRange& range, const std::atomic<bool>& stop);

}  // namespace millrace::scan
