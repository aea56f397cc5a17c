// Items of a store as one stac-geoparquet file, and back.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "objects/new_object.h"
#include "objects/store.h"
#include "workloads/stac/item_store.h"

namespace millrace::stac {

struct GeoParquetOptions {
  std::string temporary_folder;  // for what does not fit into memory
  unsigned threads = 2;
};

struct WriteReport {
  uint64_t rows = 0, row_groups = 0, bytes = 0;
};

// Writes all items, sorted, into `out`, which the caller publishes.
WriteReport write_geoparquet(const ItemStore& items, const GeoParquetOptions& options,
                             objects::NewObject& out);

// The rows of a file that write_geoparquet() (or another writer of stac-geoparquet) made, turned back into
// items: compact JSON, `collection` in each. `visit` is called by one thread, in the order of the rows.
// Throws NotFoundError, CorruptError (no stac-geoparquet).
void read_items(const objects::Location& parquet, const std::function<void(std::string_view item)>& visit);

}  // namespace millrace::stac
