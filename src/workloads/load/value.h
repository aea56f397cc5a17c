// Texts as values of a type, checked: what is not one is told, never guessed or turned into NULL.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "workloads/load/column.h"

namespace millrace::load {

struct Value {
  int64_t integer = 0;  // integers; kBool 0 or 1; kDate: days, times: microseconds, both since 1970-01-01 UTC
  double real = 0;      // kFloat, kDouble
  std::string_view
      text;  // kText, kOther, kJson, kJsonb; kNumeric: [-]digits[.digits], or "NaN"; kBytes: bytes
  std::array<unsigned char, 16> uuid{};
  std::string scratch;  // holds what `text` points to where it is not the cell
};

// Reads `text` as a value of `column`. Null when it is one, else why not: a text for people that stays valid.
// Blanks around it are passed over unless it is text. Times without a zone are UTC; a column without a time
// zone takes Z and +00 as well. Numbers that would be rounded or do not fit are refused.
const char* parse_value(const Column& column, std::string_view text, Value& value);

// Days since 1970-01-01 of "YYYY-MM-DD"; false when it is no such date.
bool parse_date(std::string_view text, int64_t& days);
// Microseconds since 1970-01-01 of "YYYY-MM-DD[T ]HH:MM[:SS[.ffffff]][Z|±HH[[:]MM]]"; `zoned`: it says its
// zone. False when it is no such time.
bool parse_time(std::string_view text, int64_t& microseconds, bool& zoned);
bool parse_uuid(std::string_view text, std::array<unsigned char, 16>& bytes);

// No NUL and well-formed UTF-8: what a database takes as text.
bool is_text(std::string_view text);

// A decimal number taken apart.
struct Decimal {
  bool negative = false;
  std::string_view whole;     // digits before the point, without leading zeros
  std::string_view fraction;  // digits behind it, without trailing zeros
  int64_t exponent = 0;       // of ten
  bool has_exponent = false;
  bool leading_zeros = false;  // "007": it may have meant more than a number
};
bool parse_decimal(std::string_view text, Decimal& decimal);

}  // namespace millrace::load
