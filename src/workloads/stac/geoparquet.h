// Items of a store as one stac-geoparquet file, and back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "objects/new_object.h"
#include "objects/store.h"
#include "workloads/stac/item_store.h"
#include "workloads/stac/scope.h"

namespace millrace::stac {

// A multiple of DuckDB's vectors. 12,288 links of HLS just fit into 2 MiB, where DuckDB's pages double.
inline constexpr uint64_t kRowGroupRows = 12'288;

struct GeoParquetOptions {
  std::string temporary_folder;  // for DuckDB, should it ever spill
  unsigned threads = 2;          // each needs the memory of a row group: about 200 MiB for HLS
  // STAC Collections that are known, by id: JSON objects. What one lacks of what STAC wants is made from its
  // items.
  std::map<std::string, std::string> collections = {};
  std::vector<Scope> scopes = {};  // what it was asked to hold, for its footer; none: it does not say
};

struct WriteReport {
  uint64_t rows = 0, row_groups = 0, bytes = 0;
  // The declared schema of HLS did not fit an item, so that all were read first: what did not fit.
  std::string misfit;
};

// Writes all items, sorted, into `out`, which the caller publishes. Memory: a row group for each thread,
// 4 bytes an item (12 while they are sorted), and the footer: about 1 kB for each column of a row group.
// Throws CorruptError (an item that is not what it was when it was checked), TransientError (disk or memory
// full), NotFoundError (no DuckDB).
WriteReport write_geoparquet(const ItemStore& items, const GeoParquetOptions& options,
                             objects::NewObject& out);

// The rows of a file that write_geoparquet() (or another writer of stac-geoparquet) made, turned back into
// items: compact JSON, `collection` in each. `visit` is called by one thread, in the order of the rows.
// Throws NotFoundError, CorruptError (no stac-geoparquet).
void read_items(const objects::Location& parquet, const std::function<void(std::string_view item)>& visit);

}  // namespace millrace::stac
