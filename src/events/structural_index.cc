// GCC 12 warns of its own intrinsics, which begin from deliberately undefined registers.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "events/structural_index.h"

#include <bit>
#include <cstring>
#include <limits>

#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace millrace::events {
namespace {

constexpr size_t kBlock = 64;
// Blocks are written out by whole vectors, beyond the last position that counts.
constexpr size_t kSlack = 2 * kBlock;

// What goes on from block to block. The idea of doing this 64 bytes at a time is simdjson's (Langdale,
// Lemire: Parsing Gigabytes of JSON per Second, section 3.1).
struct State {
  uint64_t escaped = 0;    // 1: the first byte of the next block is escaped
  uint64_t in_string = 0;  // all ones: the next block begins inside a string
  uint64_t backslashes = 0;
};

// The bytes that a backslash before them makes ordinary.
inline uint64_t escaped_bytes(uint64_t backslash, State* state) {
  state->backslashes |= backslash;
  if (backslash == 0) {
    const uint64_t escaped = state->escaped;
    state->escaped = 0;
    return escaped;
  }
  constexpr uint64_t kEven = 0x5555555555555555ULL;
  backslash &= ~state->escaped;
  const uint64_t follows = backslash << 1 | state->escaped;
  const uint64_t odd_starts = backslash & ~kEven & ~follows;
  uint64_t even_runs = 0;
  state->escaped = __builtin_add_overflow(odd_starts, backslash, &even_runs) ? 1 : 0;
  return (kEven ^ even_runs << 1) & follows;
}

// Bit i is the parity of bits 0 to i.
inline uint64_t parity(uint64_t bits) {
  for (int shift = 1; shift < 64; shift <<= 1) bits ^= bits << shift;
  return bits;
}

inline uint64_t inside(uint64_t parities, State* state) {
  const uint64_t in_string = parities ^ state->in_string;
  state->in_string = static_cast<uint64_t>(static_cast<int64_t>(in_string) >> 63);
  return in_string;
}

using Scan = uint32_t* (*)(const char* text, size_t size, uint32_t* out, State* state);

uint32_t* scan_portably(const char* text, size_t size, uint32_t* out, State* state) {
  for (size_t at = 0; at < size; at += kBlock) {
    const size_t count = size - at < kBlock ? size - at : kBlock;
    uint64_t quote = 0, backslash = 0, mark = 0;
    for (size_t i = 0; i < count; ++i) {
      const char c = text[at + i];
      const uint64_t bit = 1ULL << i;
      if (c == '"') quote |= bit;
      if (c == '\\') backslash |= bit;
      if (c == ',' || c == ':' || (c | 0x20) == '{' || (c | 0x20) == '}') mark |= bit;
    }
    quote &= ~escaped_bytes(backslash, state);
    mark &= ~inside(parity(quote), state);
    for (; mark != 0; mark &= mark - 1)
      *out++ = static_cast<uint32_t>(at + static_cast<size_t>(std::countr_zero(mark)));
  }
  return out;
}

#if defined(__x86_64__)

// Helpers carry the same target as their callers: otherwise they are not inlined.
#define MILLRACE_AVX2 __attribute__((target("avx2,pclmul,bmi,popcnt")))
#define MILLRACE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi2,pclmul,bmi,popcnt")))

MILLRACE_AVX2 inline uint64_t parity_by_multiplication(uint64_t bits) {
  const __m128i product =
      _mm_clmulepi64_si128(_mm_set_epi64x(0, static_cast<int64_t>(bits)), _mm_set1_epi8(-1), 0);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

MILLRACE_AVX2 inline __m256i equals(__m256i bytes, char c) {
  return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c));
}

MILLRACE_AVX2 inline uint64_t mask_of(__m256i found, int half) {
  return static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(found))) << (half * 32);
}

MILLRACE_AVX2 uint32_t* scan_avx2(const char* text, size_t size, uint32_t* out, State* state) {
  char tail[kBlock];
  for (size_t at = 0; at < size; at += kBlock) {
    const char* block = text + at;
    if (size - at < kBlock) {
      std::memset(tail, ' ', sizeof tail);
      std::memcpy(tail, block, size - at);
      block = tail;
    }
    uint64_t quote = 0, backslash = 0, mark = 0;
    for (int half = 0; half < 2; ++half) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + half * 32));
      const __m256i lower = _mm256_or_si256(v, _mm256_set1_epi8(0x20));
      quote |= mask_of(equals(v, '"'), half);
      backslash |= mask_of(equals(v, '\\'), half);
      mark |= mask_of(_mm256_or_si256(_mm256_or_si256(equals(v, ','), equals(v, ':')),
                                      _mm256_or_si256(equals(lower, '{'), equals(lower, '}'))),
                      half);
    }
    quote &= ~escaped_bytes(backslash, state);
    mark &= ~inside(parity_by_multiplication(quote), state);
    // Eight at a time without asking: fewer mispredicted branches than one at a time.
    uint32_t* end = out + _mm_popcnt_u64(mark);
    while (mark != 0) {
      for (int i = 0; i < 8; ++i) {
        out[i] = static_cast<uint32_t>(at) + static_cast<uint32_t>(_tzcnt_u64(mark));
        mark &= mark - 1;
      }
      out += 8;
    }
    out = end;
  }
  return out;
}

struct Counting {
  alignas(64) char bytes[kBlock];
  constexpr Counting() : bytes() {
    for (size_t i = 0; i < kBlock; ++i) bytes[i] = static_cast<char>(i);
  }
};
constexpr Counting kCounting;

MILLRACE_AVX512 inline uint64_t equals(__m512i bytes, char c) {
  return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(c));
}

MILLRACE_AVX512 inline void store_sixteen(uint32_t* out, __m512i base, __m128i offsets) {
  _mm512_storeu_si512(out, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(offsets)));
}

MILLRACE_AVX512 uint32_t* scan_avx512(const char* text, size_t size, uint32_t* out, State* state) {
  const __m512i counting = _mm512_load_si512(kCounting.bytes);
  for (size_t at = 0; at < size; at += kBlock) {
    const __mmask64 there = size - at >= kBlock ? ~0ULL : (1ULL << (size - at)) - 1;
    const __m512i v = _mm512_maskz_loadu_epi8(there, text + at);
    const __m512i lower = _mm512_or_si512(v, _mm512_set1_epi8(0x20));
    const uint64_t quote = equals(v, '"') & ~escaped_bytes(equals(v, '\\'), state);
    const __m128i product =
        _mm_clmulepi64_si128(_mm_set_epi64x(0, static_cast<int64_t>(quote)), _mm_set1_epi8(-1), 0);
    const uint64_t in_string = inside(static_cast<uint64_t>(_mm_cvtsi128_si64(product)), state);
    const uint64_t mark =
        (equals(v, ',') | equals(v, ':') | equals(lower, '{') | equals(lower, '}')) & ~in_string;
    const auto count = static_cast<size_t>(_mm_popcnt_u64(mark));
    const __m512i offsets = _mm512_maskz_compress_epi8(mark, counting);
    const __m512i base = _mm512_set1_epi32(static_cast<int>(at));
    store_sixteen(out, base, _mm512_castsi512_si128(offsets));
    if (count > 16) {
      store_sixteen(out + 16, base, _mm512_extracti32x4_epi32(offsets, 1));
      store_sixteen(out + 32, base, _mm512_extracti32x4_epi32(offsets, 2));
      store_sixteen(out + 48, base, _mm512_extracti32x4_epi32(offsets, 3));
    }
    out += count;
  }
  return out;
}

#endif

Scan scan_of(StructuralIndex::Way way) {
#if defined(__x86_64__)
  if (way == StructuralIndex::Way::kAvx512) return scan_avx512;
  if (way == StructuralIndex::Way::kAvx2) return scan_avx2;
#endif
  static_cast<void>(way);
  return scan_portably;
}

}  // namespace

bool StructuralIndex::can(Way way) {
  if (way == Way::kPortable) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool multiplies = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("bmi");
  if (way == Way::kAvx2) return multiplies && __builtin_cpu_supports("avx2");
  return multiplies && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2");
#else
  return false;
#endif
}

StructuralIndex::Way StructuralIndex::best() {
  static const Way way = can(Way::kAvx512) ? Way::kAvx512 : can(Way::kAvx2) ? Way::kAvx2 : Way::kPortable;
  return way;
}

void StructuralIndex::build(std::string_view text) {
  if (text.size() >= std::numeric_limits<uint32_t>::max())
    throw base::UsageError("an event of 4 GiB or more");
  if (capacity_ < text.size() + kSlack) {
    capacity_ = text.size() * 2 + kSlack;
    positions_ = std::make_unique_for_overwrite<uint32_t[]>(capacity_);
  }
  State state;
  size_ = static_cast<size_t>(scan_of(way_)(text.data(), text.size(), positions_.get(), &state) -
                              positions_.get());
  has_backslash_ = state.backslashes != 0;
  if (state.in_string != 0) throw base::CorruptError("JSON ends inside a string");
}

}  // namespace millrace::events
