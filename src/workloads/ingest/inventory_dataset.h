// The inventories of all repositories of a run in one place: Parquet tables that DuckDB, Spark, Athena and
// pandas read as one dataset.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace millrace::ingest {

// Thread-safe. Costs a file in `folder` of the size of what was added (compressed), no memory, until write().
class InventoryDataset {
 public:
  // `folder`: for temporary files; must be there.
  explicit InventoryDataset(std::string folder);
  ~InventoryDataset();
  InventoryDataset(const InventoryDataset&) = delete;
  InventoryDataset& operator=(const InventoryDataset&) = delete;

  // What make_inventory() wrote to InventoryOptions::file. Whole or not at all; call it when the repository
  // is done. Throws TransientError.
  void add(const std::string& inventory_file);
  uint64_t repositories() const;

  struct Written {
    std::vector<std::string> files;  // "PLACE/files/NAME.parquet", "PLACE/symbols/…", "PLACE/dependencies/…"
    std::string note;                // what was written instead, where there is no DuckDB; else empty
  };
  // Writes the three tables below `place` (a folder, or s3://BUCKET/PREFIX) as NAME.parquet, each whole or
  // not at all. Without DuckDB: inventory/NAME.jsonl.zst, and a note. Nothing when nothing was added.
  Written write(const std::string& place, const std::string& name);

 private:
  const std::string folder_;
  mutable std::mutex mutex_;
  std::string spool_path_;
  base::UniqueFd spool_;
  uint64_t size_ = 0, repositories_ = 0;
};

}  // namespace millrace::ingest
