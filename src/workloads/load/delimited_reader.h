// CSV, TSV and their kin (RFC 4180 and what exports make of it), read piece by piece.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/load/byte_stream.h"
#include "workloads/load/row.h"

namespace millrace::load {

struct Delimited {
  char delimiter = ',';
  char quote = '"';     // 0: none
  char escape = '"';    // before a quote inside quotes: the quote itself, or a backslash
  char newline = '\n';  // '\r' where lines end in it alone
  bool header = false;
  std::string null_text;  // an unquoted cell like this is NULL, too; an empty unquoted one always is
};

// What the first bytes of a file look like. `delimiter` (0: find it) and `columns` (0: any; the number the
// table has) are known beforehand. `whole`: the sample is the file. The header is not looked for.
Delimited find_dialect(std::string_view sample, bool whole, char delimiter, char quote, size_t columns);

// Reads up to `rows_max` records of `sample`, a last one that may be cut off excluded unless `whole`.
std::vector<std::vector<std::string>> read_sample(std::string_view sample, bool whole,
                                                  const Delimited& format, size_t rows_max);

// A record is at most this long; a quote that is never closed is found out by it.
inline constexpr size_t kRecordBytesMax = 16ull << 20;

// `names`: of the columns when the file has none and they are known; else empty. Rows with more or fewer
// cells than columns, with text behind a closing quote or a quote that is never closed have a problem; after
// the latter reading goes on with the next line. Blank lines are passed over where there are several columns.
std::unique_ptr<RowReader> read_delimited(std::unique_ptr<ByteStream> stream, const Delimited& format,
                                          std::vector<std::string> names);

}  // namespace millrace::load
