// One simulated world from its seed to its end, and how it went.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/engine_world.h"

namespace millrace::simulation {

struct Life {
  EngineWorld::Counts counts;
  std::string violation;           // of a promise; empty: none
  std::vector<std::string> story;  // what happened, when asked for
};

// Numbers of steps: 1 … count.
std::vector<int> all_steps(int count);
// Lives through these steps of the world of `seed`; the same seed and steps give the same life. Thread-safe.
Life live(uint64_t seed, const std::vector<int>& steps, bool with_story = false);

// The shortest failing trace that can be found in at most `tries_max` lives, with its story. `failing` is the
// life that failed with all `steps`.
struct Trace {
  std::vector<int> steps;
  Life life;
};
Trace shortest_trace(uint64_t seed, const std::vector<int>& steps, const Life& failing, int tries_max = 400);

}  // namespace millrace::simulation
