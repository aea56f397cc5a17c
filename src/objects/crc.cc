#include "objects/crc.h"

#include <bit>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace millrace::objects {
namespace {

static_assert(std::endian::native == std::endian::little, "words of data are loaded as they stand");

constexpr size_t kBlockBytes = 64;

// x^n mod P, reflected: the coefficient of x^i is bit (bits - 1 - i).
uint64_t power_of_x(uint64_t poly, int bits, int n) {
  uint64_t r = uint64_t{1} << (bits - 1);
  for (; n > 0; --n) r = (r >> 1) ^ (r & 1 ? poly : 0);
  return r;
}

}  // namespace

Crc::Crc(uint64_t poly, int bits) {
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? poly : 0);
    tables_[0][i] = crc;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t i = 0; i < 256; ++i)
      tables_[k][i] = (tables_[k - 1][i] >> 8) ^ tables_[0][tables_[k - 1][i] & 0xFF];
  auto constant = [&](int n) { return power_of_x(poly, bits, n) << (64 - bits); };
  by_512_low_ = constant(575);
  by_512_high_ = constant(511);
  by_128_low_ = constant(191);
  by_128_high_ = constant(127);
#ifdef __x86_64__
  can_fold_ = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#else
  can_fold_ = false;
#endif
}

uint64_t Crc::advance_by_table(uint64_t state, std::string_view data) const {
  const char* p = data.data();
  size_t n = data.size();
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    word ^= state;
    state = tables_[7][word & 0xFF] ^ tables_[6][word >> 8 & 0xFF] ^ tables_[5][word >> 16 & 0xFF] ^
            tables_[4][word >> 24 & 0xFF] ^ tables_[3][word >> 32 & 0xFF] ^ tables_[2][word >> 40 & 0xFF] ^
            tables_[1][word >> 48 & 0xFF] ^ tables_[0][word >> 56];
  }
  for (; n > 0; --n, ++p) state = (state >> 8) ^ tables_[0][(state ^ static_cast<unsigned char>(*p)) & 0xFF];
  return state;
}

uint64_t Crc::advance(uint64_t state, std::string_view data) const {
  if (size_t blocks = data.size() / kBlockBytes; can_fold_ && blocks > 0) {
    state = advance_by_folding(state, data.data(), blocks);
    data.remove_prefix(blocks * kBlockBytes);
  }
  return advance_by_table(state, data);
}

#ifdef __x86_64__

// The message, a polynomial with its first bit as the highest term, is kept as four remainders of 128 bits,
// each of every fourth 16 bytes: moving one by 512 bits is two multiplications, by x^(512+64) for its upper
// half and x^512 for its lower one. Reflected, a product of two 64-bit halves comes out multiplied by x once
// more, hence 575 and 511. (V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel, 2009.)
__attribute__((target("pclmul,sse4.1"))) uint64_t Crc::advance_by_folding(uint64_t state, const char* data,
                                                                          size_t blocks) const {
  auto load = [&](size_t i) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i);
  };
  auto fold = [](__m128i x, __m128i by, __m128i next) __attribute__((target("pclmul,sse4.1"))) {
    __m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11));
    return _mm_xor_si128(moved, next);
  };
  auto both = [](uint64_t high, uint64_t low) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
  };
  __m128i by_512 = both(by_512_high_, by_512_low_), by_128 = both(by_128_high_, by_128_low_);
  __m128i a = _mm_xor_si128(load(0), both(0, state)), b = load(1), c = load(2), d = load(3);
  for (data += kBlockBytes; --blocks > 0; data += kBlockBytes) {
    a = fold(a, by_512, load(0));
    b = fold(b, by_512, load(1));
    c = fold(c, by_512, load(2));
    d = fold(d, by_512, load(3));
  }
  b = fold(a, by_128, b);
  c = fold(b, by_128, c);
  d = fold(c, by_128, d);
  char rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), d);
  return advance_by_table(0, {rest, sizeof rest});
}

#else

uint64_t Crc::advance_by_folding(uint64_t state, const char* data, size_t blocks) const {
  return advance_by_table(state, {data, blocks * kBlockBytes});
}

#endif

}  // namespace millrace::objects
