// Reflected CRCs of 32 and 64 bits at the speed of memory: carry-less multiplication where the processor has
// it, eight tables elsewhere.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::objects {

// One polynomial with all that can be computed before. Constant once made; thread-safe.
class Crc {
 public:
  // `poly`: reflected, without its highest term; `bits`: 32 or 64.
  Crc(uint64_t poly, int bits);
  // The state after `data`; neither the initial nor the final complement is applied.
  uint64_t advance(uint64_t state, std::string_view data) const;
  // The same without the processor's help: what the other is tested against.
  uint64_t advance_by_table(uint64_t state, std::string_view data) const;

 private:
  uint64_t advance_by_folding(uint64_t state, const char* data, size_t blocks) const;

  uint64_t tables_[8][256];
  // x^575, x^511, x^191 and x^127 mod P, in the upper bits of 64 (see crc.cc).
  uint64_t by_512_low_, by_512_high_, by_128_low_, by_128_high_;
  bool can_fold_;
};

}  // namespace millrace::objects
