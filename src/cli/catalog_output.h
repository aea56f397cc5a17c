// Rows of a catalogue for people (a table), for programs (JSON) and for spreadsheets (CSV), on standard
// output.
#pragma once

#include <cstdint>
#include <string>

#include "sql/connection.h"
#include "workloads/scan/catalog_queries.h"

namespace millrace::cli {

enum class OutputForm { kTable, kJson, kCsv };

struct OutputOptions {
  OutputForm form = OutputForm::kTable;
  int64_t limit = 0;  // rows; 0: tables on a terminal kTableRows, everything else all
};
inline constexpr int64_t kTableRows = 100;

// Prints the rows; of a table that is cut, how many there are more. `nothing`: what to say instead of an
// empty table. Gives how many were printed.
int64_t print_rows(sql::Connection& connection, const scan::CatalogQuery& query, const OutputOptions& options,
                   const char* nothing);

// A cell of a table: sizes as "1.5 MiB", times to the minute, control characters made visible.
std::string cell_text(const sql::Statement& row, int column, scan::FieldType type);

}  // namespace millrace::cli
