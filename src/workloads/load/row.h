// Rows of a file as texts, before anybody knows their types.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::load {

struct Cell {
  std::string_view text;
  bool null = false;
  bool quoted = false;  // CSV: it stood in quotes; JSON: it is a string
};

struct Row {
  uint64_t line = 0;        // where it begins, from 1 (Parquet: its number)
  uint64_t offset = 0;      // of its first byte, in the decompressed text as UTF-8 (Parquet: 0)
  std::vector<Cell> cells;  // one a column
  // Not empty: it cannot be read as a row, and this is why. Its first cell is then what stands there.
  std::string problem;
};

// One thread at a time.
class RowReader {
 public:
  virtual ~RowReader() = default;
  // Names of the columns; empty where the file has none (CSV without a header).
  virtual const std::vector<std::string>& names() const = 0;
  // How many cells a row has.
  virtual size_t width() const = 0;
  // The next row, valid until the next call; false after the last. CorruptError when there is no going on.
  virtual bool next(Row& row) = 0;
};

}  // namespace millrace::load
