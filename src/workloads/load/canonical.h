// Checked values as texts that every database reads the same way.
#pragma once

#include <string>
#include <string_view>

#include "workloads/load/row.h"
#include "workloads/load/value.h"

namespace millrace::load {

// Whether the cell may be in the column: null or parsed into `value`. Null when it may, else why not. Empty
// cells are NULL in every column but those of text, where they must not be in quotes.
inline const char* check_cell(const Column& column, const Cell& cell, Value& value, bool& null) {
  null = cell.null || (cell.text.empty() && column.type != Type::kText && column.type != Type::kOther);
  if (null) return column.not_null ? "nothing there, and the column takes no NULL" : nullptr;
  return parse_value(column, cell.text, value);
}

// "true", "2026-11-22 01:02:03.000004", "\x00ff" for bytes, numbers as digits; else the text as it is. `cell`
// is what `value` was parsed from.
std::string canonical_text(Type type, const Value& value, std::string_view cell);

}  // namespace millrace::load
