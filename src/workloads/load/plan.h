// Which column of a file goes into which column of a table.
#pragma once

#include <string>
#include <vector>

#include "workloads/load/load.h"

namespace millrace::load {

struct Match {
  Plan plan;
  std::vector<Column> new_columns;    // of the file, to be added to the table
  std::vector<std::string> ignored;   // of the file
  std::vector<std::string> left_out;  // of the table
};

// Names of the file's columns: its own, or those of --columns, or (none of both) empty.
std::vector<std::string> file_names(const FileShape& shape, const LoadOptions& options);

// The columns that a table for the file needs: types of --columns, else of the file, else as inferred.
std::vector<Column> columns_for(const FileShape& shape, const LoadOptions& options);

// Throws UsageError for columns that do not fit together, and says which.
Match match_columns(const FileShape& shape, const Table& table, const LoadOptions& options);

}  // namespace millrace::load
