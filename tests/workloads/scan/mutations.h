// Damage to files for the tests of header readers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

namespace millrace::scan::testing {

// One to six changes: a byte, a bit, a number at its limits, a piece twice, a piece gone. The same for the
// same seed.
inline std::string mutated(const std::string& file, uint32_t seed) {
  std::mt19937 random(seed);
  auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  std::string bytes = file;
  for (size_t i = 0, n = 1 + below(6); i < n; ++i) {
    size_t at = below(bytes.size());
    switch (below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
        break;
      case 2:
        for (size_t k = at; k < std::min(bytes.size(), at + 4); ++k) bytes[k] = below(2) ? '\xFF' : '\0';
        break;
      case 3: {
        size_t length = 1 + below(32);
        bytes.insert(at, bytes.substr(below(bytes.size()), length));
        break;
      }
      default:
        bytes.erase(at, 1 + below(16));
        if (bytes.empty()) bytes = "x";
    }
  }
  return bytes;
}

}  // namespace millrace::scan::testing
