// Rows of a file as texts, before anybody knows their types.
#pragma once

#include <algorithm>
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

// Numbers that tell rows apart, grow from row to row, and hold the row's line: of a JSON array in one line
// all rows have the same one.
class RowNumbers {
 public:
  int64_t next(uint64_t line) { return last_ = std::max(last_ + 1, static_cast<int64_t>(line << kBits)); }
  static uint64_t line_of(int64_t number) { return static_cast<uint64_t>(number) >> kBits; }

 private:
  static constexpr int kBits = 24;  // rows of a line before the next one's numbers are used up; lines: 2^39
  int64_t last_ = 0;
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
