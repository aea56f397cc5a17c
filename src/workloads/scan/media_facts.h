// What the facts of images and videos share.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::scan {

// How a reading ended: the column files.status.
enum class ReadStatus : uint8_t {
  kOk,           // everything that the reader looks for was read
  kPartial,      // the size of the picture is known, but the file is truncated or damaged further on
  kBroken,       // nothing useful could be read
  kUnsupported,  // no reader for this format
};
std::string_view read_status_name(ReadStatus status);  // "ok", "partial", "broken", "unsupported"

// A fraction as the file has it, reduced; the denominator is never 0.
struct Rational {
  int64_t num = 0;
  int64_t den = 1;
  double value() const { return static_cast<double>(num) / static_cast<double>(den); }
  friend bool operator==(const Rational&, const Rational&) = default;
};
// Reduced by the greatest common divisor, sign in the numerator. `den` must not be 0.
Rational reduced(int64_t num, int64_t den);

}  // namespace millrace::scan
