// Types of columns, from what stands in them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "workloads/load/column.h"
#include "workloads/load/row.h"

namespace millrace::load {

// What the values of one column have been so far. The narrowest type that holds every one of them exactly:
// boolean, bigint, numeric, double precision (only where exponents stand), date, timestamp, timestamp with
// time zone, uuid, json, else text. Leading zeros, a leading plus and more than 18 digits are text: they are
// no numbers to whoever wrote them.
class TypeGuess {
 public:
  // `strings_are_text`: a quoted value is no number and no boolean (JSON).
  void add(const Cell& cell, bool strings_are_text);
  Type type() const;
  uint64_t values() const { return values_; }  // without NULLs
  uint64_t nulls() const { return nulls_; }
  const std::string& example() const { return example_; }  // the first value, shortened
  // The value that made it text although there had been another type before; empty: none did.
  const std::string& spoiler() const { return spoiler_; }

 private:
  enum Kind : uint8_t {
    kBool,
    kWhole,
    kDecimal,
    kExponent,
    kDate,
    kTime,
    kInstant,
    kUuid,
    kJson,
    kText,
    kKinds
  };
  static Kind kind_of(const Cell& cell, bool strings_are_text);
  std::array<uint64_t, kKinds> seen_{};
  uint64_t values_ = 0, nulls_ = 0;
  std::string example_, spoiler_;
};

// A name as SQL likes it: "Order ID" becomes order_id.
std::string plain_name(std::string_view name);

}  // namespace millrace::load
