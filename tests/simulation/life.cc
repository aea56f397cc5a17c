#include "tests/simulation/life.h"

#include <cctype>
#include <numeric>

#include "tests/simulation/shrink.h"
#include "tests/support/temporary_folder.h"

namespace millrace::simulation {
namespace {

// What was violated, without the numbers of this time.
std::string kind(const std::string& violation) {
  std::string out;
  for (char c : violation)
    if (!std::isdigit(static_cast<unsigned char>(c))) out += c;
  return out;
}

}  // namespace

std::vector<int> all_steps(int count) {
  std::vector<int> steps(static_cast<size_t>(count));
  std::iota(steps.begin(), steps.end(), 1);
  return steps;
}

Life live(uint64_t seed, const std::vector<int>& steps, bool with_story) {
  Life life;
  // Crashes of the simulated world are kill -9: memory serves as its disk, and no fsync is waited for.
  millrace::testing::TemporaryFolder folder("/dev/shm");
  EngineWorld world(seed, folder.path());
  if (with_story) world.tell_to(&life.story);
  try {
    world.run(steps);
  } catch (const std::exception& error) {
    life.violation = error.what();
  }
  life.counts = world.counts();
  return life;
}

Trace shortest_trace(uint64_t seed, const std::vector<int>& steps, const Life& failing, int tries_max) {
  std::string wanted = kind(failing.violation);
  auto fails = [&](const std::vector<int>& some) { return kind(live(seed, some).violation) == wanted; };
  Trace trace;
  trace.steps = shrink(steps, fails, tries_max);
  trace.life = live(seed, trace.steps, true);
  return trace;
}

}  // namespace millrace::simulation
