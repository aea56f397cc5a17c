// What kind of file it is, and how its rows are read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workloads/load/delimited_reader.h"
#include "workloads/load/inference.h"
#include "workloads/load/row.h"
#include "workloads/load/source.h"
#include "workloads/load/target.h"

namespace millrace::load {

enum class Format { kAuto, kDelimited, kJson, kParquet };
enum class Header { kAuto, kYes, kNo };

struct ReadOptions {
  Format format = Format::kAuto;
  char delimiter = 0;  // 0: found out
  char quote = '"';
  Header header = Header::kAuto;
  std::string null_text;
  std::string encoding;                 // empty: UTF-8
  uint64_t sample_bytes = 64ull << 20;  // for types; of the text as it is read
};

struct FileShape {
  Format format = Format::kDelimited;
  Compression compression = Compression::kNone;
  Delimited delimited;
  std::vector<std::string> names;  // empty: the file has none
  size_t width = 0;
  // With guesses asked for: one a column, over `sampled_rows`, which are all when `sampled_all`.
  std::vector<TypeGuess> guesses;
  std::vector<Column> types;  // instead of guesses, where the file has types of its own (Parquet)
  uint64_t sampled_rows = 0;
  bool sampled_all = false;

  std::string shown() const;  // "CSV with ';', header, gzip"
};

// Told what the table's columns are called (empty: not known), which helps with headers and delimiters.
// Throws UsageError where it cannot be told, with what to say.
FileShape examine(Source& source, const ReadOptions& options, const std::vector<std::string>& table_names,
                  bool guess_types);

// Told the checksum of all bytes of the file ("xxh128:…", as xxh128sum prints it) once they have been read.
using OnChecksum = std::function<void(const std::string&)>;

// From the first row. `unknown_fine`: keys of JSON objects that `shape` does not have are passed over, else
// such a row has a problem.
std::unique_ptr<RowReader> read_rows(Source& source, const FileShape& shape, const ReadOptions& options,
                                     bool unknown_fine, const OnChecksum& on_checksum);

}  // namespace millrace::load
