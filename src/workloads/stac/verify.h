// Whether a file is what write_geoparquet() promises: nothing of what the writer said about it is believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "objects/store.h"

namespace millrace::stac {

struct VerifyReport {
  uint64_t rows = 0, row_groups = 0;
  std::vector<std::string> collections;  // that its rows name
  std::vector<std::string> problems;     // empty: the file is good
};

// Reads the metadata and of every row what order, statistics, metadata and duplicates are judged by. Memory:
// 8 bytes a row. `rows`: how many there must be. Throws NotFoundError, DeniedError, TransientError, and
// CorruptError for what is no Parquet file at all.
VerifyReport verify_geoparquet(const objects::Location& parquet, std::optional<uint64_t> rows);

}  // namespace millrace::stac
