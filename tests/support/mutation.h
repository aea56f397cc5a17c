// Damaged copies of good inputs, the same for the same seed: what a coverage fuzzer does, small enough to run
// with every test. Meant for ASan and UBSan, useful without.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace millrace::testing {

// Where inputs come from: good ones, and pieces that mean something in their format.
struct Corpus {
  std::vector<std::string> samples;
  std::vector<std::string> pieces;
};

class Mutator {
 public:
  Mutator(const Corpus& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}
  // A sample after one to eight changes: bits and bytes, runs cut out, repeated or moved, pieces put in,
  // another sample's end, or its own end missing. At most kBytesMax.
  std::string next();
  // 0 <= result < n.
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

 private:
  static constexpr size_t kBytesMax = 256 * 1024;
  void change(std::string& text);

  const Corpus& corpus_;
  std::mt19937_64 random_;
};

// How many inputs a test tries: MILLRACE_FUZZ_ROUNDS, or else `usual`.
uint64_t mutation_rounds(uint64_t usual);
// False when only a few seeds are run again: then not every kind of outcome must occur.
inline bool mutations_are_many() { return mutation_rounds(1000) >= 1000; }
// The seed to begin with: MILLRACE_FUZZ_SEED, or else 1.
uint64_t mutation_seed();
// Says which seed it was when the program dies in the middle of it.
void remember_seed(uint64_t seed);

// Calls `check(input, mutator)` for each damaged input; the mutator gives it more randomness of that seed.
template <typename Check>
void for_each_mutation(const Corpus& corpus, uint64_t usual_rounds, const Check& check) {
  uint64_t first = mutation_seed();
  for (uint64_t seed = first; seed < first + mutation_rounds(usual_rounds); ++seed) {
    SCOPED_TRACE("MILLRACE_FUZZ_SEED=" + std::to_string(seed));
    remember_seed(seed);
    Mutator mutator(corpus, seed);
    std::string input = mutator.next();
    check(input, mutator);
    if (::testing::Test::HasFailure()) return;  // one example is enough
  }
  remember_seed(0);
}

}  // namespace millrace::testing
