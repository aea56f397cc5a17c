// Dice for the simulator: the same numbers for the same seed, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::simulation {

// SplitMix64: cheap to seed, so that every step of a life can have dice of its own.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  void seed(uint64_t seed) { state_ = seed; }
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 .. n-1.
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<size_t>(high - low + 1)));
  }
  bool percent(size_t p) { return below(100) < p; }

 private:
  uint64_t state_;
};

}  // namespace millrace::simulation
