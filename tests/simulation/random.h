// Dice for the simulator: the same numbers for the same seed, on every machine.
#pragma once

#include <cstdint>
#include <random>
#include <utility>

namespace millrace::simulation {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // 0 .. n-1. Not std::uniform_int_distribution: that one differs between libraries.
  size_t below(size_t n) { return static_cast<size_t>(engine_() % n); }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<size_t>(high - low + 1)));
  }
  bool percent(size_t p) { return below(100) < p; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace millrace::simulation
