// Numbers of any width from coded headers, most significant bit first.
#pragma once

#include <cstdint>
#include <string_view>

#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

// Reads the bits of a raw byte sequence payload; past the end it gives zeros and says so.
class Bits {
 public:
  explicit Bits(std::string_view data) : data_(data) {}
  uint32_t get(unsigned count) {
    uint32_t value = 0;
    for (unsigned i = 0; i < count; ++i, ++at_) {
      uint32_t bit = 0;
      if (at_ / 8 < data_.size())
        bit = u8(data_.data() + at_ / 8) >> (7 - at_ % 8) & 1;
      else
        over_ = true;
      value = value << 1 | bit;
    }
    return value;
  }
  uint32_t exp_golomb() {
    unsigned zeros = 0;
    while (zeros < 32 && !over_ && get(1) == 0) ++zeros;
    if (zeros >= 32) over_ = true;
    return over_ ? 0 : (uint32_t{1} << zeros) - 1 + get(zeros);
  }
  bool over() const { return over_; }

 private:
  std::string_view data_;
  uint64_t at_ = 0;
  bool over_ = false;
};

}  // namespace millrace::scan
