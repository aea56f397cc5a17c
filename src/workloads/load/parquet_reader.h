// Parquet, read by DuckDB.
#pragma once

#include <memory>

#include "workloads/load/file_shape.h"

namespace millrace::load {

// Names, width and types.
void describe_parquet(Source& source, FileShape& shape);

std::unique_ptr<RowReader> read_parquet(Source& source);

}  // namespace millrace::load
