// PostgreSQL's binary COPY format ("COPY", section "Binary Format", in its documentation).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/load/column.h"
#include "workloads/load/value.h"

namespace millrace::load {

class BinaryRows {
 public:
  // The file's header is the first thing in it.
  BinaryRows();

  void begin_row(size_t columns);
  void add_null();
  // `value` as parse_value() left it for the column; kOther as text. Arrays of bytes that a type's receive
  // function reads, and its send function gives.
  void add(const Column& column, const Value& value);
  void add_int64(int64_t value);
  // Takes the row back that was begun last.
  void drop_row();
  // Behind the last row.
  void end();

  size_t size() const { return bytes_.size(); }
  // What was written since the last call.
  std::string take();

 private:
  template <typename Number>
  void put(Number number);
  void put_bytes(const void* bytes, size_t size);
  void put_numeric(const Column& column, std::string_view text);

  std::string bytes_;
  size_t row_ = 0;
};

}  // namespace millrace::load
